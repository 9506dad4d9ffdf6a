"""Paginated lists, controlled by `Limit` and `Marker` as botocore's paginators use them.

Source of the default and maximum page sizes: the documentation of `Limit` in botocore's KMS model.
"""

import base64
import binascii
from typing import Any, Final

from localaws.call import AwsError, Call

_USUAL_AND_MOST: Final = {
    "ListAliases": (50, 100),
    "ListGrants": (50, 100),
    "ListKeys": (100, 1000),
    "ListResourceTags": (50, 50),
}


def paginate(call: Call, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page of a list that the call requests.

    Args:
        call: A call with `Limit` and `Marker`.
        name: The list's name in the response, such as `Aliases`.
        items: The complete list, always in the same order.

    Raises:
        AwsError: `InvalidMarkerException`; `ValidationException` for a `Limit` out of bounds. No record was found of
            AWS's message for a `Limit` that botocore's model accepts, but that the operation's documentation excludes.
    """
    usual, most = _USUAL_AND_MOST[call.operation]
    limit = call.params.get("Limit") or usual
    if not 1 <= limit <= most:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have "
            f"value less than or equal to {most}",
        )
    begin = _decode_marker(call.params["Marker"], len(items)) if call.params.get("Marker") else 0
    end = begin + limit
    answer: dict[str, Any] = {name: items[begin:end], "Truncated": end < len(items)}
    return answer | ({"NextMarker": _encode_marker(end)} if answer["Truncated"] else {})


def _encode_marker(position: int) -> str:
    """Encode a position as an opaque marker: "Do not attempt to construct this value" (botocore, `Marker`)."""
    return base64.b64encode(f"from {position}".encode()).decode()


def _decode_marker(marker: str, length: int) -> int:
    try:
        position = int(base64.b64decode(marker, validate=True).decode().removeprefix("from "))
    except (binascii.Error, ValueError):
        position = -1
    if not 0 <= position <= length:
        raise AwsError("InvalidMarkerException", f"The marker {marker} is not valid.")
    return position
