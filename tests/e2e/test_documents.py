"""The commands in the README and the documents work, the links resolve, and the lists are complete."""

import ast
import asyncio
import os
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType

from byok.contracts import environment_workflow_id
from byok.local.programs import PROGRAMS_ROOT
from byok.settings import ENV_PREFIX, Settings
from tests.e2e.conftest import StackHarness
from tests.e2e.documented_commands import commands_in, run_documented_command

README = (PROGRAMS_ROOT / "README.md").read_text()
DOCS = PROGRAMS_ROOT / "docs"
INDEX = (DOCS / "README.md").read_text()
PAGES = sorted([*PROGRAMS_ROOT.glob("*.md"), *DOCS.rglob("*.md"), PROGRAMS_ROOT / "bench" / "peers" / "README.md"])
WITH_COMMANDS = ("docs/tutorial.md", "README.md", "docs/onboarding.md", "docs/lifecycle.md")
"""The pages whose commands these tests run, in the order in which a user would run them."""

LINKS = sorted(
    {
        (str(page.relative_to(PROGRAMS_ROOT)), link)
        for page in PAGES
        for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text())
        if not re.match(r"https?:", link)
    }
)

BEHAVIOUR_ROWS = [
    tuple(cell.strip() for cell in line.strip("| ").split(" | "))
    for line in (DOCS / "behaviour.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| where |")
]


async def test_documented_commands_work(web: StackHarness, tmp_path: Path, aws_cli: Path) -> None:
    pair = await asyncio.to_thread(web.stack.customer.ensure_key_pair, "documents")
    exports = {
        "S3_KEY_ARN": pair.s3_key_arn,
        "RDS_KEY_ARN": pair.rds_key_arn,
        "PATH": f"{aws_cli.parent}:{os.environ['PATH']}",
    }
    # This stack creates a database in half a second, so hold the CreateDBCluster call until a command has cancelled the
    # workflow.
    where = {"service": "rds", "operation": "CreateDBCluster", "about": "globex"}
    web.aws.call_control("POST", "faults", kind="hold_call", **where)

    for page in WITH_COMMANDS:
        commands = commands_in(page)
        assert len(commands) > 4
        for command in commands:
            cancelled = re.search(r"byok cancel (\S+)", command)
            release = [release_held_call_after_cancel_request(web, cancelled[1])] if cancelled else []
            await asyncio.gather(run_documented_command(web, command, tmp_path, exports), *release)
        if page == "README.md":
            assert (await web.wait_until_ended("acme")).phase == "READY"
    assert (await web.wait_until_ended("globex")).phase == "DELETED"


async def release_held_call_after_cancel_request(machine: StackHarness, environment_id: str) -> None:
    """Wait until an environment's cancellation has been requested, then release the held call."""
    handle = machine.service.client.get_workflow_handle(environment_workflow_id(environment_id))
    requested = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    async with asyncio.timeout(60):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if event.event_type == requested:
                break
    machine.aws.call_control("DELETE", "held")


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_every_start_by_hand_fails_if_the_workflow_exists() -> None:
    # Without `--fail-existing`, Temporal's CLI drops the input and exits with 0 if the workflow is already running.
    starts = [line for page in PAGES for line in page.read_text().splitlines() if re.search("workflow start ", line)]

    assert starts
    assert [line for line in starts if "--fail-existing" not in line] == []


def test_make_targets_are_listed_and_exist() -> None:
    public = set(re.findall(r"^([a-z-]+):.*##", (PROGRAMS_ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", INDEX, re.MULTILINE)) == public
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text())) <= public, page


def test_index_names_every_page() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)\)", INDEX))

    assert {page.name for page in DOCS.glob("*.md")} - {"README.md"} <= linked


def anchors_in(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_links_resolve(page: str, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (PROGRAMS_ROOT / page).parent / path if path else PROGRAMS_ROOT / page

    assert target.exists()
    assert not anchor or anchor in anchors_in(target)


def list_setting_variables(model: type[BaseModel], prefix: str) -> set[str]:
    """Return the environment variables that set the fields of a settings model, including fields of nested models."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, BaseModel):
            names |= list_setting_variables(nested, f"{prefix}{name.upper()}__")
        else:
            names.add(f"{prefix}{name.upper()}")
    return names


def test_every_setting_is_documented_once() -> None:
    rows = re.findall(r"^\| (`BYOK_[^|]+) \|", (DOCS / "settings.md").read_text(), re.MULTILINE)
    described = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(described) == sorted(list_setting_variables(Settings, ENV_PREFIX))


def names_existing_test(reference: str) -> bool:
    """Return whether a reference such as `tests/unit/test_x.py::test_y` refers to an existing test."""
    file, _, name = reference.partition("::")
    path = PROGRAMS_ROOT / file
    tests = ast.walk(ast.parse(path.read_text())) if path.is_file() else ()
    return name in {one.name for one in tests if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_test_that_documents_a_behaviour_exists() -> None:
    named = re.findall(r"`(tests/[^`]*::[^`]*)`", (DOCS / "behaviour.md").read_text())

    assert named
    assert [reference for reference in named if not names_existing_test(reference)] == []


@pytest.mark.parametrize("row", BEHAVIOUR_ROWS, ids=lambda row: row[0])
def test_behaviour_has_a_source_and_a_test_or_a_reason_why_not(row: tuple[str, ...]) -> None:
    where, behaviour, source, test, handling = row

    assert all((where, behaviour, source, handling))
    assert "::" in test or re.match(r"document only: \w+", test)
