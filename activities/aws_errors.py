"""What an answer of AWS's means: its service, its code, and the row of the one table that decides."""

from collections.abc import Callable
from typing import Any, Final, Self, TypeVar, cast

from botocore.exceptions import ClientError

from byok.domain.problems.aws_errors import OPERATIONS, ErrorRule, Outcome, classify
from byok.domain.problems.remediation import Remedy

_T = TypeVar("_T")

# Botocore does not say which service an error came from; the operations we call have names of their own. Before any of
# them it may call others by itself, for the worker's own credentials: STS among them, as we do for the tenant's role.
_SERVICE_OF: Final = {
    operation: service for service, operations in OPERATIONS.items() for operation in operations if service != "sts"
}


class TenantRoleError(ClientError):
    """What STS answers about the role in the customer's account, and not about the worker's own credentials.

    Botocore calls AssumeRole, too, where the worker's profile names a role: by the operation the two cannot be told
    apart.
    """

    @classmethod
    def of(cls, answer: ClientError) -> Self:
        """The same answer, marked."""
        return cls(cast("Any", answer.response), answer.operation_name)


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

    What none of our own calls was answered concerns the worker's credentials, which botocore gets before any of them:
    whatever it says, no customer can do anything about it.
    """
    code, message = code_of(error), message_of(error)
    service = "sts" if isinstance(error, TenantRoleError) else _SERVICE_OF.get(error.operation_name)
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
