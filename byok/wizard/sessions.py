"""Keeps sessions in signed cookies, and protects forms with a token."""

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from byok.api.authentication import ANONYMOUS_CALLER, Caller
from byok.domain.scopes import Scope

COOKIE_NAME: Final = "byok_session"
LIFETIME_SECONDS: Final = 8 * 3600
"""The length of a session: a working day. A session ends earlier if the access token expires earlier."""


@dataclass(frozen=True)
class Session:
    """A user's session.

    Attributes:
        caller: The signed-in user.
        form_token: The secret in every form of this session. A form on another site cannot know the secret.
    """

    caller: Caller
    form_token: str

    def has_scope(self, scope: Scope) -> bool:
        """Return whether the user has a scope."""
        return scope in self.caller.scopes

    def has_valid_form_token(self, form: Mapping[str, Any]) -> bool:
        """Return whether a form comes from this session."""
        return hmac.compare_digest(
            str(form.get("form_token", "")).encode(errors="surrogatepass"), self.form_token.encode()
        )


class SessionCookies:
    """Reads and writes session cookies. A cookie contains the user's scopes, but never the user's access token.

    Args:
        secret: The signing secret; cookies signed with another secret are invalid.
        anonymous: Whether users can use the wizard without signing in.
    """

    def __init__(self, secret: str, *, anonymous: bool) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="byok.session")
        self._anonymous = anonymous

    def load(self, request: Request) -> Session | None:
        """Return the session of a request; None if the user must sign in."""
        cookie = request.cookies.get(COOKIE_NAME, "")
        try:
            held = self._serializer.loads(cookie, max_age=LIFETIME_SECONDS)
        except BadSignature:
            held = None
        if held is None or held["until"] < time.time():
            return self.start_session(ANONYMOUS_CALLER) if self._anonymous else None
        scopes = frozenset(Scope(one) for one in held["scopes"])
        caller = Caller(held["organisation"], scopes, held["until"], held["subject"], held["token_id"])
        return Session(caller, held["form_token"])

    def start_session(self, caller: Caller) -> Session:
        """Start a session.

        The session ends after a working day even if the user is still active, or earlier if the access token expires.
        """
        ends = time.time() + LIFETIME_SECONDS
        until = ends if caller.until is None else min(caller.until, ends)
        return Session(replace(caller, until=until), secrets.token_urlsafe(24))

    def set_cookie(self, request: Request, response: Response, session: Session) -> None:
        """Set the session's cookie."""
        held = {
            "organisation": session.caller.organisation,
            "subject": session.caller.subject,
            "token_id": session.caller.token_id,
            "scopes": sorted(session.caller.scopes),
            "until": session.caller.until,
            "form_token": session.form_token,
        }
        response.set_cookie(
            COOKIE_NAME,
            str(self._serializer.dumps(held)),
            max_age=LIFETIME_SECONDS,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )

    def delete_cookie(self, response: Response) -> None:
        """Delete the session's cookie."""
        response.delete_cookie(COOKIE_NAME, path="/")
