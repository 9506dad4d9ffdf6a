"""Toasts: short confirmations of an action, on the page that follows the action.

The redirect to that page contains a code for one of several fixed texts. A link from another site therefore cannot make
the page show any other text.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

_PARAMETER: Final = "done"


class Toast(StrEnum):
    """The action that the toast confirms."""

    RETRIED = "retried"
    CHECKED = "checked"
    FAULT_FOUND = "fault-found"
    CANCELLING = "cancelling"
    DELETING = "deleting"
    DISCARDED = "discarded"


_TEXTS: Final = {
    Toast.RETRIED: "Retry started",
    Toast.CHECKED: "Check completed: everything is in order",
    Toast.FAULT_FOUND: "Check completed: see the health of the environment",
    Toast.CANCELLING: "Cancellation requested",
    Toast.DELETING: "Deletion started",
    Toast.DISCARDED: "Draft discarded",
}


def redirect_with_toast(url: str, toast: Toast, **more: str) -> Response:
    """Redirect to a page that shows a toast. The URL also contains any other given parameters."""
    return RedirectResponse(f"{url}?{urlencode({_PARAMETER: toast, **more})}", HTTPStatus.SEE_OTHER)


def find_toast(request: Request) -> str | None:
    """Return the text of the toast that a page shows; None if the page shows no toast."""
    code = request.query_params.get(_PARAMETER, "")
    return _TEXTS[Toast(code)] if code in _TEXTS else None
