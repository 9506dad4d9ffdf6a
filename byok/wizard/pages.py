"""Makes pages of templates."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from byok.domain.vendor import VendorProfile
from byok.wizard.sessions import Session, SessionCookies

STEP_TITLES: Final = ("Environment", "Encryption at rest", "Review", "Progress", "Tenant name")
"""The steps of the wizard, as people see them (contract 13)."""


class PageRenderer:
    """The templates, with what all of them need.

    Args:
        vendor: The vendor's names.
        signs_in: Whether there is anything to sign out of.
    """

    def __init__(self, vendor: VendorProfile, *, signs_in: bool) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {"json": _json, "clock": _clock}
        self._templates.globals |= {"vendor": vendor.name, "steps": STEP_TITLES, "signs_in": signs_in}

    def render(
        self, request: Request, template: str, *, session: Session | None = None, status: int = 200, **values: Any
    ) -> Response:
        """A page.

        Args:
            request: What asked for it.
            template: Name of the file.
            session: Whose forms it holds, if any; the browser is given it to keep.
            status: The HTTP status.
            values: What the template shows.
        """
        text = self._templates.get_template(template).render(
            session=session, form_token=session.form_token if session else "", **values
        )
        response = HTMLResponse(text, status)
        if session is not None:
            sessions: SessionCookies = request.app.state.sessions
            sessions.set_cookie(request, response, session)
        return response


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
