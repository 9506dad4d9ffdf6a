"""Build requests from options or a file, and reject invalid requests before anything starts."""

import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError

from byok.cli.output import UsageError
from byok.domain.models import CheckKeysRequest, KeyPairRequest, Problem, ProvisionRequest, RequestModel, Resources
from byok.domain.models.requests import MISSING_KEY_ERROR_TYPE
from byok.domain.onboarding.payload import PayloadError, expand_payload_fields, parse_payload
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.build import find_arn_problems, find_region_problems, find_tenant_request_problems
from byok.domain.problems.remediation import RemedyContext
from byok.domain.scopes import ORGANISATION_PATTERN
from byok.domain.validation_words import in_plain_words
from byok.settings import Settings

Request = TypeVar("Request", bound=RequestModel)

OPTION_BY_FIELD: Final = {
    "environment_id": "--name",
    "organisation": "--organisation",
    "region": "--region",
    "encryption": "--platform-managed",
    "s3_key_arn": "--s3-key-arn",
    "rds_key_arn": "--rds-key-arn",
    "payload": "--payload",
    "on_failure": "--on-failure",
    "key_grace_seconds": "--key-grace-seconds",
    "prove_aurora_key": "--aurora-proof",
    "tenant": "--tenant",
    "tenant_role_arn": "--tenant-role-arn",
    "profile": "--profile",
    "stack_name": "--stack-name",
    "account": "--account",
}

_OPTIONS: Final = tuple(OPTION_BY_FIELD.values())


def request_from_options(model: type[Request], values: dict[str, object]) -> Request:
    """Build a request from options. If an option is missing, the model supplies the default.

    Raises:
        UsageError: A required option is missing, or a value is invalid.
    """
    given = expand_payload({name: value for name, value in values.items() if value is not None})
    try:
        return model.model_validate(given)
    except ValidationError as error:
        missing = [
            OPTION_BY_FIELD[str(fault["loc"][0])]
            for fault in error.errors()
            if fault["type"] in ("missing", MISSING_KEY_ERROR_TYPE)
        ]
        if missing:
            raise UsageError(f"Missing: {', '.join(sorted(missing, key=_OPTIONS.index))}.") from error
        raise UsageError(format_validation_error(error, OPTION_BY_FIELD)) from error


def expand_payload(given: dict[str, object]) -> dict[str, object]:
    """Return the options, with the onboarding payload split into two key ARNs. Any key option may contain the payload.

    Raises:
        UsageError: The payload is invalid, or the options and the payload contain different keys.
    """
    try:
        payload = given.pop("payload", None)
        named = parse_payload(payload) if payload is not None else {}
        given = {name: value.strip() if isinstance(value, str) else value for name, value in given.items()}
        differing = [OPTION_BY_FIELD[name] for name, arn in named.items() if given.get(name, arn) not in {arn, payload}]
        if differing:
            raise UsageError(f"--payload and {' and '.join(differing)} differ: pass either the payload or the ARNs.")
        return expand_payload_fields({**given, **named})
    except PayloadError as error:
        raise UsageError(str(error)) from error


def require_organisation(name: str | None) -> str | None:
    """Return the name of an organisation; None if no name is given.

    Raises:
        UsageError: The name is not a valid organisation name.
    """
    if name is not None and not re.fullmatch(ORGANISATION_PATTERN, name):
        raise UsageError(f"--organisation: {name!r} must be up to 16 lower-case letters and digits.")
    return name


def request_from_file(model: type[Request], path: Path) -> Request:
    """Build a request from a JSON file that holds the workflow's input; `-` reads standard input.

    Raises:
        UsageError: The file cannot be read, is not JSON, or is invalid.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"Cannot read {path}: {reason}.") from error
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"{path}: {format_validation_error(error, {})}") from error


def find_request_problems(request: ProvisionRequest | KeyPairRequest, settings: Settings) -> tuple[Problem, ...]:
    """Find, without AWS calls, the problems that a worker would report about the Region, the ARNs and the tenant.

    If the platform role or the Regions are not set on this machine, only the worker runs the checks that depend on
    them.
    """
    kind = RequestKind.KEY_CHECK if isinstance(request, CheckKeysRequest) else RequestKind.ENVIRONMENT
    context, at = (
        RemedyContext(
            request.region,
            settings.platform_role_arn,
            settings.vendor,
            request_kind=kind,
            profile=request.profile,
            organisation=request.organisation,
        ),
        datetime.now(UTC),
    )
    found = find_arn_problems(request.key_pair, context, at) if request.key_pair else ()
    if "regions" in settings.model_fields_set:
        found = find_region_problems(context, settings.regions, Phase.VALIDATING_KEYS, at) + found
    if not isinstance(request, ProvisionRequest) or request.tenant is None:
        return found
    return found + find_tenant_request_problems(request.tenant, request.tenant_role_arn, request.key_pair, context, at)


def refusal_as_json_dict(problems: tuple[Problem, ...], **values: object) -> dict[str, object]:
    """Return a status with the problems for which byok rejected a request, as JSON. Nothing was started."""
    found = [as_json_dict(item) for item in problems]
    nothing: dict[str, object] = {
        "timeline": [],
        "resources": as_json_dict(Resources()),
        "evidence": None,
        "workflow_id": None,
        "run_id": None,
    }
    return {**values, "phase": None, "problem": found[0], "problems": found, **nothing}


def as_json_dict(model: BaseModel) -> dict[str, object]:
    """Return a model as a JSON-compatible dict."""
    return model.model_dump(mode="json")


_OF_SHAPE: Final = {"string_pattern_mismatch", "string_too_long"}
"""The types of the pydantic errors whose messages are replaced with a description from `_SHAPES`."""
_SHAPES: Final = {
    "environment_id": "at most 32 lower-case letters, digits and single hyphens, starting with a letter",
    "organisation": "at most 16 lower-case letters and digits, starting with a letter",
    "account": "an AWS account id of 12 digits",
}
"""Descriptions of valid values, for the fields whose patterns are hard to read."""


def format_validation_error(error: ValidationError, names: dict[str, str]) -> str:
    """Describe all validation errors of a model. Each description begins with the name of the option or field.

    Args:
        error: The model's errors.
        names: For each field that the user set with an option, the name of that option.
    """
    faults = []
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        field = ".".join(map(str, fault["loc"]))
        wanted = _SHAPES.get(field) if fault["type"] in _OF_SHAPE else None
        what = f"must be {wanted}" if wanted else in_plain_words(fault["msg"])
        faults.append(f"{names.get(field, field)}: {what}" if field else what)
    return f"{'; '.join(faults)}."
