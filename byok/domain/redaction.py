"""Removes secrets from data that leaves the platform, such as a support bundle.

byok removes values that are known to be secret, the values of fields whose names indicate a secret, and text that looks
like a credential. Each of these three rules can catch a secret that the other rules miss.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

REMOVED: Final = "[removed]"

_SECRET_NAME: Final = re.compile(
    r"secret|password|passwd|token|authorization|cookie|credential|api_?-?key|access_?-?key|private_?-?key|signature",
    re.IGNORECASE,
)
_CREDENTIALS: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # an AWS access key id,
    r"|\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"  # a JSON web token,
    r"|\bwhsec_[\w+/=-]+"  # a Standard Webhooks secret,
    r"|(?<=://)[^/\s@\"']+@"  # or the user name and password in a URL
    r"|(?i:\b(?:bearer|basic)\s+[\w.~+/=-]{8,})"
    r"|(?i:\bX-Amz-(?:Signature|Security-Token|Credential)=[^&\s\"']+)",
    re.DOTALL,
)
_ACCOUNT: Final = re.compile(r"(?<![0-9a-fA-F-])[0-9]{12}(?![0-9a-fA-F])")
_SHORTEST: Final = 6
"""The minimum length of a secret value that byok removes. A shorter value could also occur in harmless text."""


class Redactor:
    """Removes secrets from JSON data and text.

    Args:
        secrets: Values that are known to be secret, wherever they appear.
        mask_accounts: Whether to replace each AWS account id with a number. All occurrences of an account id get the
            same number.
    """

    def __init__(self, secrets: Iterable[str] = (), *, mask_accounts: bool = False) -> None:
        known = sorted({one for one in secrets if len(one) >= _SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None
        self._mask_accounts = mask_accounts
        self._accounts: dict[str, str] = {}

    def redact(self, data: Any) -> Any:
        """Return JSON data without secrets. The field names stay, so that a reader sees what was removed."""
        if isinstance(data, dict):
            return {self.redact_text(str(name)): self._redact_field(str(name), value) for name, value in data.items()}
        if isinstance(data, list | tuple):
            return [self.redact(one) for one in data]
        return self.redact_text(data) if isinstance(data, str) else data

    def redact_text(self, text: str) -> str:
        """Return text without secrets."""
        text = self._known.sub(REMOVED, text) if self._known else text
        text = _CREDENTIALS.sub(_keep_at(REMOVED), text)
        return _ACCOUNT.sub(lambda found: self._mask(found[0]), text) if self._mask_accounts else text

    def _redact_field(self, name: str, value: Any) -> Any:
        holds_text = isinstance(value, str | bytes | list | tuple)
        return REMOVED if value and holds_text and _SECRET_NAME.search(name) else self.redact(value)

    def _mask(self, account: str) -> str:
        return self._accounts.setdefault(account, f"{len(self._accounts) + 1:012}")


def _keep_at(word: str) -> Callable[[re.Match[str]], str]:
    return lambda found: f"{word}@" if found[0].endswith("@") else word
