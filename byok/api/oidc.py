"""Verifies tokens that an OIDC provider signed (RFC 9068, RFC 7519)."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final, Self

import jwt

from byok.api.authentication import (
    Caller,
    IdentityProviderUnavailableError,
    InvalidOrganisationError,
    UnauthenticatedError,
    UnknownTokenError,
    require_organisation_name,
)
from byok.domain.scopes import Scope

_RSA_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ALGORITHMS_BY_KEY_TYPE: Final[dict[tuple[object, object], tuple[str, ...]]] = {
    ("RSA", None): _RSA_ALGORITHMS,
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
    ("OKP", "Ed448"): ("EdDSA",),
}
"""The signing algorithms for each key type and curve (`kty` and `crv`; RFC 7518 section 3.1, RFC 8037).

The algorithms are public-key algorithms. With a shared-secret algorithm, an attacker could use the public key as the
secret.
"""

_LEEWAY_SECONDS: Final = 30
_LIFETIME_SECONDS: Final = 300.0
"""How long loaded keys are used before byok loads them again."""

_ASK_AGAIN_SECONDS: Final = 30.0
"""The minimum time between two refreshes that are triggered by unknown keys. Without this minimum, every forged token
would trigger a refresh."""
_AFTER_A_FAILURE_SECONDS: Final = 5.0
"""The pause before byok retries a failed attempt to load the issuer's keys. During the pause, byok rejects tokens
without calling the issuer."""


class TokenTimeError(UnauthenticatedError):
    """The token has expired, or is not valid yet."""


@dataclass(frozen=True)
class SigningKey:
    """A public key of the issuer.

    Attributes:
        key_id: The key's `kid`, which a JWK may lack (RFC 7517 section 4.5).
        algorithms: The algorithms with which the key may sign.
        public_key: The key in the form that PyJWT needs to verify signatures.
    """

    key_id: str | None
    algorithms: tuple[str, ...]
    public_key: Any = field(repr=False)

    @classmethod
    def from_jwk(cls, jwk: Any) -> Self | None:
        """Read a JWK. Return None if the key cannot sign tokens, or if its type is not supported (RFC 7517 section 5).

        `alg`, `use`, `key_ops` and `kid` are optional (RFC 7517 section 4). If `alg` is absent, the key can sign with
        any algorithm for its type and curve.
        """
        try:
            if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ["verify"]):
                return None
            curve = None if jwk.get("kty") == "RSA" else jwk.get("crv")
            possible = _ALGORITHMS_BY_KEY_TYPE.get((jwk.get("kty"), curve), ())
            algorithms = tuple(name for name in possible if jwk.get("alg", name) == name)
            return cls(jwk.get("kid"), algorithms, jwt.PyJWK(jwk, algorithms[0]).key) if algorithms else None
        except (jwt.PyJWTError, AttributeError, TypeError):  # not a JWK, or an invalid JWK
            return None

    def may_have_signed(self, header: dict[str, Any]) -> bool:
        """Return whether this key could have signed a token with this header (RFC 7515).

        If both the key and the token have a key id, the two ids must be equal (appendix D, "Notes on Key Selection").
        """
        return header.get("alg") in self.algorithms and (
            None in (self.key_id, header.get("kid")) or self.key_id == header["kid"]
        )


@dataclass
class OidcAuth:
    """Authenticates bearer tokens that are JWTs signed by an OIDC issuer.

    Attributes:
        issuer: The required issuer (`iss`).
        audience: The required audience (`aud`).
        jwks_url: The URL of the issuer's public keys.
        max_lifetime_seconds: The longest accepted lifetime of a token.
        organisation_claim: The claim that contains the caller's organisation; None if the issuer is for the vendor's
            staff, who may use the environments of all organisations. No claim can give a customer the access rights of
            the vendor's staff.
        timeout_seconds: How long to wait for the issuer's keys.
    """

    issuer: str
    audience: str
    jwks_url: str
    max_lifetime_seconds: int
    organisation_claim: str | None
    timeout_seconds: float = 5
    _client: jwt.PyJWKClient = field(init=False, repr=False)
    _keys: tuple[SigningKey, ...] = field(default=(), init=False, repr=False)
    _loaded_at: float = field(default=float("-inf"), init=False, repr=False)
    _refreshed_at: float = field(default=float("-inf"), init=False, repr=False)
    _not_before: float = field(default=float("-inf"), init=False, repr=False)
    _loading: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = jwt.PyJWKClient(self.jwks_url, cache_jwk_set=False, timeout=self.timeout_seconds)

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        if token is None:
            raise UnknownTokenError("A bearer token is required.")
        return self.build_caller(await self.verify(token, self.audience))

    def build_caller(self, claims: dict[str, Any]) -> Caller:
        """Return the caller that verified claims identify.

        Raises:
            InvalidOrganisationError: The claims do not contain the caller's organisation.
            UnauthenticatedError: The claims are invalid.
        """
        if not claims["sub"]:
            raise UnauthenticatedError("The token's claim sub must not be empty.")
        if int(claims["exp"]) - int(claims["iat"]) > self.max_lifetime_seconds:
            raise UnauthenticatedError(f"The token's lifetime must not exceed {self.max_lifetime_seconds} seconds.")
        return Caller(
            self._read_organisation(claims),
            _read_scopes(claims),
            float(claims["exp"]),
            subject=claims["sub"],
            token_id=claims.get("jti"),
        )

    def _read_organisation(self, claims: dict[str, Any]) -> str | None:
        """Return the caller's organisation; None for the vendor's staff."""
        if self.organisation_claim is None:
            return None
        organisation = claims.get(self.organisation_claim)
        if not isinstance(organisation, str):
            raise InvalidOrganisationError(f"The token's claim {self.organisation_claim} must contain an organisation.")
        return require_organisation_name(organisation)

    def is_for_api(self, token: str) -> bool:
        """Return whether the unverified claims of a token contain this issuer and the API's audience."""
        try:
            payload = _read_unverified(token)["payload"]
        except UnknownTokenError:
            return False
        audience = payload.get("aud")
        return payload.get("iss") == self.issuer and self.audience in (
            audience if isinstance(audience, list) else [audience]
        )

    async def verify(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of a valid token.

        A token from another issuer is rejected before byok verifies its signature, so such a token never causes byok to
        load this issuer's keys.

        If none of the loaded keys signed the token, load the keys again, because issuers rotate their keys. The new key
        may have the same id as the old key.

        Args:
            token: The token.
            audience: The audience that the token must have.

        Raises:
            UnknownTokenError: The token is not a JWT from this issuer.
            TokenTimeError: The token has expired, or is not valid yet.
            UnauthenticatedError: The token is invalid. The message contains no part of the token.
            IdentityProviderUnavailableError: The issuer's keys cannot be loaded.
        """
        unverified = _read_unverified(token)
        if unverified["payload"].get("iss") != self.issuer:
            raise UnknownTokenError("The token is not valid for this server.")
        header = unverified["header"]
        for refresh in (False, True):
            for key in await self._signing_keys(refresh=refresh):
                if key.may_have_signed(header):
                    try:
                        return self._decode(token, key, audience)
                    except jwt.InvalidSignatureError:
                        continue
        raise UnauthenticatedError("The token is signed with a key that its issuer does not publish.")

    def _decode(self, token: str, key: SigningKey, audience: str) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public_key,
                algorithms=key.algorithms,
                audience=audience,
                issuer=self.issuer,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "iss", "aud", "sub"]},
            )
        except jwt.InvalidSignatureError:
            raise
        except jwt.ExpiredSignatureError as error:
            raise TokenTimeError("The token has expired.") from error
        except jwt.ImmatureSignatureError as error:
            raise TokenTimeError("The token is not valid yet: the clocks of its issuer and byok differ.") from error
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("The token is not valid for this server.") from error
        return claims

    async def _signing_keys(self, *, refresh: bool) -> tuple[SigningKey, ...]:
        async with self._loading:
            now = time.monotonic()
            if refresh:
                if now - self._refreshed_at < _ASK_AGAIN_SECONDS:
                    return ()
                self._refreshed_at = now
            elif now - self._loaded_at < _LIFETIME_SECONDS:
                return self._keys
            if now < self._not_before:
                raise IdentityProviderUnavailableError("Cannot load the issuer's keys: try again later.")
            try:
                self._keys = await asyncio.to_thread(self._load_keys)
            except (jwt.PyJWTError, ValueError, OSError) as error:
                # The issuer did not respond, or its response was invalid. From now on, requests that are waiting for
                # this lock fail immediately, so that they do not each wait for a timeout.
                self._not_before = time.monotonic() + _AFTER_A_FAILURE_SECONDS
                raise IdentityProviderUnavailableError("Cannot load the issuer's keys: try again later.") from error
            self._loaded_at = time.monotonic()
            return self._keys

    def _load_keys(self) -> tuple[SigningKey, ...]:
        published = self._client.fetch_data().get("keys")
        found = [SigningKey.from_jwk(jwk) for jwk in published] if isinstance(published, list) else []
        keys = tuple(key for key in found if key is not None)
        if not keys:
            raise jwt.PyJWKSetError("The issuer publishes no signing keys.")
        return keys


def _read_unverified(token: str) -> dict[str, Any]:
    """Return the header and the payload of a JWT without verifying the signature."""
    try:
        return jwt.decode_complete(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, RecursionError) as error:  # deeply nested JSON raises RecursionError
        raise UnknownTokenError("Invalid token: it must be a signed JWT.") from error


def _read_scopes(claims: dict[str, Any]) -> frozenset[Scope]:
    """Return the scopes in the claims, ignoring scopes that byok does not know.

    The claim is `scope` (RFC 9068) or `scp` (Microsoft Entra ID and Okta).
    """
    scopes = claims.get("scope", claims.get("scp", ""))
    if isinstance(scopes, str):
        scopes = scopes.split()
    if not isinstance(scopes, list):
        raise UnauthenticatedError("The token's scopes must be a string or a list.")
    return frozenset(scope for scope in Scope if scope.value in scopes)
