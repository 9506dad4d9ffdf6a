"""Keeps drafts in cookies, one cookie for each draft, so that a draft survives without its URL (decision 0046)."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from byok.wizard.cookies import CookieWriter
from byok.wizard.draft import DRAFT_ID_PATTERN, EnvironmentDraft
from byok.wizard.sessions import Session

MAX_SAVED_DRAFTS: Final = 20
"""How many drafts one browser keeps. The oldest draft is removed first."""

MAX_SAVED_BYTES: Final = 7000
"""The maximum size of all drafts. By default, nginx rejects a `Cookie` header of more than 8 KiB, and this header also
contains the session's cookie.
"""

_MAX_DRAFT_BYTES: Final = 3000
"""The maximum size of one draft. Browsers reject a cookie of more than 4 KiB. A longer draft is stored only in its URL.
"""

_LIFETIME_SECONDS: Final = 30 * 24 * 3600
_PATH: Final = "/new"
"""Only the pages that create an environment receive the cookies."""

_NAME: Final = "byok_draft_"


@dataclass(frozen=True)
class SavedDraft:
    """A draft in a cookie.

    Attributes:
        saved_at: When the draft was last saved.
    """

    draft: EnvironmentDraft
    saved_at: datetime


class SavedDrafts:
    """Saves and loads drafts. Only the user who saved a draft can load it, even on a shared computer.

    Args:
        secret: The signing secret. Without the signature, another site in the same domain could set the cookie of a
            draft with the ARNs of an attacker's keys.
        https: Whether users reach the server over HTTPS; None if the server does not know its public URL and must rely
            on the scheme of each request.
    """

    def __init__(self, secret: str, *, https: bool | None = None) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="byok.draft")
        self._writer = CookieWriter(_PATH, https)

    def list_drafts(self, request: Request, session: Session) -> list[SavedDraft]:
        """Return the user's drafts, most recently saved first."""
        found = [self._read(value, session, draft_id) for draft_id, value in self._cookies(request).items()]
        return sorted((one for one in found if one), key=lambda one: one.saved_at, reverse=True)

    def complete(
        self, request: Request, session: Session, draft: EnvironmentDraft, given: set[str]
    ) -> EnvironmentDraft:
        """Return a draft, with the saved values of the fields that the request does not contain.

        A draft without an id gets an id.

        Args:
            request: The request.
            session: The user's session.
            draft: The draft in the request.
            given: The fields in the request. If a field is present but empty, the user has cleared it.
        """
        if not draft.draft:
            return draft.model_copy(update={"draft": secrets.token_urlsafe(6)})
        value = self._cookies(request).get(draft.draft)
        saved = self._read(value, session, draft.draft) if value else None
        if saved is None:
            return draft
        missing = {
            name: getattr(saved.draft, name)
            for name, field in EnvironmentDraft.model_fields.items()
            if name not in given and getattr(draft, name) == field.default
        }
        return draft.model_copy(update=missing)

    def save(self, request: Request, response: Response, session: Session, draft: EnvironmentDraft) -> None:
        """Save a draft, and remove the oldest drafts if there are too many. An empty draft is not saved."""
        if not (draft.name or draft.region or draft.s3_key_arn or draft.rds_key_arn):
            return
        fields = draft.model_dump(mode="json", exclude_defaults=True, exclude={"draft"})
        value = str(self._serializer.dumps([_owner(session), fields]))
        if len(value) > _MAX_DRAFT_BYTES:
            return
        self._writer.set(request, response, self._prefix(request) + draft.draft, value, _LIFETIME_SECONDS)
        others = {name: old for name, old in self._cookies(request).items() if name != draft.draft}
        room, count = MAX_SAVED_BYTES - len(value), 1
        for name in sorted(others, key=lambda one: self._saved_at(others[one]), reverse=True):
            room, count = room - len(others[name]), count + 1
            if room < 0 or count > MAX_SAVED_DRAFTS:
                self._delete(request, response, name)

    def discard(self, request: Request, response: Response, draft_id: str) -> None:
        """Remove a draft."""
        if draft_id in self._cookies(request):
            self._delete(request, response, draft_id)

    def _delete(self, request: Request, response: Response, draft_id: str) -> None:
        self._writer.delete(request, response, self._prefix(request) + draft_id)

    def _cookies(self, request: Request) -> dict[str, str]:
        prefix = self._prefix(request)
        found = {name.removeprefix(prefix): value for name, value in request.cookies.items() if name.startswith(prefix)}
        return {name: value for name, value in found.items() if re.fullmatch(DRAFT_ID_PATTERN, name)}

    def _read(self, value: str, session: Session, draft_id: str) -> SavedDraft | None:
        try:
            (owner, fields), saved_at = self._serializer.loads(value, max_age=_LIFETIME_SECONDS, return_timestamp=True)
        except (BadSignature, ValueError, TypeError):
            return None
        if owner != _owner(session):
            return None
        return SavedDraft(EnvironmentDraft.from_fields({**fields, "draft": draft_id}), saved_at)

    def _saved_at(self, value: str) -> float:
        """Return when a draft was saved, in seconds since 1970; 0 for a cookie that is not valid."""
        try:
            return float(self._serializer.loads(value, return_timestamp=True)[1].timestamp())
        except (BadSignature, ValueError, TypeError):
            return 0.0

    def _prefix(self, request: Request) -> str:
        # Browsers accept a cookie with this prefix only over HTTPS (RFC 6265bis, section 4.1.3.1).
        return f"__Secure-{_NAME}" if self._writer.is_https(request) else _NAME


def _owner(session: Session) -> str:
    """Return a short digest of the user, so that the cookies on a shared computer do not reveal its users."""
    identity = f"{session.caller.organisation}\n{session.caller.subject}"
    return hashlib.sha256(identity.encode()).hexdigest()[:12]
