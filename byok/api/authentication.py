"""Authenticates callers, and determines their organisation and their scopes."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from byok.api_settings import AccessToken
from byok.domain.scopes import EVERY_ORGANISATION, ORGANISATION_PATTERN, Scope, environment_id_prefix


class UnauthenticatedError(Exception):
    """The caller could not be authenticated."""


class UnknownTokenError(UnauthenticatedError):
    """The authenticator does not recognise the token. Another authenticator may still accept the token."""


class InvalidOrganisationError(UnauthenticatedError):
    """The token does not contain the name of the caller's organisation."""


class IdentityProviderUnavailableError(Exception):
    """The identity provider cannot be reached."""


@dataclass(frozen=True)
class Caller:
    """An authenticated caller.

    Attributes:
        organisation: The organisation whose environments the caller may use; None for the vendor's staff, who may use
            all environments.
        scopes: The scopes granted to the caller.
        until: When the caller's token expires, in seconds since 1970; None if the token does not expire.
        subject: Who the caller is: the `sub` of an OIDC token, the name of a token in the settings, or `anonymous`.
        token_id: The `jti` of an OIDC token, or the name of a token in the settings; None if the token has no id.
    """

    organisation: str | None
    scopes: frozenset[Scope]
    until: float | None = None
    subject: str = field(kw_only=True)
    token_id: str | None = field(default=None, kw_only=True)

    @property
    def environment_id_prefix(self) -> str:
        """The required prefix of the ids of the caller's new environments; empty for the vendor's staff."""
        return environment_id_prefix(self.organisation)


ANONYMOUS_CALLER: Final = Caller(None, frozenset(Scope), subject="anonymous")


class Authenticator(Protocol):
    """Authenticates callers."""

    async def authenticate(self, token: str | None) -> Caller:
        """Return the caller that a bearer token identifies.

        Raises:
            UnknownTokenError: The token is missing, or this authenticator does not recognise the token.
            UnauthenticatedError: The token is invalid. The message contains no part of the token.
            IdentityProviderUnavailableError: The identity provider cannot be reached.
        """
        ...


class AllowAllAuth:
    """Accepts every caller and grants every scope, for a server that only this machine can reach."""

    async def authenticate(self, token: str | None) -> Caller:  # noqa: ARG002 - tokens are ignored
        """See `Authenticator`."""
        return ANONYMOUS_CALLER


@dataclass(frozen=True)
class StaticTokenAuth:
    """Authenticates tokens whose hashes are in the settings."""

    tokens: Sequence[AccessToken]

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        digest = hashlib.sha256((token or "").encode(errors="surrogatepass")).hexdigest()
        found = None
        for known in self.tokens:  # compare every token, so that the response time reveals nothing
            if hmac.compare_digest(known.sha256, digest):
                found = known
        if found is None or token is None:
            raise UnknownTokenError("Invalid token.")
        if found.expires is not None and found.expires <= datetime.now(UTC):
            # Only the holder of the token sees this message.
            raise UnauthenticatedError("The token has expired. Ask the person who gave you the token for a new token.")
        return Caller(
            None if found.organisation == EVERY_ORGANISATION else found.organisation,
            frozenset(found.scopes),
            found.expires.timestamp() if found.expires is not None else None,
            subject=found.name,
            token_id=found.name,
        )


@dataclass(frozen=True)
class ChainedAuth:
    """Asks several authenticators in order.

    The first authenticator that recognises the token decides whether to accept the token.
    """

    authenticators: Sequence[Authenticator]

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        refusal = UnknownTokenError("Invalid token.")
        for one in self.authenticators:
            try:
                return await one.authenticate(token)
            except UnknownTokenError as error:
                refusal = error
        raise refusal


def require_organisation_name(organisation: str) -> str:
    """Return an organisation's name if it is valid.

    Raises:
        InvalidOrganisationError: The name is invalid. `*` is not a valid name, because it is the wildcard for the
            vendor's staff.
    """
    if not re.fullmatch(ORGANISATION_PATTERN, organisation):
        raise InvalidOrganisationError(
            "The token's organisation is invalid: it must be up to 16 lower-case letters and digits."
        )
    return organisation
