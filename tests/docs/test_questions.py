"""Each question is answered within two clicks from the index, and by one search."""

import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import pytest
from playwright.sync_api import TimeoutError, sync_playwright

from docsite.sources import make_anchor
from tests.docs.conftest import Site
from tests.docs.test_site import resolve
from tests.programs import ROOT, skip_or_fail
from tests.wizard.browsers import find_browser

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


def test_one_search_in_the_words_of_the_question_finds_it(site: Site) -> None:
    browser_path = find_browser()
    if browser_path is None:
        skip_or_fail("no browser is installed")
    handler = partial(QuietHandler, directory=str(site.folder))
    missing = []
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        Thread(target=server.serve_forever, daemon=True).start()
        with playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"]) as browser:
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            page.locator("button.md-search__button").first.click()
            page.get_by_role("combobox", name="Search").wait_for()
            for question, _ in SECTIONS:
                page.get_by_role("combobox", name="Search").fill(question)
                result = page.locator(f'a[href*="questions/"][href$="#{make_anchor(question)}"]').nth(0)
                try:
                    result.wait_for(state="attached", timeout=3000)
                except TimeoutError:
                    missing.append(question)
        server.shutdown()
    assert not missing


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves the site without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
