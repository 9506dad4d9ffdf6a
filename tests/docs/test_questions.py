"""Each of forty questions is answered within two clicks from the index, and by one search."""

import json
import re
from typing import Final

import pytest

from docsite.sources import make_anchor
from tests.docs.conftest import Site
from tests.docs.test_site import resolve
from tests.programs import ROOT

SECTIONS: Final = re.findall(
    r"^### ([^\n]+)\n\n(.*?)(?=\n#|\Z)", (ROOT / "docs/questions.md").read_text(), re.MULTILINE | re.DOTALL
)
GROUPS: Final = {"Newcomers", "Key administrators", "Support", "Auditors"}


def test_there_are_forty_questions_of_four_groups_of_readers() -> None:
    assert len(SECTIONS) == 40
    assert set(re.findall(r"^## (.+)$", (ROOT / "docs/questions.md").read_text(), re.MULTILINE)) == GROUPS


@pytest.mark.parametrize(("question", "answer"), SECTIONS, ids=[question for question, _ in SECTIONS])
def test_question_is_answered_within_two_clicks(site: Site, question: str, answer: str) -> None:
    assert len(answer) > 40
    assert re.search(r"\]\([^)]+\)", answer), "an answer links to the page that says more"
    first = {resolve("", link)[0] for link in site.pages[""].links}
    assert "questions" in first
    page = site.pages["questions/"]
    assert make_anchor(question) in page.anchors
    second = {resolve(page.path, link)[0] for link in page.links}
    targets = re.findall(r"\]\(([^)#]+)", answer)
    names = {"../README.md": "overview", "../SECURITY.md": "security"}
    for target in targets:
        name = names.get(target, target.removesuffix(".md").removesuffix("/README"))
        assert name in second


def test_one_search_finds_every_question(site: Site) -> None:
    entries = json.loads((site.folder / "search.json").read_text())["items"]
    titles = {re.sub(r"<[^>]+>", "", entry["title"]) for entry in entries}
    assert {question for question, _ in SECTIONS} <= titles
