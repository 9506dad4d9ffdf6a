"""Who calls, what they may do, and whose environments are theirs.

An organisation's environments begin with its name and a hyphen, as their resources in AWS do. So it is seen from the id
alone whose one is, before anybody is asked whether it exists.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from byok.domain.scopes import EVERY_ORGANISATION, ORGANISATION_PATTERN, Scope
from byok.settings import AccessToken


class UnauthenticatedError(Exception):
    """It is not known who calls."""


class IdentityProviderUnavailableError(Exception):
    """Who vouches for callers does not answer."""


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
        organisation: Whose environments are meant; None for the vendor's own people, who see all.
        scopes: What they may do.
        until: Until when, in seconds since 1970; None where their token does not say.
    """

    organisation: str | None
    scopes: frozenset[Scope]
    until: float | None = None

    @property
    def environment_id_prefix(self) -> str:
        """What the ids of their environments begin with; empty where all are theirs."""
        return "" if self.organisation is None else f"{self.organisation}-"

    def owns_environment_id(self, environment_id: str) -> bool:
        """Whether an environment of this id is theirs, if there is one."""
        return environment_id.startswith(self.environment_id_prefix)


ANONYMOUS_CALLER: Final = Caller(None, frozenset(Scope))


class Authenticator(Protocol):
    """Finds out who calls."""

    async def authenticate(self, token: str | None) -> Caller:
        """Who holds a bearer token.

        Raises:
            UnauthenticatedError: Nobody that is known; the text says what is wrong with the token, and nothing of it.
            IdentityUnreachableError: It cannot be found out now.
        """
        ...


class AllowAllAuth:
    """Everybody may do everything: for a server that only this machine reaches."""

    async def authenticate(self, token: str | None) -> Caller:  # noqa: ARG002 - there is none to look at
        """See `Authenticator`."""
        return ANONYMOUS_CALLER


@dataclass(frozen=True)
class StaticTokenAuth:
    """Tokens from the settings, which hold their hashes alone."""

    tokens: Sequence[AccessToken]

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        digest = hashlib.sha256((token or "").encode(errors="surrogatepass")).hexdigest()
        found = None
        for known in self.tokens:  # all of them: how long it takes says nothing
            if hmac.compare_digest(known.sha256, digest):
                found = known
        if found is None or token is None:
            raise UnauthenticatedError("The token is not known.")
        return build_caller(found.organisation, found.scopes)


@dataclass(frozen=True)
class ChainedAuth:
    """Several authenticators: the first that knows the caller decides."""

    authenticators: Sequence[Authenticator]

    async def authenticate(self, token: str | None) -> Caller:
        """See `Authenticator`."""
        refusal = UnauthenticatedError("The token is not known.")
        for one in self.authenticators:
            try:
                return await one.authenticate(token)
            except UnauthenticatedError as error:
                refusal = error
        raise refusal


def build_caller(organisation: str, scopes: Sequence[str], until: float | None = None) -> Caller:
    """A caller as a token describes them; `*` stands for the vendor's own people.

    Raises:
        UnauthenticatedError: The name cannot be an organisation's.
    """
    known = frozenset(scope for scope in Scope if scope.value in scopes)
    if organisation == EVERY_ORGANISATION:
        return Caller(None, known, until)
    if not re.match(ORGANISATION_PATTERN, organisation):
        raise UnauthenticatedError("The token's organisation is none: it has up to 16 lower-case letters and digits.")
    return Caller(organisation, known, until)
