"""Paginated lists, controlled by `MaxRecords` and `Marker` (botocore's rds model: 20 to 100, with a default of 100)."""

from typing import Any, Final

from localaws.call import Call
from localaws.paging import InvalidMarkerError, split_page
from localaws.rds.input import invalid_value_error

_LEAST: Final = 20
_MOST: Final = 100


def paginate(call: Call, name: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the page of a list that the call requests.

    Args:
        call: A call with `MaxRecords` and `Marker`.
        name: The list's name in the response, such as `DBClusters`.
        items: The complete list, in an order that never changes.

    Raises:
        AwsError: `InvalidParameterValue`. We found no recording of AWS's error for an invalid marker.
    """
    limit = call.params.get("MaxRecords") or _MOST
    if not _LEAST <= limit <= _MOST:
        raise invalid_value_error(f"Invalid value {limit} for MaxRecords. Must be between {_LEAST} and {_MOST}")
    try:
        page, following = split_page(items, limit, call.params.get("Marker"))
    except InvalidMarkerError as error:
        raise invalid_value_error(f"Invalid marker: {error}") from error
    return {name: page} | ({"Marker": following} if following else {})
