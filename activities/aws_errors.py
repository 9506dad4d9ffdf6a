"""What an answer of AWS's means: its service, its code, and the row of the one table that decides."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.exceptions import ClientError

from byok.domain.problems.aws_errors import ErrorOutcome, ErrorRule, classify_error
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

_T = TypeVar("_T")

_SERVICE: Final = "byok-service"


def record_service_on_responses(client: "BaseClient") -> None:
    """Add the service's name to every answer that this client gets: botocore's errors do not carry it.

    An answer without it went to one of botocore's own clients, which fetch the worker's credentials, from STS among
    others, before any of our calls.
    """

    def note(parsed: dict[str, Any], model: "OperationModel", **_: object) -> None:
        parsed.setdefault("ResponseMetadata", {})[_SERVICE] = model.service_model.service_name

    client.meta.events.register_last("after-call", note)


def decide_error_outcome(error: ClientError) -> ErrorOutcome:
    """What the table says of an answer: for a step that expects something not to be there, or to be there already."""
    return find_service_and_rule(error)[1].outcome


def none_if_absent(read: Callable[[], _T]) -> _T | None:
    """What a call reads, None where AWS says that it is not there."""
    try:
        return read()
    except ClientError as error:
        if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
            raise
        return None


def find_service_and_rule(error: ClientError, key_arn: str | None = None) -> tuple[str, ErrorRule]:
    """The service that answered, as a problem's code begins with it, and the table's row.

    An error of one of botocore's own clients is about the worker's credentials: the customer can do nothing about it.
    """
    code, message = get_error_code(error), get_error_message(error)
    service = cast("str | None", error.response.get("ResponseMetadata", {}).get(_SERVICE))
    if service is not None:
        return service, classify_error(service, code, message, key_arn)
    row = classify_error("sts", code, message)
    if row.outcome is ErrorOutcome.RETRY:
        return "credentials", row
    return "credentials", ErrorRule("credentials", code, row.outcome, Remedy.PLATFORM_CREDENTIALS)


def get_error_code(error: ClientError) -> str:
    """The wire code; never boto's class name, which differs from it."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def get_error_message(error: ClientError) -> str:
    """What AWS says, in its own words."""
    return error.response.get("Error", {}).get("Message", "")
