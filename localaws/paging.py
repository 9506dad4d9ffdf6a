"""Splits lists into pages, with an opaque marker for the next page.

Each service has its own parameter names, limits and errors.
"""

import base64
import binascii
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class InvalidMarkerError(ValueError):
    """Raised for a marker that is not valid for the list."""


def split_page(items: Sequence[Item], limit: int, marker: str | None) -> tuple[Sequence[Item], str | None]:
    """Return the page that starts at a marker, and the marker of the next page (None after the last page).

    Args:
        items: The complete list, in an order that never changes.
        limit: The maximum number of items on a page.
        marker: The marker that was returned with the previous page. None or empty for the first page.

    Raises:
        InvalidMarkerError: The marker is not valid for the list.
    """
    begin = _decode_marker(marker, len(items)) if marker else 0
    end = begin + limit
    return items[begin:end], _encode_marker(end) if end < len(items) else None


def _encode_marker(position: int) -> str:
    """Encode a position as an opaque marker.

    AWS tells clients about markers: "Do not attempt to construct this value" (botocore's KMS model, `Marker`).
    """
    return base64.b64encode(f"from {position}".encode()).decode()


def _decode_marker(marker: str, length: int) -> int:
    try:
        position = int(base64.b64decode(marker, validate=True).decode().removeprefix("from "))
    except (binascii.Error, ValueError):
        position = -1
    if not 0 <= position <= length:
        raise InvalidMarkerError(marker)
    return position
