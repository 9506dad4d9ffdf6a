"""Stores an incomplete sign-in in an encrypted cookie in the user's browser."""

import base64
import json
import secrets
import time
import zlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from starlette.requests import Request
from starlette.responses import Response

from byok.wizard.cookies import CookieWriter
from byok.wizard.ended_sessions import EndedSessions
from byok.wizard.sign_in_faults import SignInError, SignInFault

LIFETIME_SECONDS: Final = 600
"""The time that a user has to sign in at the provider."""

_COOKIE_NAME: Final = "byok_sign_in"
_MAX_COOKIE_CHARACTERS: Final = 3800
"""Browsers must support cookies of 4,096 bytes, including the name and the attributes (RFC 6265, section 6.1)."""


@dataclass(frozen=True)
class PendingSignIn:
    """A sign-in that has been started.

    Attributes:
        provider: The key of the identity provider.
        to: The local address to return to.
        state: The random value that binds the provider's response to this browser (RFC 6749, section 10.12).
        nonce: The random value that binds the ID token to this sign-in (OpenID Connect Core 1.0, section 15.5.2).
        verifier: The PKCE code verifier, without which the authorization code is useless (RFC 7636).
        started: When the sign-in was started, in seconds since 1970.
    """

    provider: str
    to: str
    state: str
    nonce: str
    verifier: str
    started: float


class PendingSignIns:
    """Starts and completes sign-ins.

    Each sign-in can be completed only once, before it expires, and in the browser that started it.

    Args:
        secret: The secret from which the encryption key is derived. All processes behind one address must use the same
            secret.
        providers: The keys of the identity providers.
        https: Whether users reach the server over HTTPS.
        used: The sign-ins that have been completed. The processes share this record in the same way as the record of
            ended sessions.
    """

    def __init__(self, secret: str, providers: Collection[str], *, https: bool, used: EndedSessions) -> None:
        key = HKDF(hashes.SHA256(), length=32, salt=None, info=b"byok.sign-in").derive(secret.encode())
        self._cipher = Fernet(base64.urlsafe_b64encode(key))
        self._providers = providers
        self._writer = CookieWriter("/", https)
        self._used = used

    @property
    def cookie_name(self) -> str:
        """The name of the cookie."""
        return f"__Host-{_COOKIE_NAME}" if self._writer.https else _COOKIE_NAME

    def start(self, request: Request, response: Response, pending: PendingSignIn) -> None:
        """Store a sign-in in the browser, in place of any other sign-in."""
        value = self._encrypt(pending)
        if len(value) > _MAX_COOKIE_CHARACTERS:
            value = self._encrypt(replace(pending, to=urlsplit(pending.to).path))
        self._writer.set(request, response, self.cookie_name, value, LIFETIME_SECONDS)

    def complete(self, request: Request, state: str | None) -> PendingSignIn:
        """Return the sign-in to which a provider's response belongs, and record that the sign-in is complete.

        Raises:
            SignInError: The browser did not start this sign-in, or the sign-in has expired or is already complete.
            OSError: The directory that the processes share is missing or not writable.
        """
        pending = self._decrypt(request.cookies.get(self.cookie_name, ""))
        if pending is None or state is None or not secrets.compare_digest(state.encode(), pending.state.encode()):
            raise SignInError(SignInFault.STALE, "this browser did not start the sign-in")
        if pending.provider not in self._providers:
            raise SignInError(SignInFault.STALE, "the settings do not contain the provider any more")
        if time.time() - pending.started > LIFETIME_SECONDS:
            raise SignInError(SignInFault.STALE, "the sign-in has expired")
        if self._used.contains(pending.state, pending.started):
            raise SignInError(SignInFault.STALE, "the sign-in is already complete")
        self._used.add(pending.state, pending.started + LIFETIME_SECONDS)
        return pending

    def delete_cookie(self, request: Request, response: Response) -> None:
        """Delete the cookie."""
        self._writer.delete(request, response, self.cookie_name)

    def _encrypt(self, pending: PendingSignIn) -> str:
        return self._cipher.encrypt(zlib.compress(json.dumps(asdict(pending)).encode())).decode()

    def _decrypt(self, value: str) -> PendingSignIn | None:
        try:
            return PendingSignIn(**json.loads(zlib.decompress(self._cipher.decrypt(value.encode()))))
        except InvalidToken:
            return None


def make_pending_sign_in(provider: str, to: str) -> PendingSignIn:
    """Create a sign-in with new random values."""
    return PendingSignIn(
        provider,
        to,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
        started=time.time(),
    )
