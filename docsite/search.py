"""Adapts the site's search to questions that users type as sentences.

Zensical's search shows only sections that contain every word of the query, and leaves some punctuation attached to the
words. `How long is the audit trail kept?` therefore finds nothing: no section contains both `how` and `kept?`. This
module makes the search ignore words that occur on most pages. The search then also shows sections that contain only
some of the words, with the best matches first.
"""

import json
from pathlib import Path
from typing import Final

IGNORED_WORDS: Final = (
    "a an and any are as at be been but by can could did do does for from get gets got had has have how i if "
    "in into is it its just me may might must my of on or our s should so some t that the their them then "
    "there these they this those to us want was we were what when where which who whom whose why will with "
    "would you your"
)
"""Words that the search ignores, because they occur on most pages.

The letters `s` and `t` are in this list because they follow an apostrophe, as in `byok's` and `can't`. The words `not`
and `no` are not in this list, because they change the meaning of a question.
"""

_EVERY_WORD: Final = '"and",s=>({field'
_SOME_WORDS: Final = '"or",s=>({field'


class SearchError(Exception):
    """The search of the installed version of Zensical does not contain the code that this module replaces."""


def adapt_search(site: Path) -> None:
    """Change the search index and the search script of a built site.

    Raises:
        SearchError: The script does not contain the code that this module replaces.
    """
    index = site / "search.json"
    content = json.loads(index.read_text(encoding="utf-8"))
    content["config"]["separator"] = make_separator()
    index.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    scripts = list((site / "assets/javascripts/workers").glob("search.*.js"))
    texts = [script.read_text(encoding="utf-8") for script in scripts]
    if len(scripts) != 1 or texts[0].count(_EVERY_WORD) != 1:
        raise SearchError("Zensical's search script has changed: adapt docsite/search.py to it.")
    scripts[0].write_text(texts[0].replace(_EVERY_WORD, _SOME_WORDS), encoding="utf-8")


def make_separator() -> str:
    """Return the regular expression for the text between two words: punctuation, spaces and the ignored words.

    The word `byok` is ignored if a space follows. Otherwise, `byok` would match every page whose title begins with the
    code `byok.…`.
    """
    words = "|".join(f"[{word[0].upper()}{word[0]}]{word[1:]}" for word in IGNORED_WORDS.split())
    punctuation = r"""[\s\-,:;!?=\[\]()\\"'`/|\u2019_]+"""
    return rf"{punctuation}|\.(?!\d)|\b(?:{words})(?![\w\-])|\bbyok(?= )"
