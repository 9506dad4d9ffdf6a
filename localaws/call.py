"""A decoded AWS API call, the response to a call, and the error that rejects a call."""

from collections.abc import Callable
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
    """An AWS error. The server renders it in the wire format of the call's service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


Handler = Callable[[Call], dict[str, Any]]
"""A function that executes a call, and returns the output as the API defines it or raises `AwsError`."""
