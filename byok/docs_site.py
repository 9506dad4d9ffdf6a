"""Serves the documentation site under `/docs`. `make docs` builds the site into `byok/_site`, which the wheel contains.

The site contains no customer data, so users can read the site without signing in. The pages load nothing from other
hosts.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from byok.domain.help_pages import DOCS_PATH, PROBLEMS_PATH

SITE: Final = Path(__file__).with_name("_site")
"""The folder in which `make docs` builds the site."""

SEARCH_STYLE: Final = "sha256-NwSx/R2V/U4jnW0Tq5pQ53Y/rzPVJ4dqE7D6UTA/J1k="
"""The hash of the style sheet that Zensical's search dialog inserts.

A new version of Zensical can have another style sheet. The browser test of the site then fails and shows the new hash.
"""

CONTENT_SECURITY_POLICY: Final = (
    # This policy is the wizard's policy with three additions: data URLs for the icons in the theme's style sheets, a
    # worker for the search, and the hash of the style sheet that the search dialog inserts.
    f"default-src 'none'; style-src 'self' '{SEARCH_STYLE}'; script-src 'self'; worker-src 'self'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    '<meta name="color-scheme" content="light dark">'
    "<title>{title}</title></head><body><h1>{title}</h1>{text}</body></html>"
)
_NOT_BUILT: Final = _PAGE.format(
    title="The documentation is not built",
    text="<p>In a checkout of byok, run <code>make docs</code>, then reload this page. The container image and the "
    "wheel of a release contain the documentation.</p>",
)
_NOT_FOUND: Final = _PAGE.format(
    title="Page not found",
    text=f'<p>The documentation has no page at this address. <a href="{DOCS_PATH}/">Open the documentation</a>.</p>',
)


def make_docs_app(site: Path = SITE) -> ASGIApp:
    """Build the application that serves the site.

    If a request asks for the page of an unknown problem code, the response redirects to the list of all codes, because
    AWS can return codes that byok does not know.
    """
    files = StaticFiles(directory=site, html=True, check_dir=False)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        inner = dict(scope, root_path=scope.get("root_path", "") + DOCS_PATH)
        response = await _respond(files, site, inner)
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        await response(scope, receive, send)

    return serve


async def _respond(files: StaticFiles, site: Path, scope: Scope) -> Response:
    if not (site / "index.html").is_file():
        return HTMLResponse(_NOT_BUILT, HTTPStatus.NOT_FOUND)
    if scope["path"] == DOCS_PATH:
        return RedirectResponse(f"{DOCS_PATH}/", HTTPStatus.PERMANENT_REDIRECT)
    try:
        return await files.get_response(files.get_path(scope), scope)
    except HTTPException as error:
        if error.status_code == HTTPStatus.NOT_FOUND and scope["path"].startswith(f"{DOCS_PATH}{PROBLEMS_PATH}/"):
            return RedirectResponse(f"{DOCS_PATH}{PROBLEMS_PATH}/")
        return HTMLResponse(_NOT_FOUND, error.status_code)
