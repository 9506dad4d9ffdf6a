"""Verifies tokens that an OIDC provider has signed (RFC 9068, RFC 7519)."""

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
"""Those with a public key. One with a shared secret would take the provider's public key for that secret."""

_LEEWAY_SECONDS: Final = 30
_ASK_AGAIN_SECONDS: Final = 30.0
"""How often a token with an unknown key may send us to the provider: forged ones would do so with each request."""
_AFTER_A_FAILURE_SECONDS: Final = 5.0


@dataclass
class OidcAuth:
    """Bearer tokens as JWTs.

    Attributes:
        issuer: Who has to have issued a token (`iss`).
        audience: For whom it has to be (`aud`).
        jwks_url: Where the issuer's public keys are.
        organisation_claim: Which claim names the build_caller's organisation; `*` there means the vendor's own people.
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
            raise UnauthenticatedError("A bearer token is needed.")
        claims = self._verify(token, await self._key_of(token))
        organisation, scopes = claims.get(self.organisation_claim), claims.get("scope", claims.get("scp", ""))
        if not isinstance(organisation, str):
            raise UnauthenticatedError(f"The token has no claim {self.organisation_claim} that names an organisation.")
        if isinstance(scopes, str):
            scopes = scopes.split()
        if not isinstance(scopes, list):
            raise UnauthenticatedError("The token's scopes are none.")
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
            raise UnauthenticatedError("The token is not valid here.") from error
        return claims

    async def _key_of(self, token: str) -> jwt.PyJWK:
        try:
            name = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("The token is none: a signed JWT is expected.") from error
        for refresh in (False, True):
            for key in await self._signing_keys(refresh=refresh):
                if key.key_id == name:
                    return key
        raise UnauthenticatedError("The token is signed with a key that its issuer does not have.")

    async def _signing_keys(self, *, refresh: bool) -> list[jwt.PyJWK]:
        async with self._asking:
            if refresh and time.monotonic() - self._asked_at < _ASK_AGAIN_SECONDS:
                return []
            if refresh:
                self._asked_at = time.monotonic()
            if time.monotonic() < self._not_before:
                raise IdentityProviderUnavailableError("The issuer's keys cannot be read now.")
            try:
                return await asyncio.to_thread(self._keys.get_signing_keys, refresh=refresh)
            except (jwt.PyJWTError, ValueError, OSError) as error:  # no answer, or one that is none
                # Those who wait behind this one are told at once, and not one after the other.
                self._not_before = time.monotonic() + _AFTER_A_FAILURE_SECONDS
                raise IdentityProviderUnavailableError("The issuer's keys cannot be read now.") from error
