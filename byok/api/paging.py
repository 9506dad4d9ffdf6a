"""Where a page of environments ended, as the caller is given it and brings it back.

Temporal takes what is no end of a page for a failure of its own, and the client tries again and again: what did not
come from here is not to reach it. So it is signed.
"""

import base64
import binascii

from itsdangerous import BadSignature, Signer

from byok.api.problems import invalid_field_error


class PageTokenSigner:
    """Signs the ends of pages.

    Args:
        secret: What they are signed with; all processes behind one address need the same.
    """

    def __init__(self, secret: str) -> None:
        self._signer = Signer(secret, salt="byok.page")

    def sign(self, end: bytes | None) -> str | None:
        """The end of a page for the caller; None where it was the last."""
        return self._signer.sign(base64.urlsafe_b64encode(end)).decode() if end else None

    def verify(self, sign: str | None) -> bytes | None:
        """What the caller was given.

        Raises:
            ProblemError: It did not come from here.
        """
        if not sign:
            return None
        try:
            return base64.urlsafe_b64decode(self._signer.unsign(sign))
        except (BadSignature, binascii.Error, UnicodeError) as error:
            raise invalid_field_error("after", "has to be what the page before gave as next") from error
