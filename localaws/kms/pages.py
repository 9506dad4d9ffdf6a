"""Paginated lists, controlled by `Limit` and `Marker` as botocore's paginators use them.

Source of the default and maximum page sizes: the documentation of `Limit` in botocore's KMS model.
"""

from typing import Any, Final

from localaws.call import AwsError, Call
from localaws.paging import InvalidMarkerError, split_page

_USUAL_AND_MOST: Final = {
    "ListAliases": (50, 100),
    "ListGrants": (50, 100),
    "ListKeyPolicies": (100, 1000),
    "ListKeyRotations": (100, 1000),
    "ListKeys": (100, 1000),
    "ListResourceTags": (50, 50),
}


def paginate(call: Call, name: str, items: list[Any]) -> dict[str, Any]:
    """Return the page of a list that the call requests.

    Args:
        call: A call with `Limit` and `Marker`.
        name: The list's name in the response, such as `Aliases`.
        items: The complete list, in an order that never changes.

    Raises:
        AwsError: `InvalidMarkerException`, or `ValidationException` for an out-of-range `Limit`. The message is
            inferred: we found no recorded AWS response to a `Limit` that botocore's model allows but that exceeds the
            documented maximum.
    """
    usual, most = _USUAL_AND_MOST[call.operation]
    limit = call.params.get("Limit") or usual
    if not 1 <= limit <= most:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have "
            f"value less than or equal to {most}",
        )
    try:
        page, following = split_page(items, limit, call.params.get("Marker"))
    except InvalidMarkerError as error:
        raise AwsError("InvalidMarkerException", f"The marker {error} is not valid.") from error
    return {name: page, "Truncated": following is not None} | ({"NextMarker": following} if following else {})
