"""One AWS API call as the rules see it, its answer, and how it is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from byok.domain.iam.evaluator import CallingPrincipal


@dataclass
class Call:
    """A decoded call.

    Attributes:
        service: botocore's service name: `s3`, `rds`, `kms`, `sts`, `iam`, `cloudformation`.
        operation: The API operation, `PutObject`.
        params: The input in the API's own shape (`params["KmsKeyId"]`); of an S3 call what the rules need of it.
        caller: Who signed it.
        region: The Region the call went to.
        request_id: What the answer carries as request id.
        environ: The WSGI environment; rules of S3 may rewrite a header before moto reads it.
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
    """What goes back over the wire."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


class AwsError(Exception):
    """A refusal in AWS's own terms; the layer writes it in the wire format of the call's service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


Handler = Callable[[Call], dict[str, Any]]
"""Carries a call out and gives its output in the API's own shape; raises `AwsError` to refuse it."""
