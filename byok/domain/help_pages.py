"""The address of the documentation page about a problem code.

`byok web` serves the documentation under `/docs`, with one page for each problem code. By default, the address is
relative to that server, because links in the server's own responses need no host name (RFC 9457, 3.1.1). The command
line, and servers with a public URL, use a complete address, which each process sets once at startup.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final
from urllib.parse import quote

DOCS_PATH: Final = "/docs"
"""The path under which `byok web` serves the documentation."""

PROBLEMS_PATH: Final = "/problems"
"""The path of the pages about problem codes, relative to the address of the documentation."""

_docs_url: ContextVar[str] = ContextVar("docs_url", default=DOCS_PATH)


def use_docs_url(url: str) -> None:
    """Set the address of the documentation for all help URLs that are built later in the current context."""
    _docs_url.set(url.rstrip("/"))


def read_docs_url(environ: Mapping[str, str]) -> str:
    """Determine the address of the documentation from the settings BYOK_DOCS_URL and BYOK_API__PUBLIC_URL."""
    public_url = environ.get("BYOK_API__PUBLIC_URL", "").rstrip("/")
    return environ.get("BYOK_DOCS_URL") or f"{public_url}{DOCS_PATH}"


def get_docs_url() -> str:
    """Return the address of the documentation."""
    return _docs_url.get()


def build_help_url(code: str) -> str:
    """Return the address of the page about a problem code."""
    return f"{get_docs_url()}{PROBLEMS_PATH}/{quote(code)}"
