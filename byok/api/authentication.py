"""Authenticates callers, and determines their organisation and their scopes."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from byok.domain.scopes import EVERY_ORGANISATION, ORGANISATION_PATTERN, Scope, environment_id_prefix
from byok.settings import AccessToken


class UnauthenticatedError(Exception):
    """The caller could not be authenticated."""


class IdentityProviderUnavailableError(Exception):
    """The identity provider cannot be reached."""


@dataclass(frozen=True)
class Caller:
    """An authenticated caller.

    Attributes:
        organisation: The organisation whose environments the caller may use; None for the vendor's staff, who may use
            all environments.
        scopes: The scopes granted to the caller.
        subject: Who the caller is: the token's subject, or its name in the settings.
        token_id: The token's id (`jti`), or its name in the settings.
        until: When the caller's token expires, in seconds since 1970; None if the token does not expire.
    """

    organisation: str | None
    scopes: frozenset[Scope]
    until: float | None = None
    subject: str = "anonymous"
    token_id: str | None = None

    @property
    def environment_id_prefix(self) -> str:
        """The prefix of the ids of the caller's new environments; empty for the vendor's staff."""
        return environment_id_prefix(self.organisation)


ANONYMOUS_CALLER: Final = Caller(None, frozenset(Scope))


class Authenticator(Protocol):
    """Authenticates callers."""

    async def authenticate(self, token: str | None) -> Caller:
        """Return the caller that a bearer token identifies.

        Raises:
            UnauthenticatedError: The token is missing or invalid. The message contains no part of the token.
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
            raise UnauthenticatedError("Invalid token.")
        return build_caller(found.organisation, found.scopes)


@dataclass(frozen=True)
class ChainedAuth:
    """Tries several authenticators in order; the first that accepts the token determines the caller."""

    authenticators: Sequence[Authenticator]

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        refusal = UnauthenticatedError("Invalid token.")
        for one in self.authenticators:
            try:
                return await one.authenticate(token)
            except UnauthenticatedError as error:
                refusal = error
        raise refusal


def build_caller(organisation: str, scopes: Sequence[str], until: float | None = None) -> Caller:
    """Build a caller from a token's organisation and scopes; the organisation `*` means the vendor's staff.

    Raises:
        UnauthenticatedError: The organisation's name is invalid.
    """
    known = frozenset(scope for scope in Scope if scope.value in scopes)
    if organisation == EVERY_ORGANISATION:
        return Caller(None, known, until)
    if not re.match(ORGANISATION_PATTERN, organisation):
        raise UnauthenticatedError(
            "The token's organisation is invalid: it must be up to 16 lower-case letters and digits."
        )
    return Caller(organisation, known, until)
