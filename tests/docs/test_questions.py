"""A reader reaches the answer to each question with two clicks from the index, or with one search."""

import re
from typing import Final

import pytest
from playwright.async_api import TimeoutError

from docsite.sources import make_anchor
from tests.docs.conftest import Site
from tests.docs.test_serving import serve
from tests.docs.test_site import resolve
from tests.programs import ROOT
from tests.wizard.chromium import launch_chromium

SECTIONS: Final = re.findall(
    r"^### ([^\n]+)\n\n(.*?)(?=\n#|\Z)", (ROOT / "docs/questions.md").read_text(), re.MULTILINE | re.DOTALL
)
GROUPS: Final = {"Newcomers", "Key administrators", "Support", "Auditors"}


def test_there_are_questions_of_four_groups_of_readers() -> None:
    assert len(SECTIONS) >= 55
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


async def test_one_search_in_the_words_of_the_question_finds_it(site: Site) -> None:
    missing = []
    async with serve(site.folder) as address, launch_chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{address}/docs/")
        await page.locator("button.md-search__button").first.click()
        await page.get_by_role("combobox", name="Search").wait_for()
        for question, _ in SECTIONS:
            await page.get_by_role("combobox", name="Search").fill(question)
            result = page.locator(f'a[href*="questions/"][href$="#{make_anchor(question)}"]').nth(0)
            try:
                await result.wait_for(state="attached", timeout=3000)
            except TimeoutError:
                missing.append(question)
    assert not missing
