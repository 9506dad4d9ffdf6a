"""Who sits at the browser: a signed cookie says it, and a form has to say that it comes from our page."""

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
"""A working day; a token that ends sooner ends its session with it."""


@dataclass(frozen=True)
class Session:
    """A visit.

    Attributes:
        caller: Who it is.
        form_token: What every form of this visit carries. Another site's form does not know it.
    """

    caller: Caller
    form_token: str

    def has_scope(self, scope: Scope) -> bool:
        """Whether the visitor may do something."""
        return scope in self.caller.scopes

    def has_valid_form_token(self, form: Mapping[str, Any]) -> bool:
        """Whether a form comes from this visit."""
        return hmac.compare_digest(
            str(form.get("form_token", "")).encode(errors="surrogatepass"), self.form_token.encode()
        )


class SessionCookies:
    """Reads and writes sessions. The cookie holds what the visitor may do, and never the token that said so.

    Args:
        secret: What cookies are signed with; those signed with another one are none.
        everybody: Whether nobody is asked who they are.
    """

    def __init__(self, secret: str, *, everybody: bool) -> None:
        self._serializer = URLSafeTimedSerializer(secret, salt="byok.session")
        self._everybody = everybody

    def load(self, request: Request) -> Session | None:
        """The session of a request, None where there is none that is still good."""
        cookie = request.cookies.get(COOKIE_NAME, "")
        try:
            held = self._serializer.loads(cookie, max_age=LIFETIME_SECONDS)
        except BadSignature:
            held = None
        if held is None or held["until"] < time.time():
            return self.start_session(ANONYMOUS_CALLER) if self._everybody else None
        scopes = frozenset(Scope(one) for one in held["scopes"])
        return Session(Caller(held["organisation"], scopes, held["until"]), held["form_token"])

    def start_session(self, caller: Caller) -> Session:
        """A new session: it ends with the token, and after a working day however much it is used."""
        ends = time.time() + LIFETIME_SECONDS
        until = ends if caller.until is None else min(caller.until, ends)
        return Session(replace(caller, until=until), secrets.token_urlsafe(24))

    def set_cookie(self, request: Request, response: Response, session: Session) -> None:
        """Let the browser keep a session."""
        held = {
            "organisation": session.caller.organisation,
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
        """Let the browser forget it."""
        response.delete_cookie(COOKIE_NAME, path="/")
