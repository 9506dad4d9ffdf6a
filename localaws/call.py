"""A decoded AWS API call, the response to a call, and the error that rejects a call."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from byok.domain.iam.evaluator import CallingPrincipal


@dataclass
class Call:
    """A decoded call.

    Attributes:
        service: botocore's service name: `s3`, `rds`, `kms`, `sts`, `iam`, `cloudformation`.
        operation: The API operation, such as `PutObject`.
        params: The input as the API defines it (`params["KmsKeyId"]`). For S3, only the members that the rules need.
        caller: The principal that signed the call.
        region: The Region that received the call.
        request_id: The request id of the response.
        environ: The WSGI environment. S3 rules may rewrite a header before moto reads it.
        body: The raw request body.
    """

    service: str
    operation: str
    params: dict[str, Any]
    caller: CallingPrincipal
    region: str
    request_id: str
    environ: dict[str, Any]
    body: bytes = b""


@dataclass
class HttpResponse:
    """The HTTP response to a call."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class AwsError(Exception):
    """An AWS error. The server renders the error in the wire format of the call's service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


Handler = Callable[[Call], dict[str, Any]]
"""Executes a call, and returns the output as the API defines it. Raises `AwsError` to reject the call."""


@dataclass(frozen=True)
class Operation:
    """An operation that the local AWS emulator models: its handler, and the names of the modelled parameters.

    Attributes:
        handler: Executes a call that has only modelled parameters.
        params: The names of the modelled parameters.
    """

    handler: Handler
    params: frozenset[str]

    def __call__(self, call: Call) -> dict[str, Any]:
        """Execute a call.

        Raises:
            AwsError: `NotImplemented` for a parameter that is not modelled, or the error of the operation itself.
        """
        refuse_unmodelled_params(call, self.params)
        return self.handler(call)


def models(*params: str) -> Callable[[Handler], Operation]:
    """Declare the parameters that a handler models.

    If a call has any other parameter, the call fails with an error that contains the parameter's name.
    """
    return lambda handler: Operation(handler, frozenset(params))


def refuse_unmodelled_params(call: Call, modelled: Iterable[str]) -> None:
    """Reject parameters that are not modelled, because a silently ignored parameter would mislead the caller.

    Raises:
        AwsError: `NotImplemented`, with a message that lists the parameters.
    """
    unmodelled = sorted({name for name, value in call.params.items() if value is not None} - set(modelled))
    if unmodelled:
        raise not_modelled_error(f"{', '.join(unmodelled)} of {call.service}:{call.operation}")


def not_modelled_error(what: str) -> AwsError:
    """Return the error for a part of a request that the local AWS emulator does not model.

    Real AWS never returns this error.
    """
    return AwsError("NotImplemented", f"The local AWS emulator does not model {what}.", 501)
