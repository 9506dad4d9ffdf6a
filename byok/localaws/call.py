"""One AWS API call as the rules see it, and how a rule refuses it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Principal:
    """Who signed a call.

    Attributes:
        arn: As AWS prints it: `arn:aws:sts::…:assumed-role/Role/session` or `arn:aws:iam::…:user/…`.
        account: The 12-digit account it belongs to.
        role_arn: The IAM role behind an assumed-role session, else None.
    """

    arn: str
    account: str
    role_arn: str | None = None


@dataclass
class Call:
    """A decoded call.

    Attributes:
        service: botocore's service name: `s3`, `rds`, `kms`, `sts`, `iam`, `cloudformation`.
        operation: The API operation, `PutObject`.
        params: The input in the API's own shape (`params["KmsKeyId"]`), as botocore's model names it.
        caller: Who signed it.
        region: The Region the call went to.
        request_id: What the answer will carry as request id.
        body: The raw request body.
        notes: What an earlier rule found out and a later one may use.
    """

    service: str
    operation: str
    params: dict[str, Any]
    caller: Principal
    region: str
    request_id: str
    body: bytes = b""
    notes: dict[str, Any] = field(default_factory=dict)


class AwsError(Exception):
    """A refusal in AWS's own terms; the layer writes it in the wire format of the call's service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


Rule = Callable[[Call], None]
"""Looks at a call before moto does; raises `AwsError` to refuse it."""
