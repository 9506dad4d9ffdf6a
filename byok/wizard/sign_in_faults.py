"""Describes why a sign-in with an identity provider failed.

The sign-in page shows the reason. Its URL contains only the reason's name, because the URL of the provider's response
contains the authorization code.
"""

from enum import StrEnum
from http import HTTPStatus
from typing import Final


class SignInFault(StrEnum):
    """Why a sign-in failed."""

    DENIED = "denied"
    STALE = "stale"
    CLOCK = "clock"
    ORGANISATION = "organisation"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of the sign-in page."""
        return HTTPStatus.SERVICE_UNAVAILABLE if self is SignInFault.UNAVAILABLE else HTTPStatus.UNAUTHORIZED

    @property
    def code(self) -> str:
        """The code in the audit trail."""
        return "byok.IdentityUnreachable" if self is SignInFault.UNAVAILABLE else "byok.Unauthenticated"


class SignInError(Exception):
    """A sign-in failed.

    Attributes:
        fault: Why the sign-in failed.
    """

    def __init__(self, fault: SignInFault, reason: str) -> None:
        """Create the error.

        Args:
            fault: Why the sign-in failed.
            reason: The details for the server's log, without any part of a token or a code.
        """
        super().__init__(reason)
        self.fault = fault


_TEXTS: Final = {
    SignInFault.DENIED: (
        "{name} did not grant access. The sign-in was cancelled, or your account is not allowed to use this "
        "application."
    ),
    SignInFault.STALE: (
        "This sign-in is no longer valid: it took longer than 10 minutes, was already used, or was started in another "
        "browser. Start the sign-in again."
    ),
    SignInFault.CLOCK: (
        "The clock of {name} and the clock of this server differ too much, so you are not signed in. Tell the "
        "operator of this server."
    ),
    SignInFault.ORGANISATION: (
        "{name} did not report which organisation you belong to. Ask your administrator to add the claim {claim} to "
        "your tokens: the name of your organisation, up to 16 lower-case letters and digits."
    ),
    SignInFault.REFUSED: (
        "The response from {name} is not valid, so you are not signed in. Start the sign-in again; if the error "
        "persists, tell the operator of this server, whose log contains the reason."
    ),
    SignInFault.UNAVAILABLE: "{name} cannot be reached, so you are not signed in. Try again in a moment.",
}


def describe_sign_in_fault(fault: SignInFault, name: str, organisation_claim: str) -> str:
    """Describe to the user what happened and what to do.

    Args:
        fault: Why the sign-in failed.
        name: The identity provider's name.
        organisation_claim: The claim that contains the user's organisation.
    """
    return _TEXTS[fault].format(name=name, claim=organisation_claim)
