"""Generates the page about the HTTP API from the OpenAPI document."""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from byok.api.app import make_api_app
from byok.api.authentication import AllowAllAuth
from byok.api.routes.account_proofs import AccountProofRequest
from byok.api.routes.environments import NameKeysRequest, ReplayRequest
from byok.api.routes.keys import DiagnosisRequest, PolicyCheckRequest
from byok.api.state import ApiState
from byok.audit.journal import AuditJournal
from byok.domain.aws_events import AwsEvent
from byok.domain.models import CheckKeysRequest, ProvisionRequest
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService

_ROLE: Final = "arn:aws:iam::111122223333:role/AtaccamaPlatform"
_KEYS: Final = {
    "s3_key_arn": "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111",
    "rds_key_arn": "arn:aws:kms:eu-central-1:444455556666:key/22222222-2222-4222-8222-222222222222",
}
_VALUES: Final = {
    "environment_id": "acme-prod",
    "region": "eu-central-1",
    "key": "s3",
    "organisation": "acme",
    "account": "444455556666",
    "confirm": "acme-prod",
}
_REQUIREMENTS: Final = re.compile(r" \((contract |D)\d+(, \d+)*\)")
"""References to requirements, which are of no use to a caller of the API."""
BODIES: Final[Mapping[str, tuple[type[BaseModel], dict[str, Any]]]] = {
    "POST /v1/key-checks": (CheckKeysRequest, {"region": "eu-central-1", **_KEYS, "prove_aurora_key": True}),
    "POST /v1/policy-checks": (
        PolicyCheckRequest,
        {"key": "s3", "region": "eu-central-1", "policy": '{"Version": "2012-10-17", "Statement": []}'},
    ),
    "POST /v1/diagnoses": (DiagnosisRequest, {"output": "what the key administrator's script printed"}),
    "POST /v1/environments": (ProvisionRequest, {"environment_id": "acme-prod", "region": "eu-central-1", **_KEYS}),
    "POST /v1/environments/{environment_id}/replays": (ReplayRequest, {}),
    "PUT /v1/environments/{environment_id}/tenant": (NameKeysRequest, {"tenant": "acme"}),
    "POST /v1/account-proofs": (
        AccountProofRequest,
        {"nonce": "acme.1764432300.k3V", "token": "the token that the command printed"},
    ),
    "POST /v1/events/aws": (
        AwsEvent,
        {
            "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
            "detail-type": "KMS CMK Deletion",
            "source": "aws.kms",
            "account": "444455556666",
            "time": "2026-11-30T12:00:00Z",
            "region": "eu-central-1",
            "resources": [_KEYS["s3_key_arn"]],
            "detail": {},
        },
    ),
}
"""The request model and an example body of each route."""


def read_openapi_document() -> dict[str, Any]:
    """Build the OpenAPI document of the API. The state is never used, because no request is handled."""

    async def connect() -> EnvironmentService:
        raise NotImplementedError

    state = ApiState(AllowAllAuth(), _ROLE, VendorProfile(), (), connect, "", 1, AuditJournal(Path()))
    return make_api_app(state).openapi()


def list_routes(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each route, such as `GET /health`, and its operation."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def render_api_page() -> str:
    """Render a section for each route."""
    document = read_openapi_document()
    parts = [
        "# HTTP API",
        "",
        "This page is made from the OpenAPI document, which every server returns at `GET /v1/openapi.json`. "
        "[The HTTP API](../api.md) explains authentication, repeated requests, limits and errors. In the "
        "examples, `$API` is the server's address, such as `http://127.0.0.1:8000`, and `$TOKEN` is a bearer token; a "
        "local stack needs none.",
        "",
    ]
    for route, operation in list_routes(document):
        parts += [f"## {route}", "", *_describe(route, operation, document), ""]
    return "\n".join(parts)


def _describe(route: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    yield f"{operation.get('description', operation['summary'])}"
    yield ""
    yield f"Operation id: `{operation['operationId']}`"
    yield ""
    parameters = [one for one in operation.get("parameters", []) if one["name"].lower() != "authorization"]
    fields = list(_fields(operation, document))
    if parameters or fields:
        yield "| parameter | where | required | meaning |"
        yield "|---|---|---|---|"
        for one in parameters:
            yield _row(one["name"], one["in"], one["required"], _meaning(one["schema"], one.get("description", "")))
        told = _field_descriptions(BODIES[route][0]) if route in BODIES else {}
        for name, schema, required in fields:
            yield _row(name, "body", required, _meaning(_with_values(schema, document), told.get(name, "")))
        yield ""
    yield "```sh"
    yield _example(route, operation)
    yield "```"
    yield ""
    answers = [f"{status} {answer['description']}" for status, answer in sorted(operation["responses"].items())]
    yield f"Responses: {'; '.join(answer.rstrip('.') for answer in answers)}."


def _fields(operation: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return
    name = content["schema"]["$ref"].rpartition("/")[2]
    schema = document["components"]["schemas"][name]
    for field, found in schema.get("properties", {}).items():
        yield field, found, field in schema.get("required", ())


def _field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """Return the descriptions of a model's fields from the docstrings of the model and its base classes."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        _, _, attributes = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", attributes, re.MULTILINE):
            found[name] = _REQUIREMENTS.sub("", " ".join(text.split()))
    return found


def _with_values(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the reference to an enumeration with the values of the enumeration."""
    name = schema.get("$ref", "").rpartition("/")[2]
    values = document["components"]["schemas"].get(name, {}).get("enum")
    return {**schema, "type": " or ".join(f"`{value}`" for value in values)} if values else dict(schema)


def _row(name: str, where: str, required: bool, meaning: str) -> str:
    return f"| `{name}` | {where} | {'yes' if required else 'no'} | {meaning} |"


def _meaning(schema: Mapping[str, Any], description: str) -> str:
    """Describe the meaning of a value, and which values are allowed."""
    kinds = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    kind = kinds[0] if kinds else {}
    name = kind.get("type") or kind.get("$ref", "").rpartition("/")[2] or "value"
    limits = [
        f"{words} {kind[key]:g}"
        for key, words in (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "length at most"))
        if key in kind
    ]
    default = schema.get("default")
    if default not in (None, ""):
        limits.append(f"default `{json.dumps(default)}`")
    told = f"{description} " if description else ""
    return f"{told}({', '.join([name, *limits])})".replace("|", "\\|").replace("\n", " ")


def _example(route: str, operation: Mapping[str, Any]) -> str:
    method, _, path = route.partition(" ")
    query = [
        f"{one['name']}={_VALUES[one['name']]}"
        for one in operation.get("parameters", [])
        if one["in"] == "query" and one["required"]
    ]
    address = path.format(**_VALUES) + (f"?{'&'.join(query)}" if query else "")
    how = "" if method == "GET" or (method == "POST" and route in BODIES) else f" -X {method}"
    body = f" --json '{json.dumps(BODIES[route][1], indent=2)}'" if route in BODIES else ""
    bearer = "" if path in {"/health", "/ready"} else ' -H "Authorization: Bearer $TOKEN"'
    return f'curl -sf{how} "$API{address}"{bearer}{body}'
