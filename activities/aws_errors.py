"""Classify AWS errors: find the service, the error code, and the matching rule of the error table."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.exceptions import ClientError

from byok.domain.problems.aws_errors import ErrorOutcome, ErrorRule, classify_error
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

_T = TypeVar("_T")

_SERVICE: Final = "byok-service"
_OWN_SESSION: Final = "own-session"


def record_service_on_responses(client: "BaseClient") -> None:
    """Add the service name to all responses that a client receives, because botocore's errors do not contain the name.

    A response without a service name comes from one of botocore's internal clients, such as the STS client that fetches
    the worker's credentials before byok's own call.
    """

    def note(parsed: dict[str, Any], model: "OperationModel", **_: object) -> None:
        parsed.setdefault("ResponseMetadata", {}).setdefault(_SERVICE, model.service_model.service_name)

    client.meta.events.register_last("after-call", note)


def explain_head_denials(client: "BaseClient", check_credentials: Callable[[], object]) -> None:
    """Replace the generic error of a HEAD call with STS's error if AWS rejects the worker's credentials or clock.

    A response to a HEAD call has no body, so S3 reports expired credentials, a wrong clock, an unusable key and a
    missing permission all as 400 or 403 (S3 API reference, HeadBucket, HeadObject). In contrast, an error from STS
    states the cause.

    Args:
        client: An S3 client.
        check_credentials: Calls GetCallerIdentity.
    """

    def explain(parsed: dict[str, Any], **_: object) -> None:
        if parsed.get("Error", {}).get("Code") not in {"400", "403"}:
            return
        try:
            check_credentials()
        except ClientError as error:
            parsed["Error"] = error.response["Error"]
            parsed["ResponseMetadata"][_SERVICE] = "sts"

    for operation in ("HeadBucket", "HeadObject"):
        client.meta.events.register(f"after-call.s3.{operation}", explain)


def mark_own_session_error(error: ClientError) -> None:
    """Mark an STS error as a problem with the worker's own role, so that byok does not blame a customer's role."""
    error.response.setdefault("ResponseMetadata", cast("Any", {}))[_SERVICE] = _OWN_SESSION  # type: ignore[typeddict-unknown-key]


def decide_error_outcome(error: ClientError) -> ErrorOutcome:
    """Return the error table's outcome for an error, so that a caller can recognise `ABSENT` or `EXISTS`."""
    return find_service_and_rule(error)[1].outcome


def is_platform_denied(error: ClientError, platform_role_arn: str) -> bool:
    """Return whether, according to the error table, the platform role lacks a permission."""
    row = find_service_and_rule(error, platform_role_arn=platform_role_arn)[1]
    return row.remedy is Remedy.PLATFORM_PERMISSION


def is_denied_by_key_policy(error: BaseException | None) -> bool:
    """Return whether, according to the error table, the key policy caused an S3 error."""
    return isinstance(error, ClientError) and find_service_and_rule(error)[1].remedy is Remedy.S3_KEY_POLICY


def none_if_absent(read: Callable[[], _T]) -> _T | None:
    """Return the result of a read, or None if AWS reports that the resource does not exist."""
    try:
        return read()
    except ClientError as error:
        if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
            raise
        return None


def find_service_and_rule(
    error: ClientError, key_arn: str | None = None, platform_role_arn: str | None = None
) -> tuple[str, ErrorRule]:
    """Return the service that raised an error, as named in problem codes, and the matching rule of the error table.

    An error from one of botocore's internal clients concerns the worker's credentials. The customer cannot fix such an
    error, so byok holds the environment.
    """
    code, message = get_error_code(error), get_error_message(error)
    service = cast("str | None", error.response.get("ResponseMetadata", {}).get(_SERVICE))
    if service == _OWN_SESSION:
        row = classify_error("sts", code, message, platform_role_arn=platform_role_arn)
        return "sts", replace(row, remedy=Remedy.PLATFORM_SESSION) if row.remedy is Remedy.TENANT_ROLE else row
    if service is not None:
        return service, classify_error(service, code, message, key_arn, platform_role_arn)
    row = classify_error("sts", code, message)
    if row.remedy is Remedy.WAIT:
        return "credentials", row
    return "credentials", ErrorRule("credentials", code, ErrorOutcome.HOLD, Remedy.PLATFORM_CREDENTIALS)


def get_error_code(error: ClientError) -> str:
    """Return the error code in AWS's response. boto's exception class may have a different name."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def get_error_message(error: ClientError) -> str:
    """Return AWS's exact error message."""
    return error.response.get("Error", {}).get("Message", "")
