"""Signs users in with an OIDC provider: authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).

Authlib builds the requests to the provider. `byok.api.oidc` verifies the provider's tokens, as it does for the API.
"""

import asyncio
import secrets
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx2
import structlog
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from byok.api.authentication import (
    Caller,
    IdentityProviderUnavailableError,
    InvalidOrganisationError,
    UnauthenticatedError,
)
from byok.api.oidc import OidcAuth, TokenTimeError
from byok.api_settings import ApiSettings, HttpsUrl
from byok.wizard.pending_sign_ins import PendingSignIn
from byok.wizard.sign_in_faults import SignInError, SignInFault

TIMEOUT_SECONDS: Final = 2.0
"""How long one request to the provider may take. The user waits for the response."""

_METADATA_LIFETIME_SECONDS: Final = 3600.0
_BASIC: Final = "client_secret_basic"
_RETRY_SECONDS: Final = 30.0
"""How long byok continues to use an expired copy of the metadata if the provider cannot be reached."""

_FAULTS: Final = {
    "access_denied": SignInFault.DENIED,
    "consent_required": SignInFault.DENIED,
    "server_error": SignInFault.UNAVAILABLE,
    "temporarily_unavailable": SignInFault.UNAVAILABLE,
}
"""The sign-in fault for each of the provider's error codes (RFC 6749, section 4.1.2.1; OpenID Connect Core 1.0, section
3.1.2.6).
"""

log = structlog.get_logger(__name__)


class ProviderMetadata(BaseModel):
    """The part of the provider's metadata that byok uses.

    See OpenID Connect Discovery 1.0, section 3, and RFC 9207, section 3.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    issuer: str
    authorization_endpoint: HttpsUrl
    token_endpoint: HttpsUrl
    end_session_endpoint: HttpsUrl | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = (_BASIC,)
    authorization_response_iss_parameter_supported: bool = False


@dataclass
class IdentityProvider:
    """An OIDC provider with which users sign in.

    Attributes:
        key: The name in sessions and URLs: `customers` or `staff`.
        name: The name on the sign-in page.
        tokens: Verifies the provider's tokens, and reads the caller from their claims.
        client_id: The client id of this server at the provider.
        client_secret: The client secret; None for a public client.
        scopes: The scopes to request.
        public_url: The URL at which users reach this server.
        signs_out: Whether a sign-out also ends the user's session at the provider.
    """

    key: str
    name: str
    tokens: OidcAuth
    client_id: str
    client_secret: SecretStr | None
    scopes: str
    public_url: str
    signs_out: bool
    _tls: ssl.SSLContext = field(default_factory=httpx2.create_ssl_context, init=False, repr=False)
    _metadata: ProviderMetadata | None = field(default=None, init=False, repr=False)
    _expires: float = field(default=float("-inf"), init=False, repr=False)

    async def build_authorization_url(self, pending: PendingSignIn) -> str:
        """Build the URL of the provider's sign-in page.

        Raises:
            SignInError: The provider cannot be reached.
        """
        metadata = await self._load_metadata()
        async with self._open_client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=pending.state,
                nonce=pending.nonce,
                code_verifier=pending.verifier,
            )
        return str(url)

    async def authenticate(self, pending: PendingSignIn, response: Mapping[str, str]) -> Caller:
        """Return the caller who signed in.

        If the access token is a JWT for the API, byok reads the caller from its claims, as the API does. Otherwise,
        byok reads the caller from the claims of the ID token.

        Args:
            pending: The sign-in to which the response belongs.
            response: The query parameters of the provider's response.

        Raises:
            SignInError: The user is not signed in.
        """
        metadata = await self._load_metadata()
        sender = response.get("iss")
        if sender != self.tokens.issuer and (sender or metadata.authorization_response_iss_parameter_supported):
            raise SignInError(SignInFault.REFUSED, "the response's iss is not the issuer (RFC 9207)")
        if "error" in response:
            fault = _FAULTS.get(response["error"], SignInFault.REFUSED)
            raise SignInError(fault, f"the provider refused the authorization request: {response['error'][:60]!r}")
        if not response.get("code"):
            raise SignInError(SignInFault.REFUSED, "the response contains no code")
        answer = await self._exchange_code(metadata, response["code"], pending.verifier)
        try:
            claims = await self._verify_id_token(answer.get("id_token"), pending.nonce)
            access_token = answer.get("access_token")
            if isinstance(access_token, str) and self.tokens.is_for_api(access_token):
                return await self.tokens.authenticate(access_token)
            if not {"scope", "scp"} & claims.keys():
                claims["scope"] = answer.get(
                    "scope", ""
                )  # the scopes that the provider granted (RFC 6749, section 5.1)
            return self.tokens.build_caller(claims)
        except TokenTimeError as error:
            raise SignInError(SignInFault.CLOCK, str(error)) from error
        except InvalidOrganisationError as error:
            raise SignInError(SignInFault.ORGANISATION, str(error)) from error
        except UnauthenticatedError as error:
            raise SignInError(SignInFault.REFUSED, str(error)) from error
        except IdentityProviderUnavailableError as error:
            raise SignInError(SignInFault.UNAVAILABLE, str(error)) from error

    async def find_sign_out_url(self) -> str | None:
        """Return the URL at which the user signs out of the provider (OpenID Connect RP-Initiated Logout 1.0).

        byok does not store the ID token, so the URL identifies byok by its client id instead.

        Returns:
            The URL; None if the settings turn off this kind of sign-out, or if the provider does not support it or
            cannot be reached.
        """
        if not self.signs_out:
            return None
        try:
            endpoint = (await self._load_metadata()).end_session_endpoint
        except SignInError:
            return None
        if endpoint is None:
            return None
        query = urlencode({"client_id": self.client_id, "post_logout_redirect_uri": f"{self.public_url}/sign-in"})
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def _verify_id_token(self, token: object, nonce: str) -> dict[str, Any]:
        """Return the claims of the ID token (OpenID Connect Core 1.0, section 3.1.3.7)."""
        if not isinstance(token, str):
            raise UnauthenticatedError(
                "The provider sent no ID token. Is the client allowed to request the scope openid?"
            )
        claims = await self.tokens.verify(token, self.client_id)
        if not secrets.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise UnauthenticatedError("The ID token's nonce is not the nonce of the request.")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self.client_id) != self.client_id:
            raise UnauthenticatedError("The ID token's azp is not the client id.")
        return claims

    async def _exchange_code(self, metadata: ProviderMetadata, code: str, verifier: str) -> Mapping[str, Any]:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._open_client(metadata) as client:
                answer: Mapping[str, Any] = await client.fetch_token(
                    metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
                )
        except OAuthError as error:
            fault = SignInFault.STALE if error.error == "invalid_grant" else SignInFault.REFUSED
            raise SignInError(fault, f"the provider refused the code: {str(error.error)[:60]!r}") from None
        except (httpx2.HTTPError, TimeoutError, ValueError) as error:  # ValueError: the response is not JSON
            raise _unavailable_error("token endpoint", error) from None
        return answer

    async def _load_metadata(self) -> ProviderMetadata:
        """Return the provider's metadata; if the provider cannot be reached, return the expired copy."""
        if self._metadata is None or time.monotonic() >= self._expires:
            try:
                self._metadata = await self._fetch_metadata()
                self._expires = time.monotonic() + _METADATA_LIFETIME_SECONDS
            except (httpx2.HTTPError, TimeoutError, ValueError) as error:
                if self._metadata is None:
                    raise _unavailable_error("metadata", error) from None
                self._expires = time.monotonic() + _RETRY_SECONDS
        return self._metadata

    async def _fetch_metadata(self) -> ProviderMetadata:
        url = f"{self.tokens.issuer.rstrip('/')}/.well-known/openid-configuration"
        client = httpx2.AsyncClient(timeout=TIMEOUT_SECONDS, verify=self._tls)
        async with asyncio.timeout(TIMEOUT_SECONDS), client:
            response = (await client.get(url)).raise_for_status()
        metadata = ProviderMetadata.model_validate_json(response.content)
        if metadata.issuer != self.tokens.issuer:
            raise ValueError("the metadata is the metadata of another issuer")
        return metadata

    @asynccontextmanager
    async def _open_client(self, metadata: ProviderMetadata) -> AsyncIterator[AsyncOAuth2Client]:
        supported = metadata.token_endpoint_auth_methods_supported
        method = _BASIC if _BASIC in supported or "client_secret_post" not in supported else "client_secret_post"
        client = AsyncOAuth2Client(
            self.client_id,
            self.client_secret.get_secret_value() if self.client_secret else None,
            token_endpoint_auth_method=method if self.client_secret else "none",
            scope=self.scopes,
            redirect_uri=f"{self.public_url}/sign-in/callback",
            code_challenge_method="S256",
            timeout=TIMEOUT_SECONDS,
            verify=self._tls,
        )
        client.register_client_auth_method((_BASIC, _add_basic_credentials))
        async with client:
            yield client


def build_identity_providers(settings: ApiSettings) -> Mapping[str, IdentityProvider]:
    """Build a provider for each client id in the settings, and return the providers by their keys."""
    public_url, audience = settings.public_url or "", settings.audience or ""
    lifetime = settings.max_token_lifetime_seconds
    found = []
    if settings.client_id and settings.issuer and settings.jwks_url:
        claim = settings.organisation_claim
        tokens = OidcAuth(settings.issuer, audience, settings.jwks_url, lifetime, claim, TIMEOUT_SECONDS)
        name = settings.sign_in_name or str(urlsplit(settings.issuer).hostname)
        client = (settings.client_id, settings.client_secret, settings.sign_in_scopes)
        found.append(IdentityProvider("customers", name, tokens, *client, public_url, settings.sign_out_at_issuer))
    if settings.staff_client_id and settings.staff_issuer and settings.staff_jwks_url:
        tokens = OidcAuth(settings.staff_issuer, audience, settings.staff_jwks_url, lifetime, None, TIMEOUT_SECONDS)
        name = settings.staff_sign_in_name or f"{urlsplit(settings.staff_issuer).hostname} (staff)"
        client = (settings.staff_client_id, settings.staff_client_secret, settings.staff_sign_in_scopes)
        found.append(IdentityProvider("staff", name, tokens, *client, public_url, settings.sign_out_at_issuer))
    return {provider.key: provider for provider in found}


def _add_basic_credentials(
    client: Any, _method: str, uri: str, headers: dict[str, str], body: str
) -> tuple[str, dict[str, str], str]:
    """Authenticate the client with HTTP Basic.

    RFC 6749, section 2.3.1, requires the client id and the secret to be form-encoded first; Authlib 1.9.10 does not
    encode them.
    """
    credentials = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
    return uri, headers, body


def _unavailable_error(what: str, error: Exception) -> SignInError:
    kind = "invalid response" if isinstance(error, ValidationError) else type(error).__name__
    return SignInError(SignInFault.UNAVAILABLE, f"cannot read the provider's {what}: {kind}")
