"""Collects the site's Markdown: the pages of `docs/`, other pages of the repository, and the pages made from the code.

The site shows the same Markdown files as code hosts, such as GitHub. This module adapts the files to the site. Links to
files that are not on the site become plain text. Headings get the same anchors as on code hosts. Codes, commands and
settings in the text become links to the reference.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from posixpath import normpath, relpath
from typing import Final

from byok.domain.phases import Phase
from docsite.api_pages import render_api_page
from docsite.catalogue import (
    list_settings,
    render_events_page,
    render_phases_page,
    render_reference_index,
    render_settings_page,
)
from docsite.cli_pages import list_commands, render_cli_page
from docsite.problem_pages import find_pages, render_code_table, render_problem_page

ROOT: Final = Path(__file__).resolve().parents[1]
Sources = Mapping[str, "str | Path"]
"""The files of the site's source, by path. The content of a file is either text or the path of a file to copy."""

OTHER_PAGES: Final = {
    "README.md": "overview.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "CHANGELOG.md": "changelog.md",
    "bench/peers/README.md": "peers.md",
}
"""The pages outside `docs/`, and their names on the site."""

SPLIT: Final = ("byok.md", "keys.md", "network.md", "policy.md")
"""The files of `docs/problems` whose sections become pages of their own."""

DOWNLOADS: Final = frozenset({".json", ".yaml", ".yml", ".tf"})
PICTURES: Final = frozenset({".svg", ".png"})
NOT_SEARCHED: Final = frozenset({"requirements.md", "mutation.md", "faults.md"})
"""Pages that the search omits. In the search results, these long tables would displace the pages that answer a
question."""

_PHASES: Final = frozenset(Phase)
_ON_SITE: Final = "site:"
"""The prefix of a link that has already been adapted to the site."""
_FENCED: Final = re.compile(r"^( *)(```+|~~~+)[^\n]*\n.*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_CODE: Final = re.compile(r"(?<![`\[])`([^`\n]+)`(?![`\]])")


def collect_sources() -> Sources:
    """Return all files of the site's source, by path."""
    found: dict[str, str | Path] = {}
    problems = find_pages()
    pages = {
        **{f"docs/{name}": name for name in _list_docs()},
        **OTHER_PAGES,
    }
    references = _Links(pages, frozenset(problems), frozenset(list_commands()), found)
    for source, name in pages.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        if source == "docs/problems/README.md":
            text += "\n" + render_code_table(problems)
        found[name] = references.adapt(text, source, name)
    generated = {
        "reference/README.md": render_reference_index(),
        "reference/cli.md": render_cli_page(),
        "reference/api.md": render_api_page(),
        "reference/settings.md": render_settings_page((ROOT / "docs/settings.md").read_text()),
        "reference/phases.md": render_phases_page(),
        "reference/events.md": render_events_page(),
        **{f"problems/{code}.md": render_problem_page(page) for code, page in problems.items()},
    }
    for name, text in generated.items():
        found[name] = references.adapt(text, f"docs/{name}", name)
    return found


def _list_docs() -> Iterator[str]:
    docs = ROOT / "docs"
    for page in sorted(docs.rglob("*.md")):
        name = page.relative_to(docs).as_posix()
        if name.removeprefix("problems/") not in SPLIT or not name.startswith("problems/"):
            yield name


def make_anchor(heading: str) -> str:
    """Return the anchor that a code host generates for a heading."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


class _Links:
    """Adapts pages to the site. Files that a page offers for download are added to `files`."""

    def __init__(
        self, pages: Mapping[str, str], codes: frozenset[str], commands: frozenset[str], files: dict[str, str | Path]
    ) -> None:
        self._pages = pages
        self._settings = frozenset(name for name, _ in list_settings())
        self._codes = codes
        self._commands = commands
        self._files = files

    def adapt(self, text: str, source: str, name: str) -> str:
        """Return the page's text for the site.

        Args:
            text: The page's Markdown.
            source: The page's path in the repository.
            name: The page's path on the site.
        """
        anchors: list[str] = []
        parts, end = [], 0
        for fence in _FENCED.finditer(text):
            parts += [self._adapt_prose(text[end : fence.start()], source, name, anchors), fence[0]]
            end = fence.end()
        parts.append(self._adapt_prose(text[end:], source, name, anchors))
        before = "---\nsearch:\n  exclude: true\n---\n\n" if name in NOT_SEARCHED else ""
        return before + "".join(parts)

    def _adapt_prose(self, text: str, source: str, name: str, anchors: list[str]) -> str:
        lines = [
            line if line.startswith("#") else _CODE.sub(lambda code: self._refer(code[1], name), line)
            for line in text.split("\n")
        ]
        text = _LINK.sub(lambda link: self._resolve(link, source, name), "\n".join(lines))

        def add_anchor(found: re.Match[str]) -> str:
            anchor = make_anchor(found[2])
            earlier = anchors.count(anchor)
            anchors.append(anchor)
            return f"{found[1]} {found[2]} {{#{anchor}{f'-{earlier}' if earlier else ''}}}"

        return _HEADING.sub(add_anchor, text)

    def _resolve(self, link: re.Match[str], source: str, name: str) -> str:
        mark, label, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if target.startswith(_ON_SITE):
            return f"[{label}]({target.removeprefix(_ON_SITE)})"
        if re.match(r"[a-z]+:", target) or not path:
            return link[0]
        folder = source.rpartition("/")[0]
        there = normpath(f"{folder}/{path}" if folder else path)
        if there.startswith("docs/problems/") and there.removeprefix("docs/problems/") in SPLIT:
            return f"[{label}]({_relative('problems/README.md', name)}#codes)"
        if there in self._pages:
            return f"{mark}[{label}]({_relative(self._pages[there], name)}{hash_}{anchor})"
        file = ROOT / there
        if file.suffix in PICTURES and file.is_file():
            shown = there.removeprefix("docs/")
        elif file.suffix in DOWNLOADS and file.is_file():
            shown = f"files/{there}"
        elif there.startswith("docs/"):  # this page is generated from the code
            return f"{mark}[{label}]({_relative(there.removeprefix('docs/'), name)}{hash_}{anchor})"
        else:
            return label  # the source code is not part of the site
        self._files[shown] = file
        return f"{mark}[{label}]({_relative(shown, name)})"

    def _refer(self, code: str, name: str) -> str:
        """Turn inline code into a link to its entry in the reference."""
        shown = f"`{code}`"
        target = None
        if code in self._codes and name != f"problems/{code}.md":
            target = f"problems/{code}.md"
        elif code in self._settings and name != "reference/settings.md":
            target = f"reference/settings.md#{code.lower()}"
        elif code in _PHASES and name != "reference/phases.md":
            target = f"reference/phases.md#{code.lower()}"
        elif code.startswith("byok ") and name != "reference/cli.md":
            words = code.split()
            command = next((" ".join(words[:n]) for n in (3, 2) if " ".join(words[:n]) in self._commands), None)
            target = command and f"reference/cli.md#{command.replace(' ', '-')}"
        if not target:
            return shown
        path, hash_, anchor = target.partition("#")
        return f"[{shown}]({_ON_SITE}{_relative(path, name)}{hash_}{anchor})"


def _relative(path: str, name: str) -> str:
    return relpath(path, name.rpartition("/")[0] or ".")
