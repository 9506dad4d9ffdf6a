"""The settings of the HTTP API and the wizard (`BYOK_API__…`), which `byok.settings` reads."""

import ipaddress
import re
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    SecretStr,
    model_validator,
)

from byok.domain.aws_console import TEMPLATE_URL_MAX_LENGTH, TEMPLATE_URL_PATTERN
from byok.domain.scopes import EVERY_ORGANISATION, ORGANISATION_PATTERN, Scope

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_DAY_SECONDS: Final = 24 * 3600


def must_match(pattern: str, words: str) -> AfterValidator:
    """Build a validator that requires the whole text to match a pattern.

    The error message contains `words`, which describe a valid text.
    """

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(check)


def _require_https(value: str) -> str:
    """Require https; allow http for localhost and loopback addresses.

    An attacker on the network path could modify traffic over http.
    """
    parts = urlsplit(value)
    local = parts.scheme == "http" and _is_loopback(parts.hostname)
    if not parts.hostname or not (parts.scheme == "https" or local) or not value.isprintable():
        raise ValueError("must be an https:// URL; http:// is allowed only for localhost and loopback addresses")
    return value


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _normalize_origin(value: str) -> str:
    """Return the origin of a URL, in the form that browsers send.

    The origin is in lower case, without the default port and without a trailing slash.
    """
    parts = urlsplit(_require_https(value))
    if parts.username is not None or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError("must consist of scheme, host and, if needed, port, such as https://byok.example.com")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _require_openid(value: str) -> str:
    """Require the scope `openid`.

    Without this scope, a provider issues no ID token (OpenID Connect Core 1.0, section 3.1.2.1).
    """
    if "openid" not in value.split() or not value.isprintable():
        raise ValueError("must be scopes separated by spaces, and contain openid")
    return value


def _require_header_value(value: SecretStr) -> SecretStr:
    """Require a value that EventBridge can send in a header (CreateConnection, `ApiKeyValue`)."""
    if not re.fullmatch(r"[\x21-\x39\x3b-\x7e]{32,512}", value.get_secret_value()):
        raise ValueError("must consist of 32 to 512 printable ASCII characters other than spaces and colons")
    return value


HttpsUrl = Annotated[str, AfterValidator(_require_https)]
"""An https URL, or an http URL whose host is localhost or a loopback address."""

_SignInScopes = Annotated[str, AfterValidator(_require_openid)]
_DEFAULT_SIGN_IN_SCOPES: Final = " ".join(("openid", Scope.READ, Scope.WRITE, Scope.DELETE))


class AccessToken(BaseModel):
    """A bearer token for the API. The settings contain only the token's hash.

    Attributes:
        name: The token's name, which identifies the holder in audit records.
        sha256: SHA-256 of the token, in hexadecimal. `byok token` generates a strong token.
        organisation: The organisation whose environments the token grants access to, or `*` for all organisations.
        scopes: The operations that the token allows.
        expires: When the token expires; None if it does not expire.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, must_match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "letters, digits and . _ -, at most 64")]
    sha256: Annotated[str, must_match(r"[0-9a-f]{64}", "the SHA-256 of a token, 64 hexadecimal digits")]
    organisation: Annotated[
        str,
        must_match(
            rf"{re.escape(EVERY_ORGANISATION)}|{ORGANISATION_PATTERN}", "up to 16 lower-case letters and digits, or *"
        ),
    ]
    scopes: tuple[Scope, ...]
    expires: AwareDatetime | None = None


class ApiSettings(BaseModel):
    """Access, sessions and limits of the API and the wizard (`BYOK_API__…`).

    Attributes:
        public_url: The URL at which users reach the server, such as https://byok.example.com. Without this URL, byok
            cannot refuse requests for other hosts or requests over http.
        issuer: OIDC issuer whose tokens the API accepts. Requires `audience` and `jwks_url`.
        jwks_url: URL of the issuer's public keys.
        staff_issuer: OIDC issuer for the vendor's staff. Its tokens give access to the environments of all
            organisations. Requires `audience` and `staff_jwks_url`.
        staff_jwks_url: URL of the staff issuer's public keys.
        audience: Audience for which the tokens must be issued.
        organisation_claim: Name of the token claim that contains the caller's organisation.
        client_id: The wizard's client id at the issuer. If a client id is set, users can sign in to the wizard through
            the issuer. Requires `issuer` and `public_url`.
        client_secret: The client's secret; None for a public client.
        sign_in_name: The issuer's name on the sign-in page; by default, the issuer's host.
        sign_in_scopes: The scopes that the wizard requests, separated by spaces.
        staff_client_id: The wizard's client id at the staff issuer. Requires `staff_issuer` and `public_url`.
        staff_client_secret: The secret of the client at the staff issuer.
        staff_sign_in_name: The staff issuer's name on the sign-in page.
        staff_sign_in_scopes: The scopes that the wizard requests from the staff issuer.
        sign_out_at_issuer: Whether a sign-out also ends the user's session at the issuer, if the issuer supports it.
        max_token_lifetime_seconds: The longest accepted lifetime of an OIDC token (`exp` minus `iat`).
        tokens: Bearer tokens for small deployments, as hashes (JSON).
        session_secret: Secret that signs the wizard's cookies and the page tokens. All processes behind the same
            address must use the same secret. If no secret is set, each process generates its own secret, and a session
            ends when the process that created it ends.
        session_directory: Directory that records which sessions have ended. All processes behind the same address must
            share the directory. Without this directory, only the process that handled a sign-out knows that the session
            has ended.
        aws_events_secret: Secret with which EventBridge authenticates. Without this secret, the server accepts no AWS
            events.
        template_url: Address in S3 of the CloudFormation template that `byok template` prints. If the address is set,
            the wizard offers *Launch stack*.
        requests_per_minute: Maximum number of requests per minute from one client address.
        max_body_bytes: Maximum size of a request body.
        max_streams: Maximum number of open event streams per organisation, in each process.
        request_timeout_seconds: How long a client may take to send a request's headers. The same limit applies
            separately to the request's body.
        temporal_timeout_seconds: How long one call to Temporal may take. If a call takes longer, the client receives a
            503 response.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    public_url: Annotated[str, AfterValidator(_normalize_origin)] | None = None
    issuer: HttpsUrl | None = None
    jwks_url: HttpsUrl | None = None
    staff_issuer: HttpsUrl | None = None
    staff_jwks_url: HttpsUrl | None = None
    audience: str | None = None
    organisation_claim: str = "organisation"
    client_id: str | None = Field(default=None, min_length=1)
    client_secret: SecretStr | None = Field(default=None, min_length=1)
    sign_in_name: str | None = Field(default=None, min_length=1, max_length=60)
    sign_in_scopes: _SignInScopes = _DEFAULT_SIGN_IN_SCOPES
    staff_client_id: str | None = Field(default=None, min_length=1)
    staff_client_secret: SecretStr | None = Field(default=None, min_length=1)
    staff_sign_in_name: str | None = Field(default=None, min_length=1, max_length=60)
    staff_sign_in_scopes: _SignInScopes = _DEFAULT_SIGN_IN_SCOPES
    sign_out_at_issuer: bool = True
    max_token_lifetime_seconds: int = Field(default=_DAY_SECONDS, ge=60)
    tokens: tuple[AccessToken, ...] = ()
    session_secret: SecretStr | None = Field(default=None, min_length=32)
    session_directory: DirectoryPath | None = None
    aws_events_secret: Annotated[SecretStr, AfterValidator(_require_header_value)] | None = None
    template_url: (
        Annotated[
            Annotated[str, Field(max_length=TEMPLATE_URL_MAX_LENGTH)],
            must_match(
                TEMPLATE_URL_PATTERN, "the https URL of an object in S3, such as https://….s3.….amazonaws.com/…"
            ),
        ]
        | None
    ) = None
    requests_per_minute: int = Field(default=600, ge=1)
    max_body_bytes: int = Field(default=256 * 1024, ge=1024)
    max_streams: int = Field(default=500, ge=1)
    request_timeout_seconds: float = Field(default=15, gt=0, le=300)
    temporal_timeout_seconds: float = Field(default=1.5, gt=0, le=60)

    @model_validator(mode="after")
    def _issuers_are_whole(self) -> Self:
        customers = {"ISSUER": self.issuer, "AUDIENCE": self.audience, "JWKS_URL": self.jwks_url}
        staff = {"STAFF_ISSUER": self.staff_issuer, "AUDIENCE": self.audience, "STAFF_JWKS_URL": self.staff_jwks_url}
        for words, group, needed in (
            ("issuer, audience and JWKS URL", customers, (self.issuer, self.jwks_url)),
            ("the staff's issuer, audience and JWKS URL", staff, (self.staff_issuer, self.staff_jwks_url)),
        ):
            missing = [f"BYOK_API__{name}" for name, value in group.items() if not value]
            if missing and any(needed):
                raise ValueError(f"{', '.join(missing)}: missing; {words} must be set together")
        if self.audience and not (self.issuer or self.staff_issuer):
            raise ValueError("BYOK_API__ISSUER: missing; BYOK_API__AUDIENCE needs an issuer")
        if self.issuer and self.issuer == self.staff_issuer:
            raise ValueError(
                "BYOK_API__STAFF_ISSUER: must differ from BYOK_API__ISSUER, "
                "because customers would otherwise have staff access"
            )
        return self

    @model_validator(mode="after")
    def _clients_are_whole(self) -> Self:
        for prefix, issuer, client_id, secret in (
            ("", self.issuer, self.client_id, self.client_secret),
            ("STAFF_", self.staff_issuer, self.staff_client_id, self.staff_client_secret),
        ):
            needed = {f"{prefix}ISSUER": issuer, "PUBLIC_URL": self.public_url}
            missing = [f"BYOK_API__{name}" for name, value in needed.items() if not value]
            if client_id and missing:
                raise ValueError(f"{', '.join(missing)}: missing; BYOK_API__{prefix}CLIENT_ID needs it")
            if secret and not client_id:
                raise ValueError(
                    f"BYOK_API__{prefix}CLIENT_ID: missing; BYOK_API__{prefix}CLIENT_SECRET requires a client id"
                )
        return self

    @model_validator(mode="after")
    def _tokens_differ(self) -> Self:
        for field in ("name", "sha256"):
            values = [getattr(token, field) for token in self.tokens]
            if len(set(values)) < len(values):
                raise ValueError(f"BYOK_API__TOKENS: two tokens have the same {field}")
        return self

    @model_validator(mode="after")
    def _public_server_has_access_control(self) -> Self:
        if self.public_url and self.allows_anonymous and not _is_loopback(urlsplit(self.public_url).hostname):
            raise ValueError(
                "BYOK_API__PUBLIC_URL: requires an issuer or tokens, because everyone would otherwise have access"
            )
        return self

    @property
    def has_https_url(self) -> bool:
        """Whether users reach the server over https, according to the public URL."""
        return self.public_url is not None and self.public_url.startswith("https:")

    @property
    def allows_anonymous(self) -> bool:
        """Whether the API accepts requests without authentication."""
        return self.issuer is None and self.staff_issuer is None and not self.tokens
