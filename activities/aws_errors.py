"""What an answer of AWS's means: its service, its code, and the row of the one table that decides."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.exceptions import ClientError

from byok.domain.problems.aws_errors import ErrorRule, Outcome, classify
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel

_T = TypeVar("_T")

_SERVICE: Final = "byok-service"


def record_service_on_errors(client: "BaseClient") -> None:
    """Add the service's name to every answer that this client gets: botocore's errors do not carry it.

    An answer without it went to one of botocore's own clients, which fetch the worker's credentials, from STS among
    others, before any of our calls.
    """

    def note(parsed: dict[str, Any], model: "OperationModel", **_: object) -> None:
        parsed.setdefault("ResponseMetadata", {})[_SERVICE] = model.service_model.service_name

    client.meta.events.register_last("after-call", note)


def outcome_of(error: ClientError) -> Outcome:
    """What the table says of an answer: for a step that expects something not to be there, or to be there already."""
    return rule_for(error)[1].outcome


def none_if_absent(read: Callable[[], _T]) -> _T | None:
    """What a call reads, None where AWS says that it is not there."""
    try:
        return read()
    except ClientError as error:
        if outcome_of(error) is not Outcome.ABSENT:
            raise
        return None


def rule_for(error: ClientError, key_arn: str | None = None) -> tuple[str, ErrorRule]:
    """The service that answered, as a problem's code begins with it, and the table's row.

    An error of one of botocore's own clients is about the worker's credentials: the customer can do nothing about it.
    """
    code, message = code_of(error), message_of(error)
    service = cast("str | None", error.response.get("ResponseMetadata", {}).get(_SERVICE))
    if service is not None:
        return service, classify(service, code, message, key_arn)
    row = classify("sts", code, message)
    if row.outcome is Outcome.RETRY:
        return "credentials", row
    return "credentials", ErrorRule("credentials", code, row.outcome, Remedy.PLATFORM_CREDENTIALS)


def code_of(error: ClientError) -> str:
    """The wire code; never boto's class name, which differs from it."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def message_of(error: ClientError) -> str:
    """What AWS says, in its own words."""
    return error.response.get("Error", {}).get("Message", "")
