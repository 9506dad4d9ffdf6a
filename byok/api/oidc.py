"""Verifies tokens that an OIDC provider signed (RFC 9068, RFC 7519)."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

import jwt

from byok.api.authentication import Caller, IdentityProviderUnavailableError, UnauthenticatedError, build_caller

ALLOWED_SIGNING_ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
)
"""Public-key algorithms only. With a shared-secret algorithm, an attacker could use the public key as the secret."""

_LEEWAY_SECONDS: Final = 30
_ASK_AGAIN_SECONDS: Final = 30.0
"""The minimum time between two refreshes for unknown key ids, so that forged tokens do not each cause a refresh."""
_AFTER_A_FAILURE_SECONDS: Final = 5.0
"""How long requests fail without a call to the issuer after its keys could not be loaded."""


@dataclass
class OidcAuth:
    """Authenticates bearer tokens that are JWTs.

    Attributes:
        issuer: The required issuer (`iss`).
        audience: The required audience (`aud`).
        jwks_url: The URL of the issuer's public keys.
        organisation_claim: The claim that names the caller's organisation; the value `*` means the vendor's staff.
    """

    issuer: str
    audience: str
    jwks_url: str
    organisation_claim: str
    _keys: jwt.PyJWKClient = field(init=False, repr=False)
    _asked_at: float = field(default=float("-inf"), init=False, repr=False)
    _not_before: float = field(default=float("-inf"), init=False, repr=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._keys = jwt.PyJWKClient(self.jwks_url, lifespan=300, timeout=5)

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        if token is None:
            raise UnauthenticatedError("A bearer token is required.")
        claims = self._verify(token, await self._key_of(token))
        organisation, scopes = claims.get(self.organisation_claim), claims.get("scope", claims.get("scp", ""))
        if not isinstance(organisation, str):
            raise UnauthenticatedError(f"The token's claim {self.organisation_claim} must name an organisation.")
        if isinstance(scopes, str):
            scopes = scopes.split()
        if not isinstance(scopes, list):
            raise UnauthenticatedError("The token's scopes must be a string or a list.")
        return build_caller(organisation, [str(one) for one in scopes], float(claims["exp"]))

    def _verify(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=ALLOWED_SIGNING_ALGORITHMS,
                audience=self.audience,
                issuer=self.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud"]},
            )
        except jwt.ExpiredSignatureError as error:
            raise UnauthenticatedError("The token has expired.") from error
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("The token is not valid for this server.") from error
        return claims

    async def _key_of(self, token: str) -> jwt.PyJWK:
        try:
            name = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("Invalid token: it must be a signed JWT.") from error
        for refresh in (False, True):
            for key in await self._signing_keys(refresh=refresh):
                if key.key_id == name:
                    return key
        raise UnauthenticatedError("The token is signed with a key that its issuer does not publish.")

    async def _signing_keys(self, *, refresh: bool) -> list[jwt.PyJWK]:
        async with self._asking:
            if refresh and time.monotonic() - self._asked_at < _ASK_AGAIN_SECONDS:
                return []
            if refresh:
                self._asked_at = time.monotonic()
            if time.monotonic() < self._not_before:
                raise IdentityProviderUnavailableError("Cannot load the issuer's keys: try again later.")
            try:
                return await asyncio.to_thread(self._keys.get_signing_keys, refresh=refresh)
            except (jwt.PyJWTError, ValueError, OSError) as error:
                # There was no response, or it was invalid. Requests that wait for this lock now fail immediately,
                # instead of each waiting for a timeout.
                self._not_before = time.monotonic() + _AFTER_A_FAILURE_SECONDS
                raise IdentityProviderUnavailableError("Cannot load the issuer's keys: try again later.") from error
