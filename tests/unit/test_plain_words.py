"""No text contains an idiom that reads like a translation; `IDIOMS` has a replacement for each idiom."""

import re
from typing import Final

import pytest

from tests.sentences import ROOT, list_text_files

IDIOMS: Final = {
    r"(?<!would )\bha(s|ve|d) to be\b": "must be",
    r"\bwhoever\b": "name the actor",
    r"\b(some|any|every|no)body\b": "name the actor, or: no user, every caller",
    r"\banew\b": "again, start over",
    r"(?<!there )\b(is|are|was|were) (?-i:none)\b": "no …, does not exist, None",
    r"\btold to\b": "cancelled, requested, configured",
    r"\b(is|are|was|were) told\b(?! apart)": "reported",
    r"\b(is|are|was|were|be) looked\b": "checked, polled, looked up",
    r"\blooks? whether\b": "checks whether",
    r"\b(goes|go|going|went) on (from|with|at)\b": "resumes, continues",
    r"\ba wish\b": "a request",
    r"\bwish to end\b": "cancellation request",
    r"\basked for the end\b": "requested cancellation",
    r"\blies? ready\b": "ready-made",
    r"\b(its|their|AWS's) own words\b": "exact error message",
    r"\bbears?\b": "has",
    r"\bof (ours|theirs)\b": "our, their",
    r"\ball the same\b": "anyway",
    r"\bin no other way\b": "only",
    r"\bmade anew\b": "recreated",
    r"\bcomes? to rest\b": "stops",
    r"\bsees? to it\b": "makes sure, resolves",
    r"\bhas a mistake\b": "internal error",
    r"\bstand-in of\b": "stand-in for",
    r"\bis to be (?!\w+ing)\w+ed\b": "must be",
    r"\bwhat (is|was) there\b": "existing",
}
"""The idioms that no text may contain, as regular expressions, each with its replacement."""

ALLOWED: Final = {
    ("byok/wizard/templates/encryption_step.html", "is none"): "Jinja's test for None",
}
"""The exceptions: (file, matched words in lower case) → the reason why the words are correct in this file."""

FILES: Final = [name for name in list_text_files() if name != "tests/unit/test_plain_words.py"]


def find_idioms(name: str) -> list[tuple[int, str, str]]:
    """List the line number, the matched words and the replacement of every idiom in a file."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [
        (number, found[0].lower(), advice)
        for number, line in enumerate(lines, 1)
        for idiom, advice in IDIOMS.items()
        for found in re.finditer(idiom, line, re.IGNORECASE)
    ]


@pytest.mark.parametrize("name", FILES)
def test_text_has_no_idiom_that_reads_as_translated(name: str) -> None:
    assert [found for found in find_idioms(name) if (name, found[1]) not in ALLOWED] == []


def test_every_exception_is_still_needed() -> None:
    assert [(name, words) for name, words in ALLOWED if words not in {found[1] for found in find_idioms(name)}] == []
