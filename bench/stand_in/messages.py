"""The wire formats: a request, a response, an error in each service's format, and XML."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape

_NUMBERS: Final = count(1)


@dataclass(slots=True)
class HttpRequest:
    """A request. Header names are in lower case, and the path is still URL-encoded."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class HttpResponse(NamedTuple):
    """A response. The connection adds the Content-Length header if the response has none."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class AwsError(Exception):
    """A service's error response.

    Attributes:
        more: Additional elements of an S3 error.
    """

    def __init__(self, code: str, message: str, status: int = 400, more: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.more = code, message, status, more or {}


def not_modelled_error(what: str) -> AwsError:
    """Return the error for a call that the stand-in does not model."""
    return AwsError("NotImplemented", f"The stand-in does not model {what}.", 501)


def new_request_id() -> str:
    """Return a new request id."""
    return f"{next(_NUMBERS):016X}"


def serialize_error(service: str, refused: AwsError, *, head: bool = False) -> HttpResponse:
    """Render an error in the service's format. A response to HEAD has no body, and therefore no error code."""
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
    """Render a result in the query protocol, which RDS and STS use."""
    request_id = new_request_id()
    body = (
        f'<{operation}Response xmlns="{namespace}"><{operation}Result>{result}</{operation}Result>'
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    )
    return HttpResponse(200, {"content-type": "text/xml", "x-amzn-requestid": request_id}, body.encode())


def render_xml(fields: Mapping[str, Any]) -> str:
    """Render fields as XML elements. A list is given as a tuple: the element name of its items, and the items."""
    return "".join(f"<{name}>{_content(value)}</{name}>" for name, value in fields.items() if value is not None)


def _content(value: Any) -> str:
    if isinstance(value, Mapping):
        return render_xml(value)
    if isinstance(value, tuple):
        name, items = value
        return "".join(f"<{name}>{_content(item)}</{name}>" for item in items)
    return escape(str(value))
