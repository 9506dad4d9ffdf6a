"""On the documentation site, links resolve, no page loads anything from another host, and reference pages are complete.

The reference pages have entries for all problem codes, settings, commands, options, routes, phases and events.
"""

import ast
import re
from collections.abc import Iterator
from posixpath import normpath
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from typer.main import get_command

from byok.cli.app import app
from byok.domain.arns import KeyArnErrorCode
from byok.domain.models import NotificationType
from byok.domain.phases import HealthState, Phase
from byok.domain.problems.aws_errors import ERROR_RULES
from docsite.api_pages import BODIES, list_routes, read_openapi_document
from docsite.catalogue import list_settings
from docsite.problem_pages import FAMILIES
from docsite.sources import make_anchor
from tests.docs.conftest import Site
from tests.programs import ROOT

CODE: Final = re.compile(r"(?:arn|aws|byok|caller|key|kms|network|policy|rds|s3|sts|tenant|worker)(?:\.[A-Z]\w*)+")
MAX_CPU_SECONDS: Final = 8
"""On an idle machine with two cores, the tool needs 3 seconds. Busy machines and slower cores need more CPU time."""


def resolve(page: str, link: str) -> tuple[str, str]:
    """Return the path and the anchor of a link's target on the site."""
    parts = urlsplit(link)
    path = unquote(parts.path)
    there = normpath(f"/{page}{path}").strip("/") if path else page.rstrip("/")
    return there, unquote(parts.fragment)


def test_every_link_leads_to_a_page_and_an_anchor_that_exist(site: Site) -> None:
    broken = []
    for page in site.pages.values():
        for link in page.links:
            if re.match(r"(https?|mailto):", link):
                continue
            there, anchor = resolve(page.path, link)
            target = site.pages.get(f"{there}/" if there else "")
            found = (site.folder / there).is_file() if target is None else not anchor or anchor in target.anchors
            if not found:
                broken.append((page.path, link))
    assert broken == []


def test_no_page_loads_anything_from_another_host(site: Site) -> None:
    for page in site.pages.values():
        for asset in page.assets:
            assert not urlsplit(asset).netloc, page.path
            there, _ = resolve(page.path, asset)
            assert (site.folder / there).is_file(), (page.path, asset)


def test_no_page_needs_inline_scripts_or_styles(site: Site) -> None:
    assert {page.path: page.inline for page in site.pages.values() if page.inline} == {}


def test_tool_builds_the_site_quickly(site: Site) -> None:
    assert len(site.pages) > 300
    assert site.cpu_seconds < MAX_CPU_SECONDS


def list_codes() -> Iterator[str]:
    """Yield every problem code from the string literals in the source code and from the tables of errors."""
    for room in ("activities", "byok", "workflows"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                    yield node.value
    yield from (f"{rule.service}.{rule.code}" for rule in ERROR_RULES)
    yield from KeyArnErrorCode
    yield from (code for codes in FAMILIES.values() for code in codes)


def test_every_problem_code_has_a_page(site: Site) -> None:
    codes = set(list_codes())
    assert len(codes) > 250
    assert {code for code in codes if f"problems/{code}/" not in site.pages} == set()


def test_every_setting_has_an_entry(site: Site) -> None:
    names = {make_anchor(name) for name, _ in list_settings()}
    assert names <= site.pages["reference/settings/"].anchors


def list_options(command: Any, name: str) -> Iterator[tuple[str, str]]:
    """Yield a pair of command name and option for every option of a command and its subcommands."""
    yield name, "--help"
    for parameter in command.params:
        yield from ((name, option) for option in (*parameter.opts, *parameter.secondary_opts) if option[:2] == "--")
    for child, found in getattr(command, "commands", {}).items():
        yield from list_options(found, f"{name} {child}")


def test_every_command_and_option_has_an_entry(site: Site) -> None:
    text = (site.folder / "reference/cli/index.html").read_text()
    sections = dict(re.findall(r'<h2 id="([^"]+)">(.*?)(?=<h2 |</article>)', text, re.DOTALL))
    missing = [
        (command, option)
        for command, option in list_options(get_command(app), "byok")
        if option not in re.sub(r"<[^>]+>|\s", "", sections[make_anchor(command)])
    ]
    assert missing == []


def test_every_route_has_an_entry_with_its_operation_id(site: Site) -> None:
    page, text = site.pages["reference/api/"], (site.folder / "reference/api/index.html").read_text()
    routes = dict(list_routes(read_openapi_document()))
    assert len(routes) > 20
    ids = [operation["operationId"] for operation in routes.values()]
    assert len(set(ids)) == len(ids)
    assert [one for one in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)+", one)] == []
    for route, operation in routes.items():
        assert make_anchor(route) in page.anchors
        assert operation["operationId"] in text
        assert ("requestBody" in operation) is (route in BODIES)


@pytest.mark.parametrize("route", BODIES)
def test_example_of_a_body_is_valid(route: str) -> None:
    model, body = BODIES[route]
    model.model_validate(body)


def test_every_phase_health_and_event_has_an_entry(site: Site) -> None:
    phases, events = site.pages["reference/phases/"].anchors, site.pages["reference/events/"].anchors
    assert {make_anchor(one) for one in (*Phase, *HealthState)} <= phases
    assert {make_anchor(one) for one in NotificationType} | {"phase", "status", "problem"} <= events
