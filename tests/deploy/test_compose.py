"""Check the structure, the names, the style and the commands of the container files, without a container engine.

If docker with the compose plug-in is available, `docker compose` parses the Compose file as well.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

import worker
from byok.api_settings import ApiSettings
from byok.audit_settings import AuditSettings
from byok.local.ports import Ports
from byok.notification_settings import NotificationSettings
from byok.settings import Settings
from localaws.accounts import PLATFORM_CREDENTIALS

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
DOCKERFILE = (ROOT / "Dockerfile").read_text()

# The elements of the Compose file reference that docker-compose.yml may use. A misspelt element fails these tests, just
# as Compose would reject it.
TOP_LEVEL = {"name", "services", "volumes"}
SERVICE = {
    *("build", "cap_drop", "command", "depends_on", "entrypoint", "environment", "healthcheck", "image", "init"),
    *("ports", "profiles", "read_only", "restart", "security_opt", "stop_grace_period", "tmpfs", "volumes"),
}
HEALTHCHECK = {"test", "interval", "timeout", "retries"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


def test_compose_elements_are_known() -> None:
    assert {name for name in COMPOSE if not name.startswith("x-")} <= TOP_LEVEL
    for name, service in SERVICES.items():
        assert set(service) <= SERVICE, name
        assert set(service.get("healthcheck", {})) <= HEALTHCHECK, name


@pytest.mark.parametrize("name", SERVICES)
def test_service_dependencies_exist_and_can_be_met(name: str) -> None:
    for other, link in SERVICES[name].get("depends_on", {}).items():
        assert set(link) <= {"condition", "required"}
        assert link["condition"] in CONDITIONS
        if link["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        if link["condition"] == "service_completed_successfully":
            assert SERVICES[other]["restart"].startswith("on-failure"), "a one-off service must not be restarted"
        if SERVICES[other].get("profiles"):
            assert link["required"] is False, "the other service does not exist unless its profile is active"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_bound_to_loopback(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:[0-9]+:[0-9]+", port)


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_version(name: str) -> None:
    if name not in OURS:
        assert re.search(r":[0-9]+(\.[0-9]+)*$", SERVICES[name]["image"])


def test_volumes_are_declared_or_files_of_this_repository() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file()


def test_only_password_is_the_development_one_of_the_unpublished_database() -> None:
    passwords = {
        (name, key, value)
        for name, service in SERVICES.items()
        for key, value in service.get("environment", {}).items()
        if value is not None and re.search(r"PASSWORD|PWD|SECRET|TOKEN|KEY", key)
    }
    assert {value for _, _, value in passwords} == {"temporal"}
    assert "ports" not in SERVICES["postgresql"]
    assert not {key for name, key, _ in passwords if name in OURS}, "secrets of byok's services come from outside"


def list_byok_settings() -> set[str]:
    return {key for name in OURS for key in SERVICES[name].get("environment", {}) if key.startswith("BYOK_")}


def test_services_use_only_known_settings() -> None:
    known = {f"BYOK_{name.upper()}" for name in Settings.model_fields}
    known |= {f"BYOK_API__{name.upper()}" for name in ApiSettings.model_fields}
    known |= {f"BYOK_AUDIT__{name.upper()}" for name in AuditSettings.model_fields}
    known |= {f"BYOK_NOTIFICATIONS__{name.upper()}" for name in NotificationSettings.model_fields}
    assert list_byok_settings()
    assert list_byok_settings() <= known


def read_local_aws_env() -> dict[str, str]:
    lines = (ROOT / "deploy" / "local-aws.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_local_aws_values_reach_the_worker_and_match() -> None:
    values = read_local_aws_env()
    assert set(values) <= {key for name in ("worker", "web") for key in SERVICES[name]["environment"]}
    assert (values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"]) == PLATFORM_CREDENTIALS
    assert values["AWS_ENDPOINT_URL"] == "http://local-aws:4566"
    assert "127.0.0.1:4566:4566" in SERVICES["local-aws"]["ports"]


def test_worker_has_time_to_finish_before_it_is_killed() -> None:
    assert (
        int(SERVICES["worker"]["stop_grace_period"].removesuffix("s"))
        > worker.GRACEFUL_SHUTDOWN_TIMEOUT.total_seconds()
    )


def test_dockerfile_passes_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_images_run_as_an_unprivileged_user() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M) == ["10001", "10001"]


def test_product_image_contains_no_local_aws() -> None:
    product = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "worker.py" in product
    assert "local" not in product
    assert SERVICES["local-aws"]["image"] != SERVICES["worker"]["image"]


def test_files_copied_by_the_dockerfile_exist_and_are_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    lines = re.findall(r"^COPY ([^-].*) \S+$", DOCKERFILE, re.M)
    copied = [source for line in lines for source in line.split()]
    assert copied
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored
    assert "*" in ignored, "only files that are listed may enter the image"


def host_command(name: str, *more: str) -> list[str]:
    """Return a service's entry point and command, with this Python interpreter in place of the image's."""
    found = re.findall(r"^ENTRYPOINT (.+)$", DOCKERFILE, re.M)[-1]
    entrypoint: list[str] = json.loads(found) if SERVICES[name]["image"] == SERVICES["worker"]["image"] else []
    program, *arguments = entrypoint + SERVICES[name]["command"]
    assert program == "python"
    return [sys.executable, *arguments, *more]


def build_environment(**values: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("BYOK_", "AWS_", "TEMPORAL_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **values}


def test_every_byok_service_has_a_tested_command() -> None:
    assert set(OURS) == {"worker", "web", "local-aws"}


def test_worker_without_temporal_reports_it_and_exits() -> None:
    address = f"127.0.0.1:{Ports.pick_free().web}"
    values = build_environment(
        **{key: value for key, value in read_local_aws_env().items() if key != "AWS_ENDPOINT_URL"},
        AWS_CONFIG_FILE=os.devnull,
        TEMPORAL_ADDRESS=address,
    )
    ended = subprocess.run(
        host_command("worker"), env=values, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert f"error: The worker cannot start: Cannot reach the Temporal server at {address}. " in ended.stderr
    assert ended.stderr.endswith("(Connection refused)\n")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BYOK_ACTIVITY_THREADS", "none", "BYOK_ACTIVITY_THREADS"),
    ],
)
def test_worker_names_an_invalid_setting_and_exits(name: str, value: str, told: str) -> None:
    values = build_environment(**{name: value})
    ended = subprocess.run(
        host_command("worker"), env=values, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_local_aws_serves_until_sigterm(tmp_path: Path) -> None:
    port = Ports.pick_free().web
    here = {"4566": str(port), "0.0.0.0": "127.0.0.1", "/data": str(tmp_path / "data")}
    command = [here.get(argument, argument) for argument in host_command("local-aws")]
    process = subprocess.Popen(
        command, env=build_environment(), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        assert await_and_get_http_status(f"http://127.0.0.1:{port}/_localaws/health", process) == 200
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, said) == (0, "")


def test_api_serves_and_accepts_the_local_token() -> None:
    port = Ports.pick_free().web
    here = {"8000": str(port), "0.0.0.0": "127.0.0.1"}
    command = [here.get(argument, argument) for argument in host_command("web")]
    given = SERVICES["web"]["environment"]
    values = {key: value for key, value in read_local_aws_env().items() if key in given}
    values["TEMPORAL_ADDRESS"] = f"127.0.0.1:{Ports.pick_free().web}"
    process = subprocess.Popen(command, env=build_environment(**values), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert await_and_get_http_status(f"http://127.0.0.1:{port}/health", process) == 200
        for token, status in (("for-this-machine-alone", 200), ("another", 401)):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/onboarding/eu-central-1?environment_id=acme",
                headers={"Authorization": f"Bearer {token}"},
            )
            try:
                found = urllib.request.urlopen(request, timeout=5).status
            except urllib.error.HTTPError as error:
                found = error.code
            assert found == status
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert "for-this-machine-alone" not in said


def test_api_without_tokens_does_not_listen_on_all_interfaces() -> None:
    values = build_environment(BYOK_PLATFORM_ROLE_ARN="arn:aws:iam::111122223333:role/AtaccamaPlatform")
    ended = subprocess.run(
        host_command("web"), env=values, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 2
    assert "BYOK_API__TOKENS" in ended.stderr


@pytest.mark.parametrize("name", OURS)
def test_byok_services_write_only_to_mounts(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    mounted = {volume.split(":")[1] for volume in service.get("volumes", [])}
    audit = set(re.findall(r"^ENV BYOK_AUDIT__DIRECTORY=(\S+)$", DOCKERFILE, re.MULTILINE))
    named = {argument for argument in service["command"] if argument.startswith("/")}
    assert named | (audit if name in {"worker", "web"} else set()) == mounted
    for place in mounted:
        assert f"--owner=byok {place}" in DOCKERFILE, "a new volume gets the owner that its folder has in the image"


def await_and_get_http_status(url: str, process: "subprocess.Popen[str]") -> int:
    """Wait until a URL responds, and return the HTTP status."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                status: int = answer.status
                return status
        except OSError:
            continue
    pytest.fail(f"{url} does not respond")


def test_health_checks_call_existing_routes() -> None:
    assert "/health" in SERVICES["web"]["healthcheck"]["test"][-1]
    assert "/_localaws/health" in SERVICES["local-aws"]["healthcheck"]["test"][-1]


def has_compose() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not has_compose(), reason="no docker with the compose plug-in here")
@pytest.mark.parametrize("profile", [[], ["--profile", "local", "--env-file", "deploy/local-aws.env"]])
def test_docker_compose_accepts_the_file(profile: list[str]) -> None:
    read = subprocess.run(
        ["docker", "compose", *profile, "config", "--quiet"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stderr
