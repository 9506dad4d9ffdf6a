"""Collects diagnostic data about one environment, and writes the data, without secrets, to a zip file."""

import json
import os
import platform
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict
from pydantic import BaseModel, SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from byok import __version__
from byok.api_settings import AccessToken
from byok.contracts import ENVIRONMENT_ID_ATTRIBUTE, environment_workflow_id, record_workflow_id
from byok.doctor import run_checks
from byok.domain.notifications import WebhookEndpoint
from byok.domain.redaction import REMOVED, Redactor
from byok.service.connection import connect_service
from byok.service.environments import EnvironmentService
from byok.service.errors import EnvironmentNotFoundError, ServiceError
from byok.service.temporal_errors import translate_temporal_errors
from byok.settings import Settings

MAX_RUNS: Final = 30
MAX_EVENTS: Final = 5_000
_SECRET_VARIABLES: Final = ("SECRET", "TOKEN", "PASSWORD", "API_KEY", "ACCESS_KEY", "CERT", "PRIVATE")
_SHOWN_VARIABLES: Final = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "AWS_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE")
_PACKAGES: Final = ("temporalio", "boto3", "botocore", "pydantic", "fastapi", "uvicorn", "typer")


@dataclass(frozen=True)
class BundleFile:
    """A file in the bundle.

    Attributes:
        name: The name of the file in the archive.
        about: A one-line description of the file's content.
        content: The data, without secrets.
    """

    name: str
    about: str
    content: Any


async def collect_bundle(environment_id: str, settings: Settings, *, mask_accounts: bool = False) -> list[BundleFile]:
    """Collect the files of the bundle.

    If Temporal is unreachable, the files that need data from Temporal contain the error instead.

    Args:
        environment_id: The environment.
        settings: The settings of this machine.
        mask_accounts: Whether to replace AWS account ids.

    Raises:
        EnvironmentNotFoundError: No environment has this id.
    """
    redactor = Redactor(find_secrets(settings, os.environ), mask_accounts=mask_accounts)
    files = [
        BundleFile("versions.json", "versions of byok, Python and the main packages", _read_versions()),
        BundleFile("settings.json", "settings of this machine, without secrets", dump_settings(settings, os.environ)),
        BundleFile("doctor.json", "result of byok doctor", [asdict(one) for one in await run_checks(settings)]),
    ]
    try:
        service = await connect_service(settings.quotas)
        files += [one async for one in _read_environment(service, environment_id)]
    except EnvironmentNotFoundError:
        raise
    except ServiceError as error:
        files.append(BundleFile("error.json", "why nothing could be read from Temporal", {"error": str(error)}))
    return [BundleFile(redactor.redact_text(one.name), one.about, redactor.redact(one.content)) for one in files]


def write_bundle(files: list[BundleFile], path: Path, environment_id: str) -> None:
    """Write the bundle as a zip file that only the current user can read.

    Raises:
        OSError: The file cannot be written, or already exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("README.txt", describe_bundle(files, environment_id))
        for one in files:
            archive.writestr(one.name, json.dumps(one.content, indent=2, default=str) + "\n")


def describe_bundle(files: list[BundleFile], environment_id: str) -> str:
    """Return the text of the bundle's README."""
    listed = "\n".join(f"  {one.name:<50}  {one.about}" for one in files)
    return (
        f"Support bundle of the environment {environment_id}, made by byok {__version__} "
        f"at {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC.\n\n{listed}\n\n"
        "The bundle contains names, ARNs and AWS error messages of this environment, findings about the key "
        "policies, and the requester of each operation.\n"
        f'Secrets are replaced with "{REMOVED}": secret settings, credentials, tokens, and the headers of requests. '
        "The bundle\ncontains no data from the database or the buckets, and no log files. Read the files before you "
        "send them.\n"
    )


def find_secrets(settings: BaseModel, environ: Mapping[str, str]) -> set[str]:
    """Return all secret values: secrets and URLs in the settings, and credentials in environment variables."""
    variables = {value for name, value in environ.items() if _is_secret_variable(name)}
    return variables | set(_walk_secrets(settings))


def dump_settings(settings: Settings, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings, and the names of other environment variables that are set, as JSON data.

    Secrets are left out.
    """
    others = sorted(name for name in environ if name.startswith(("AWS_", "TEMPORAL_", "FORWARDED_", "OTEL_")))
    return {
        "byok": settings.model_dump(mode="json"),
        "set_explicitly": sorted(settings.model_fields_set),
        "environment_variables": {name: environ[name] if name in _SHOWN_VARIABLES else "(set)" for name in others},
    }


async def _read_environment(service: EnvironmentService, environment_id: str) -> AsyncIterator[BundleFile]:
    status = await service.read_status(environment_id)
    yield BundleFile("status.json", "status, as byok status prints it", status.model_dump(mode="json"))
    attempts = [one.model_dump(mode="json") for one in await service.list_attempts(status)]
    yield BundleFile("attempts.json", "attempts, as byok history prints them", attempts)
    with translate_temporal_errors():
        async for one in _read_histories(service.client, environment_id):
            yield one


async def _read_histories(client: Client, environment_id: str) -> AsyncIterator[BundleFile]:
    own = (environment_workflow_id(environment_id), record_workflow_id(environment_id))
    ids = " OR ".join(f"WorkflowId = '{one}'" for one in own)
    query = f"{ENVIRONMENT_ID_ATTRIBUTE.name} = '{environment_id}' OR {ids}"
    count = 0
    async for found in client.list_workflows(query, limit=MAX_RUNS):
        count += 1
        handle, events = client.get_workflow_handle(found.id, run_id=found.run_id), []
        async for event in handle.fetch_history_events():
            events.append(await _decode_event(client, event))
            if len(events) == MAX_EVENTS:
                break
        name = f"histories/{count:02}-{found.id.replace('/', '-')}-{found.run_id[:8]}.json"
        about = f"history of {found.workflow_type}, {found.status.name if found.status else 'unknown'}"
        yield BundleFile(name, about, {"workflow_id": found.id, "run_id": found.run_id, "events": events})


async def _decode_event(client: Client, event: HistoryEvent) -> Any:
    """Return an event as JSON data, with decoded payloads and without request headers."""
    codec = client.data_converter.payload_codec

    async def decode(data: Any) -> Any:
        if isinstance(data, list):
            return [await decode(one) for one in data]
        if not isinstance(data, dict):
            return data
        if isinstance(data.get("metadata"), dict) and "encoding" in data["metadata"]:
            payload = _parse_payload(data)
            (payload,) = await codec.decode([payload]) if codec is not None else (payload,)
            return _decode_payload(payload)
        return {name: REMOVED if name == "header" and value else await decode(value) for name, value in data.items()}

    return await decode(MessageToDict(event))


def _parse_payload(data: dict[str, Any]) -> Payload:
    return ParseDict(data, Payload())


def _decode_payload(payload: Payload) -> Any:
    encoding = payload.metadata.get("encoding", b"").decode()
    if encoding == "binary/null":
        return None
    try:
        return json.loads(payload.data)
    except ValueError:
        return f"({len(payload.data)} bytes, {encoding})"


def _read_versions() -> dict[str, str]:
    packages = {name: version(name) for name in _PACKAGES}
    return {"byok": __version__, "python": sys.version, "platform": platform.platform(), **packages}


def _is_secret_variable(name: str) -> bool:
    return any(part in name.upper() for part in _SECRET_VARIABLES) and not name.startswith("BYOK_")


def _walk_secrets(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, WebhookEndpoint):
        yield value.url
        yield from _walk_secrets(value.secrets)
    elif isinstance(value, AccessToken):
        yield value.sha256
    elif isinstance(value, BaseModel):
        yield from _walk_secrets([getattr(value, name) for name in type(value).model_fields])
    elif isinstance(value, Mapping):
        yield from _walk_secrets(list(value.values()))
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from _walk_secrets(one)
