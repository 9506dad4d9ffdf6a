"""What goes over the wire: a request, an answer, a refusal in the shape of each service, and XML."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

_NUMBERS: Final = count(1)


@dataclass(slots=True)
class HttpRequest:
    """A request; the names of its headers are in lower case, its path is as it came."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class HttpResponse(NamedTuple):
    """An answer, but for its length."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class AwsError(Exception):
    """What a service says instead of doing what it was asked for.

    Attributes:
        more: Further elements that S3 writes into its refusal.
    """

    def __init__(self, code: str, message: str, status: int = 400, more: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more or {}


def not_modelled_error(what: str) -> AwsError:
    """The refusal of whatever no activity calls on the happy way."""
    return AwsError("NotImplemented", f"The stand-in does not model {what}.", 501)


def new_request_id() -> str:
    """A request id that was not given before."""
    return f"{next(_NUMBERS):016X}"


def serialize_error(service: str, refused: AwsError, *, head: bool = False) -> HttpResponse:
    """A refusal as the service writes it; the answer to a HEAD has no body, and so hides the reason."""
    request_id = new_request_id()
    error = render_xml({"Code": refused.code, "Message": refused.message})
    if service == "s3":
        body = f"<Error>{error}{render_xml(refused.more)}<RequestId>{request_id}</RequestId></Error>"
        headers = {"content-type": "application/xml", "x-amz-request-id": request_id}
        return HttpResponse(refused.status, headers, b"" if head else body.encode())
    kind = "Sender" if refused.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{kind}</Type>{error}</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return HttpResponse(refused.status, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def serialize_query_result(namespace: str, operation: str, result: str) -> HttpResponse:
    """A result in the query protocol, that of RDS and STS."""
    request_id = new_request_id()
    body = (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return HttpResponse(200, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def render_xml(fields: Mapping[str, Any]) -> str:
    """Elements; a list is given as the name of its items and the items."""
    return "".join(f"<{name}>{_content(value)}</{name}>" for name, value in fields.items() if value is not None)


def _content(value: Any) -> str:
    if isinstance(value, Mapping):
        return render_xml(value)
    if isinstance(value, tuple):
        name, items = value
        return "".join(f"<{name}>{_content(item)}</{name}>" for item in items)
    return escape(str(value))
