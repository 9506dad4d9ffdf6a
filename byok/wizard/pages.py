"""Renders pages from templates."""

import html
import json
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from byok.api.authentication import ANONYMOUS_CALLER
from byok.api.problems import PROBLEM_CODE
from byok.domain.help_pages import build_help_url, get_docs_url
from byok.domain.problems.titles import find_problem_title
from byok.domain.regions import describe_region
from byok.domain.vendor import VendorProfile
from byok.wizard.remedy_words import address_customer, say_retry
from byok.wizard.sessions import Session, SessionCookies
from byok.wizard.toasts import find_toast
from byok.wizard.views import ATTEMPT_NAMES, PHASE_NAMES, PHASE_TONES

STEP_TITLES: Final = ("Environment", "Encryption at rest", "Review", "Progress", "Tenant name")
"""The titles of the wizard's steps (contract 13)."""


class PageRenderer:
    """Renders the templates with the values that every template needs.

    Args:
        vendor: The vendor profile.
        signs_in: Whether users must sign in. If users must sign in, every page shows *Sign out*.
    """

    def __init__(self, vendor: VendorProfile, *, signs_in: bool) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            auto_reload=False,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "json": _json,
            "clock": _clock,
            "region": describe_region,
            "say_retry": say_retry,
            "address_customer": address_customer,
        }
        self._templates.filters |= {"help_url": build_help_url, "problem_title": _title_problem}
        self._templates.globals["docs_url"] = get_docs_url
        self._templates.globals |= {"vendor": vendor.name, "steps": STEP_TITLES, "signs_in": signs_in}
        self._templates.globals |= {"attempt_names": ATTEMPT_NAMES, "anonymous": ANONYMOUS_CALLER.subject}
        self._templates.globals |= {"phase_names": PHASE_NAMES, "phase_tones": PHASE_TONES}

    def render(
        self, request: Request, template: str, *, session: Session | None = None, status: int = 200, **values: Any
    ) -> Response:
        """Render a page.

        Args:
            request: The request for the page.
            template: The name of the template file.
            session: The user's session, if any. The page gets the session's form token, and the response sets the
                cookie of a new session.
            status: The HTTP status.
            values: The template's values.
        """
        common = {
            "session": session,
            "form_token": session.form_token if session else "",
            "path": request.url.path,
            "problem_code": request.scope.get("state", {}).get(PROBLEM_CODE),
            "toast": find_toast(request),
            "undo_url": None,
            "theme": _find_theme(request),
        }
        text = self._templates.get_template(template).render(**common | values)
        response = HTMLResponse(text, status)
        if session is not None and session.is_new:
            sessions: SessionCookies = request.app.state.sessions
            sessions.set_cookie(request, response, session)
        return response


def _find_theme(request: Request) -> str:
    """Return the colour scheme that the user chose: `light`, `dark`, or an empty string for the browser's scheme."""
    theme = request.cookies.get("byok_theme", "")
    return theme if theme in {"light", "dark"} else ""


def _json(value: Any) -> Markup:
    """Return a value as JSON for the text of an HTML element.

    Quotes are not escaped, because only attributes need escaped quotes, and an escaped quote takes five times as much
    space.
    """
    return Markup(html.escape(json.dumps(value, indent=2), quote=False))  # noqa: S704 - the text is escaped here


def _title_problem(code: str) -> Markup:
    """Return the title of a problem, or its code if the code alone does not identify the problem."""
    title = find_problem_title(code)
    return Markup("<code>{}</code>").format(code) if title is None else escape(title)


def _clock(at: datetime) -> str:
    return f"{at:%H:%M:%S} UTC"
