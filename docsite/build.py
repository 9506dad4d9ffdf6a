"""Builds the site: collects the Markdown, runs Zensical, and adapts the pages to a strict content security policy."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from byok.docs_site import SITE
from docsite.search import SearchError, adapt_search
from docsite.sources import ROOT, Sources, collect_sources

__all__ = ["SITE", "BuildError", "build", "write_sources"]

ZENSICAL: Final = ROOT / ".tools" / "docs" / "bin" / "zensical"
CONFIG: Final = Path(__file__).with_name("zensical.toml")
STYLE: Final = Path(__file__).with_name("extra.css")

_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class BuildError(Exception):
    """The site cannot be built. The message states the reason."""


def build(site: Path = SITE) -> int:
    """Build the site.

    Args:
        site: The folder to write; an existing folder is replaced once the build has succeeded.

    Returns:
        The number of pages.

    Raises:
        BuildError: Zensical is not installed or failed, or this module cannot adapt Zensical's search.
    """
    if not ZENSICAL.is_file():
        raise BuildError("The documentation tool is not installed: run `make docs`.")
    with tempfile.TemporaryDirectory(prefix="byok-docs-") as folder:
        work = Path(folder)
        write_sources(work / "docs", collect_sources())
        shutil.copy(CONFIG, work)
        # Zensical does not use the network. If a later version does, its requests fail, because there is no proxy at
        # this address.
        offline = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
        done = subprocess.run(
            [str(ZENSICAL), "build"],
            cwd=work,
            env={**os.environ, **offline},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise BuildError(f"Zensical failed:\n{done.stdout}{done.stderr}")
        built = work / "site"
        for name in ("sitemap.xml", "404.html"):  # these files are useless without the site's address, which is unknown
            (built / name).unlink()
        pages = sorted(built.rglob("*.html"))
        for page in pages:
            _move_inline_scripts(page, built)
        try:
            adapt_search(built)
        except SearchError as error:
            raise BuildError(str(error)) from error
        draft = site.with_name(f".{site.name}-{os.getpid()}")
        shutil.copytree(built, draft)
        shutil.rmtree(site, ignore_errors=True)
        draft.rename(site)
    return len(pages)


def write_sources(folder: Path, sources: Sources) -> None:
    """Write the Markdown pages, and the images and downloads that the pages contain."""
    for name, content in sources.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, target)
        else:
            target.write_text(content, encoding="utf-8")
    (folder / "extra.css").write_text(STYLE.read_text())


def _move_inline_scripts(page: Path, site: Path) -> None:
    """Move a page's inline scripts into files, because the security policy allows no inline scripts."""
    depth = len(page.relative_to(site).parts) - 1

    def move(found: re.Match[str]) -> str:
        script = found[1]
        name = f"assets/javascripts/inline-{hashlib.sha256(script.encode()).hexdigest()[:8]}.js"
        (site / name).write_text(script)
        return f'<script src="{"../" * depth or "./"}{name}"></script>'

    page.write_text(_INLINE_SCRIPT.sub(move, page.read_text()))
