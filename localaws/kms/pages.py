"""Lists in pages, as `Limit` and `Marker` ask for them and botocore's paginators go through them.

How many items a page has, and at most can have: botocore's KMS model, the texts of `Limit`.
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
    """One page of a list: which one, the call says.

    Args:
        call: With `Limit` and `Marker`.
        name: What the list is called in the answer, `Aliases`.
        items: All of it, always in the same order.

    Raises:
        AwsError: `InvalidMarkerException`; `ValidationException` for a `Limit` out of bounds, whose text for a bound
            below that of the model was found recorded nowhere.
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
    """A marker is not to be understood: "Do not attempt to construct this value" (botocore, `Marker`)."""
    return base64.b64encode(f"from {position}".encode()).decode()


def _decode_marker(marker: str, length: int) -> int:
    try:
        position = int(base64.b64decode(marker, validate=True).decode().removeprefix("from "))
    except (binascii.Error, ValueError):
        position = -1
    if not 0 <= position <= length:
        raise AwsError("InvalidMarkerException", f"The marker {marker} is not valid.")
    return position
