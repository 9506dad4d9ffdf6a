"""The address of the documentation page about a problem code.

`byok web` serves the documentation under `/docs`, with one page for each problem code. A problem in a response of that
server therefore needs no host name: the default address is relative to the server (RFC 9457, 3.1.1). The command line
and servers with a public URL use a complete address, which their entry points choose once.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Final
from urllib.parse import quote

DOCS_PATH: Final = "/docs"
"""The path under which `byok web` serves the documentation."""

PROBLEMS_PATH: Final = "/problems"
"""The path, within the documentation, of the pages about problem codes."""

_docs_url: ContextVar[str] = ContextVar("docs_url", default=DOCS_PATH)


def use_docs_url(url: str) -> None:
    """Choose the address of the documentation, for all help URLs that this context builds from now on."""
    _docs_url.set(url.rstrip("/"))


def read_docs_url(environ: Mapping[str, str]) -> str:
    """Return the address of the documentation that the settings BYOK_DOCS_URL and BYOK_API__PUBLIC_URL define."""
    public_url = environ.get("BYOK_API__PUBLIC_URL", "").rstrip("/")
    return environ.get("BYOK_DOCS_URL") or f"{public_url}{DOCS_PATH}"


def get_docs_url() -> str:
    """Return the address of the documentation."""
    return _docs_url.get()


def build_help_url(code: str) -> str:
    """Return the address of the page about a problem code."""
    return f"{get_docs_url()}{PROBLEMS_PATH}/{quote(code)}"
