r"""Finds the key policy in the output of `aws kms get-key-policy --output text`, `yaml` or `yaml-stream`.

As text, the AWS CLI prints a response's values separated by tabs and sorted by the names of their fields: first the
policy, then `default`, which is the only name that a key policy can have (KMS API reference, GetKeyPolicy). As YAML,
the AWS CLI prints the policy as a quoted scalar (YAML 1.2.2, sections 5.7 and 7.3): `Policy: "{\n \"Version\" …`. This
module handles neither plain scalars nor block scalars, because the AWS CLI never uses them to print a policy. This
module does not handle JSON output either.
"""

import re
from typing import Final

_TEXT: Final = re.compile(r"\s*(?P<policy>\{.*\})\tdefault\s*", re.DOTALL)
_YAML: Final = re.compile(
    r"\s*(?:---\s+)?(?:- )?(?:PolicyName: default\s+)?(?:Policy:\s+)?"
    r"(?:'(?P<single>(?:[^']|'')*)'|\"(?P<double>(?:[^\"\\]|\\.)*)\")"
    r"\s*(?:PolicyName: default\s*)?(?:\.\.\.\s*)?",
    re.DOTALL,
)
_FOLD: Final = r"[ \t]*\n[ \t\n]*"
_ESCAPED_OR_FOLDED: Final = re.compile(
    r"\\(?P<break>\n[ \t]*)|\\(?P<code>x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})|\\(?P<char>.)|" + _FOLD,
    re.DOTALL,
)
_CHARACTERS: Final = {
    **{char: char for char in ' "/\\\t'},
    **dict(zip("0abtnvfreN_LP", "\0\a\b\t\n\v\f\r\x1b\x85\xa0\u2028\u2029", strict=True)),
}


def find_policy_in_cli_output(text: str) -> str | None:
    """Extract the policy, byte for byte, from the text or YAML output of `get-key-policy`.

    Return None if the text is in neither format.
    """
    as_text = _TEXT.fullmatch(text)
    if as_text is not None:
        return as_text["policy"]
    as_yaml = _YAML.fullmatch(text.replace("\r\n", "\n"))
    if as_yaml is None:
        return None
    if as_yaml["single"] is not None:
        return re.sub(_FOLD, _fold, as_yaml["single"]).replace("''", "'")
    try:
        return _ESCAPED_OR_FOLDED.sub(_unescape, as_yaml["double"])
    except (KeyError, ValueError, OverflowError):  # an escape sequence that YAML does not define
        return None


def _fold(match: re.Match[str]) -> str:
    """Fold a run of line breaks: a single line break becomes a space, and a longer run loses one line break.

    White space around line breaks is not part of the value.
    """
    return "\n" * (match[0].count("\n") - 1) or " "


def _unescape(match: re.Match[str]) -> str:
    if match["break"] is not None:
        return ""
    if match["code"] is not None:
        return chr(int(match["code"][1:], 16))
    return _CHARACTERS[match["char"]] if match["char"] is not None else _fold(match)
