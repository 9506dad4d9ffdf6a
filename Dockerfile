# Builds one image for both the worker and the HTTP API with the wizard; docker-compose.yml sets each service's command.
# The target `local-aws` is a separate image for developer machines: the AWS emulator is not part of the product.

FROM python:3.11-slim-bookworm AS dependencies
# Install only wheels whose hashes match the lock: nothing is built from source, and a swapped package fails the build.
# Compile bytecode here, because the runtime image writes none.
ENV PIP_NO_CACHE_DIR=1 UV_COMPILE_BYTECODE=1 UV_NO_BUILD=1
COPY requirements/install.py requirements/installer.lock requirements/image.lock /requirements/
RUN python /requirements/install.py --installer /opt/installer /opt/venv /requirements/image.lock

FROM dependencies AS local-aws-dependencies
COPY requirements/localaws.lock /requirements/
RUN python /requirements/install.py --installer /opt/installer /opt/venv /requirements/localaws.lock

# Builds the documentation site, which the server of the HTTP API and the wizard serves under /docs.
FROM dependencies AS documentation
COPY requirements/docs.lock /requirements/
RUN python /requirements/install.py --installer /opt/installer /build/.tools/docs /requirements/docs.lock
WORKDIR /build
COPY byok ./byok
COPY docs ./docs
COPY docsite ./docsite
COPY deploy ./deploy
COPY examples ./examples
COPY bench/peers/README.md ./bench/peers/README.md
COPY CHANGELOG.md CODE_OF_CONDUCT.md CONTRIBUTING.md README.md SECURITY.md docker-compose.yml ./
RUN /opt/venv/bin/python -m docsite

FROM python:3.11-slim-bookworm AS base
# Run from the source tree, as in a checkout; byok is not installed as a package.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin byok
WORKDIR /app
COPY byok ./byok

FROM base AS local-aws
# The emulator keeps its state in this folder. A volume that is mounted here inherits the folder's owner.
RUN install --directory --owner=byok /data
COPY --from=local-aws-dependencies /opt/venv /opt/venv
COPY localaws ./localaws
USER 10001
CMD ["python", "-m", "localaws", "--host", "0.0.0.0", "--port", "4566", "--data", "/data"]

FROM base
# The worker and the server write the audit trail to this folder. A volume that is mounted here inherits its owner.
RUN install --directory --owner=byok /var/lib/byok/audit
ENV BYOK_AUDIT__DIRECTORY=/var/lib/byok/audit
COPY --from=dependencies /opt/venv /opt/venv
COPY --from=documentation /build/byok/_site ./byok/_site
COPY worker.py ./
COPY workflows ./workflows
COPY activities ./activities
USER 10001
# There is no HEALTHCHECK, because the worker listens on no port. If the worker cannot start, it exits with an error, so
# configure a restart policy. Once started, the worker reconnects to Temporal on its own.
# `docker run byok web --host 0.0.0.0` runs the server instead, and `docker run byok doctor` any other command.
ENTRYPOINT ["python", "-m", "byok"]
CMD ["worker"]
