"""The house stands as it was drawn: every room is there, says what it is for, and can be read in one sitting.

The directions between the packages are import-linter's (pyproject.toml); what it cannot see is here.
"""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = [
    ROOT / "worker.py",
    *(file for room in ("activities", "byok", "localaws", "workflows") for file in (ROOT / room).rglob("*.py")),
]
TESTS = sorted(file for room in ("tests", "bench") for file in (ROOT / room).rglob("*.py"))
MOST_LINES = 350
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}


def relative_path(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize(
    "room",
    [
        "activities",
        "byok/cli",
        "byok/domain",
        "byok/service",
        "deploy",
        "localaws",
        "docs/decisions",
        "tests/deploy",
        "tests/replay",
        "tests/unit",
        "tests/workflows",
        "workflows",
    ],
)
def test_every_room_is_there(room: str) -> None:
    assert (ROOT / room).is_dir()
    assert any((ROOT / room).iterdir())


@pytest.mark.parametrize(
    "name",
    [
        *(".dockerignore", ".pre-commit-config.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE"),
        *("Makefile", "README.md", "SECURITY.md", "docker-compose.yml", "pyproject.toml", "requirements/dev.lock"),
        *("activities/failures.py", "byok/contracts.py", "byok/domain/problems/aws_errors/table.py", "byok/log.py"),
        *("byok/settings.py", "byok/temporal.py", "worker.py", "workflows/activity_options.py"),
        *("workflows/check_keys.py", "workflows/provision_environment.py"),
    ],
)
def test_every_file_that_the_documents_speak_of_is_there(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("file", PRODUCT, ids=relative_path)
def test_a_module_says_what_it_is_and_can_be_read_in_one_sitting(file: Path) -> None:
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module says what it owns"
    assert len(text.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("file", TESTS, ids=relative_path)
def test_a_test_module_says_what_it_proves(file: Path) -> None:
    text = file.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("file", [*PRODUCT, *TESTS], ids=relative_path)
def test_a_file_is_called_by_a_term_of_the_field(file: Path) -> None:
    assert not {part.removesuffix(".py") for part in file.relative_to(ROOT).parts} & FORBIDDEN_NAMES


def list_imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_the_worker_joins_workflows_activities_and_settings() -> None:
    def rooms(file: Path) -> set[str]:
        return {name.split(".")[0] for name in list_imports(file)} & {"activities", "workflows"} | (
            list_imports(file) & {"byok.settings"}
        )

    joined = [relative_path(file) for file in PRODUCT if rooms(file) == {"activities", "workflows", "byok.settings"}]
    assert joined == ["worker.py"]


@pytest.mark.parametrize("file", PRODUCT[1:], ids=relative_path)
def test_nobody_imports_the_worker(file: Path) -> None:
    assert "worker" not in list_imports(file)


def read_import_contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found: list[dict[str, object]] = settings["contracts"]
    return found


def list_byok_packages() -> set[str]:
    files = [f"byok.{file.stem}" for file in (ROOT / "byok").glob("[!_]*.py")]
    return {*files, *(f"byok.{file.parent.name}" for file in (ROOT / "byok").glob("*/__init__.py"))}


@pytest.mark.parametrize("importer", ["byok.domain", "localaws"])
def test_a_new_room_is_named_in_the_contract_that_closes_it_off(importer: str) -> None:
    """A contract that lists what is forbidden would let through a package that nobody had thought of."""
    (forbidden,) = [
        set(contract["forbidden_modules"])  # type: ignore[call-overload]
        for contract in read_import_contracts()
        if contract["type"] == "forbidden" and contract["source_modules"] == [importer]
    ]
    assert list_byok_packages() - {"byok.domain"} <= forbidden


def test_the_local_aws_is_closed_to_every_room() -> None:
    (sources,) = [
        set(contract["source_modules"])  # type: ignore[call-overload]
        for contract in read_import_contracts()
        if contract.get("forbidden_modules") == ["localaws", "moto"]
    ]
    assert sources == list_byok_packages() | {"activities", "workflows"}


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("file", DECISIONS, ids=relative_path)
def test_a_decision_has_its_three_parts_on_a_page(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith(f"# {file.name[:4]}: ")
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert len(lines) <= 60


def test_the_index_names_every_decision_once() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert [file.name for file in DECISIONS] == re.findall(r"\]\(([0-9]{4}-[a-z0-9-]+\.md)\)", index)
    assert [file.name[:4] for file in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]


RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("[a-z]*.md"))


@pytest.mark.parametrize("file", RUNBOOKS, ids=relative_path)
def test_a_runbook_leads_from_what_is_seen_to_its_end(file: Path) -> None:
    headings = [line for line in file.read_text().splitlines() if line.startswith("## ")]
    assert headings[:3] == ["## Symptoms", "## What to look at", "## Decide"]
    assert headings[-2:] == ["## Done when", "## To rehearse it"]


def test_the_index_names_every_runbook_once() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    assert sorted(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == [file.name for file in RUNBOOKS]


CITED = re.compile(r"\bcontract ((?:\d+(?:-\d+)?(?:,\s*|\s+and\s+)?)+)")


def find_citations(text: str) -> set[str]:
    """The statements of docs/requirements.md that a text names: `contract 43, 61-73` or `D9`."""
    spans = [span.split("-") for numbers in CITED.findall(text) for span in re.findall(r"\d+(?:-\d+)?", numbers)]
    found = {str(number) for span in spans for number in range(int(span[0]), int(span[-1]) + 1)}
    return found | set(re.findall(r"\bD\d{1,2}\b", text))


@pytest.mark.parametrize("file", [*PRODUCT, *TESTS], ids=relative_path)
def test_a_requirement_that_is_cited_is_stated(file: Path) -> None:
    stated = set(re.findall(r"\*\*(D?\d+)\*\*", (ROOT / "docs" / "requirements.md").read_text()))
    assert find_citations(file.read_text()) <= stated


def list_activity_names() -> set[str]:
    """The activities, which are the steps that status, errors and documents speak of."""
    return {
        node.name
        for file in (ROOT / "activities").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(decorator).startswith("activity.defn") for decorator in node.decorator_list)
    }


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("file", DOCUMENTS, ids=relative_path)
def test_a_document_names_no_step_that_is_not_there(file: Path) -> None:
    text = file.read_text()
    resumed = {words.replace(" ", "_") for words in re.findall(r'Resuming \S+ at "([a-z ]+)";', text)}
    verbs = {name.partition("_")[0] for name in list_activity_names()}
    named = set(re.findall(rf"`((?:{'|'.join(verbs)})_(?!x`)[a-z_]+)`", text))
    assert resumed | named <= list_activity_names()


def test_a_hook_runs_a_tool_of_the_virtual_environment_and_nothing_that_is_fetched() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert Path(sys.executable).with_name(hook["entry"].split()[0].removeprefix(".venv/bin/")).is_file()
