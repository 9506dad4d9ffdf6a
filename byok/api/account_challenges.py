"""Issues and verifies nonces, with which organisations prove that they have credentials for an AWS account."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from itsdangerous import BadSignature, Signer

from byok.api.problems import invalid_field_error

LIFETIME: Final = timedelta(minutes=5)
_UNKNOWN: Final = "is not a nonce that byok issued to this organisation. Request a new challenge."
_EXPIRED: Final = "has expired. A nonce is valid for five minutes. Request a new challenge."


@dataclass(frozen=True)
class Challenge:
    """A nonce and its expiry time."""

    nonce: str
    expires_at: datetime


class ChallengeSigner:
    """Issues nonces of the form `<organisation>.<expiry>.<random text>.<signature>`.

    The nonce begins with the organisation's name. The key administrator, who signs the nonce, can therefore see for
    which organisation the AWS account will be registered. A token that contains a nonce gives no access to any EKS
    cluster, because the name of an EKS cluster cannot contain a dot (botocore, `eks`, ClusterName).

    Args:
        secret: The signing secret, which all processes behind one address must share.
        clock: Returns the time in seconds since 1970.
    """

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._signer = Signer(secret, salt="byok.account-proof")
        self._clock = clock

    def issue(self, organisation: str) -> Challenge:
        """Issue a nonce to an organisation."""
        expires = int(self._clock() + LIFETIME.total_seconds())
        nonce = self._signer.sign(f"{organisation}.{expires}.{secrets.token_urlsafe(12)}").decode()
        return Challenge(nonce, datetime.fromtimestamp(expires, UTC))

    def verify(self, nonce: str, organisation: str) -> None:
        """Check that this server issued the nonce to the organisation within the last five minutes.

        This method does not check whether the nonce has been used before.

        Raises:
            ProblemError: The nonce is forged or has expired, or it was issued to another organisation.
        """
        try:
            signed = self._signer.unsign(nonce)
        except (BadSignature, UnicodeError) as error:
            raise invalid_field_error("nonce", _UNKNOWN) from error
        owner, expires, _ = signed.decode().split(".")
        # base64 can represent one signature as several strings, which differ in padding and unused bits. Only the exact
        # text that byok issued is accepted, because any other spelling of the same nonce would count as an unused
        # nonce.
        if owner != organisation or self._signer.sign(signed) != nonce.encode():
            raise invalid_field_error("nonce", _UNKNOWN)
        if int(expires) < self._clock():
            raise invalid_field_error("nonce", _EXPIRED)
