"""Functions that all steps of the wizard need: open the user's draft, save the draft, and go to another step."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from byok.wizard.draft import EnvironmentDraft
from byok.wizard.pages import PageRenderer
from byok.wizard.saved_drafts import SavedDraft, SavedDrafts
from byok.wizard.sessions import Session


@dataclass(frozen=True)
class WizardSteps:
    """The steps of the wizard for one request."""

    request: Request
    session: Session
    pages: PageRenderer
    drafts: SavedDrafts

    @property
    def organisation(self) -> str | None:
        """The user's organisation; None for the vendor's staff."""
        return self.session.caller.organisation

    @property
    def prefix(self) -> str:
        """The prefix of the ids of the user's environments."""
        return self.session.caller.environment_id_prefix

    def open_draft(self, fields: Mapping[str, Any]) -> EnvironmentDraft:
        """Return the draft of a request. Fields that are missing from the request get their saved values."""
        return self.drafts.complete(self.request, self.session, EnvironmentDraft.from_fields(fields), set(fields))

    def list_saved_drafts(self) -> list[SavedDraft]:
        """Return the drafts that the user can continue, most recently saved first."""
        return self.drafts.list_drafts(self.request, self.session)

    def save(self, response: Response, draft: EnvironmentDraft) -> None:
        """Save the draft in a cookie that is sent with the response."""
        self.drafts.save(self.request, response, self.session, draft)

    def go_to(self, page: str, draft: EnvironmentDraft, *, asked: bool = False, fragment: str = "") -> Response:
        """Redirect to a step. See `EnvironmentDraft.page_url`."""
        address = draft.page_url(page, asked=asked) + (f"#{fragment}" if fragment else "")
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER)
        self.save(response, draft)
        return response

    def render(self, template: str, draft: EnvironmentDraft, *, status: int = HTTPStatus.OK, **values: Any) -> Response:
        """Render a step, and save its draft."""
        page = self.pages.render(self.request, template, session=self.session, status=status, draft=draft, **values)
        self.save(page, draft)
        return page
