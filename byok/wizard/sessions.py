"""Keeps sessions in signed cookies, and protects forms with a token."""

import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from byok.api.authentication import ANONYMOUS_CALLER, Caller
from byok.domain.scopes import Scope
from byok.wizard.cookies import CookieWriter
from byok.wizard.ended_sessions import EndedSessions

COOKIE_NAME: Final = "byok_session"
SECURE_COOKIE_NAME: Final = f"__Host-{COOKIE_NAME}"
"""Browsers accept a cookie with this prefix only over HTTPS and only from the host itself, so neither another subdomain
nor a network attacker can set such a cookie (RFC 6265bis, section 4.1.3.2)."""

LIFETIME_SECONDS: Final = 8 * 3600
"""The maximum length of a session, about a working day. A session ends earlier if the access token expires earlier."""


@dataclass(frozen=True)
class Session:
    """A user's session.

    Attributes:
        caller: The signed-in user.
        form_token: The secret in every form of this session. A form on another site cannot know the secret.
        id: The session's random id, which byok records when the user ends the session.
        started: When the session started, in seconds since 1970.
        provider: The key of the identity provider with which the user signed in; None if the user entered a token.
        is_new: Whether the user's browser has no cookie for this session yet.
    """

    caller: Caller
    form_token: str
    id: str
    started: float
    provider: str | None = None
    is_new: bool = field(default=False, compare=False)

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
        https: Whether users reach the server over HTTPS; None if the server does not know its public URL and must rely
            on the scheme of each request.
        ended: The sessions that users have ended.
    """

    def __init__(
        self, secret: str, *, anonymous: bool, https: bool | None = None, ended: EndedSessions | None = None
    ) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="byok.session")
        self._anonymous = anonymous
        self._writer = CookieWriter("/", https)
        self._ended = ended or EndedSessions()

    def load(self, request: Request) -> Session | None:
        """Return the session of a request; None if the user must sign in."""
        try:
            held = self._serializer.loads(self.read_cookie(request) or "", max_age=LIFETIME_SECONDS)
        except BadSignature:
            held = None
        if held is not None and held["caller"]["until"] >= time.time():
            scopes = frozenset(Scope(one) for one in held["caller"]["scopes"])
            session = Session(**{**held, "caller": Caller(**{**held["caller"], "scopes": scopes})})
            if not self.has_ended(session):
                return session
        return self.start_session(ANONYMOUS_CALLER) if self._anonymous else None

    def start_session(self, caller: Caller, provider: str | None = None) -> Session:
        """Start a session.

        The session ends after a working day even if the user is still active, or earlier if the user's token expires.

        Args:
            caller: The user.
            provider: The key of the identity provider with which the user signed in, if any.
        """
        started = time.time()
        ends = started + LIFETIME_SECONDS
        until = ends if caller.until is None else min(caller.until, ends)
        return Session(
            replace(caller, until=until), secrets.token_urlsafe(24), secrets.token_urlsafe(16), started, provider,
            is_new=True,
        )  # fmt: skip

    def end_session(self, session: Session) -> None:
        """End a session, so that no copy of the session's cookie is valid any longer.

        Raises:
            OSError: The directory that the processes share is not writable.
        """
        self._ended.add(session.id, session.caller.until or session.started + LIFETIME_SECONDS)

    def has_ended(self, session: Session) -> bool:
        """Return whether the user has ended the session."""
        return self._ended.contains(session.id, session.started)

    def read_cookie(self, request: Request) -> str | None:
        """Return the value of the session's cookie; None if the request has no such cookie."""
        return request.cookies.get(self._cookie_name(request))

    def set_cookie(self, request: Request, response: Response, session: Session) -> None:
        """Set the session's cookie. The cookie is set only once, because its content never changes during a session."""
        held = asdict(session)
        del held["is_new"]
        held["caller"]["scopes"] = sorted(session.caller.scopes)
        value = str(self._serializer.dumps(held))
        self._writer.set(request, response, self._cookie_name(request), value, LIFETIME_SECONDS)

    def delete_cookie(self, request: Request, response: Response) -> None:
        """Delete the session's cookie."""
        self._writer.delete(request, response, self._cookie_name(request))

    def _cookie_name(self, request: Request) -> str:
        return SECURE_COOKIE_NAME if self._writer.is_https(request) else COOKIE_NAME
