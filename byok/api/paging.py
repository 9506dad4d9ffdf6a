"""Signs and verifies the page tokens of the list of environments.

Temporal reports an invalid page token as an internal error, so the Temporal client would keep retrying the call. The
signature ensures that Temporal receives only tokens that this server issued.
"""

import base64
import binascii

from itsdangerous import BadSignature, Signer

from byok.api.problems import invalid_field_error


class PageTokenSigner:
    """Signs page tokens.

    Args:
        secret: The signing secret, which all processes behind one address must share.
    """

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="byok.page")

    def sign(self, end: bytes | None) -> str | None:
        """Return the signed page token for the caller; None after the last page."""
        return self._signer.sign(base64.urlsafe_b64encode(end)).decode() if end else None

    def verify(self, sign: str | None) -> bytes | None:
        """Return the page token that the caller sent back; None if the caller sent no token.

        Raises:
            ProblemError: This server did not sign the token.
        """
        if not sign:
            return None
        try:
            return base64.urlsafe_b64decode(self._signer.unsign(sign))
        except (BadSignature, binascii.Error, UnicodeError) as error:
            raise invalid_field_error("after", "must be the value of `next` on the previous page") from error
