# One image for the worker and for the HTTP API with the wizard; docker-compose.yml says which command runs where. The
# target `local-aws` is another image, for a developer's machine: the emulator of AWS is no part of the product.

FROM python:3.11-slim-bookworm AS dependencies
# Wheels only, and each one with a hash of the lock: nothing is built here, and nothing that was swapped gets in. The
# runtime image writes no bytecode, so it is compiled here.
ENV PIP_NO_CACHE_DIR=1 UV_COMPILE_BYTECODE=1 UV_NO_BUILD=1
COPY requirements/install.py requirements/installer.lock requirements/image.lock /requirements/
RUN python /requirements/install.py --installer /opt/installer /opt/venv /requirements/image.lock

FROM dependencies AS local-aws-dependencies
COPY requirements/localaws.lock /requirements/
RUN python /requirements/install.py --installer /opt/installer /opt/venv /requirements/localaws.lock

FROM python:3.11-slim-bookworm AS base
# Run from the source tree, as in a checkout: there is no package to install.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --system --uid 10001 --home-dir /nonexistent --shell /usr/sbin/nologin byok
WORKDIR /app
COPY byok ./byok

FROM base AS local-aws
# Where it keeps its state: a volume that is mounted there takes over the owner.
RUN install --directory --owner=byok /data
COPY --from=local-aws-dependencies /opt/venv /opt/venv
COPY localaws ./localaws
USER 10001
CMD ["python", "-m", "localaws", "--host", "0.0.0.0", "--port", "4566", "--data", "/data"]

FROM base
COPY --from=dependencies /opt/venv /opt/venv
COPY worker.py ./
COPY workflows ./workflows
COPY activities ./activities
USER 10001
# There is no HEALTHCHECK: the worker listens on no port. It ends with an error where it cannot start, and is to be
# restarted then; once it has started, it finds Temporal again by itself.
CMD ["python", "worker.py"]
