"""Builds the documentation site once for all tests, with the real tool."""

import resource
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docsite.build import ZENSICAL, build
from tests.programs import skip_or_fail


@dataclass
class Page(HTMLParser):
    """What a page of the site contains.

    Attributes:
        path: The page's path on the site, such as `reference/cli/`.
        links: The targets of its links.
        assets: The addresses of its scripts, style sheets and pictures.
        anchors: The ids on the page.
        inline: Scripts, styles and event handlers that a strict security policy would block.
    """

    path: str
    links: set[str] = field(default_factory=set)
    assets: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)
    inline: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.inline += [f"{tag} {name}" for name in found if name == "style" or name.startswith("on")]
        if found.get("id"):
            self.anchors.add(found["id"])
        if tag == "a" and "href" in found:
            self.links.add(found["href"])
        elif tag == "link" and found.get("rel") in {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch"}:
            self.assets.add(found["href"])
        elif tag in {"script", "img", "iframe", "source"} and "src" in found:
            self.assets.add(found["src"])
        elif tag == "style" or (tag == "script" and found.get("type") != "application/json"):
            self.inline.append(tag)


@dataclass(frozen=True)
class Site:
    """A built site.

    Attributes:
        folder: The site's folder.
        pages: The pages, by path; the path of the index is empty.
        cpu_seconds: The CPU time of the documentation tool.
    """

    folder: Path
    pages: dict[str, Page]
    cpu_seconds: float


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Build the site."""
    if not ZENSICAL.is_file():
        skip_or_fail("the documentation tool is not installed; `make docs` installs it")
    folder = tmp_path_factory.mktemp("docs") / "site"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    build(folder)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    pages = {}
    for file in folder.rglob("index.html"):
        path = file.relative_to(folder).as_posix().removesuffix("index.html")
        pages[path] = Page(path)
        pages[path].feed(file.read_text())
    return Site(folder, pages, spent)
