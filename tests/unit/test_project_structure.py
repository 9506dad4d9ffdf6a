"""Every package exists and states its purpose, and no module is too long.

import-linter checks which packages may import which other packages (pyproject.toml). This module checks the other rules
of the project's structure.
"""

import ast
import builtins
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
def test_every_package_exists(room: str) -> None:
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
def test_every_documented_file_exists(name: str) -> None:
    assert (ROOT / name).is_file()


@pytest.mark.parametrize("file", PRODUCT, ids=relative_path)
def test_module_has_a_docstring_and_a_limited_length(file: Path) -> None:
    text = file.read_text()
    assert ast.get_docstring(ast.parse(text)), "a module must state what it owns"
    assert len(text.splitlines()) <= MOST_LINES


OUTSIDE_ERRORS = {
    *("ActivityError", "ApplicationError", "BotoCoreError", "CancelledError", "ClientError"),
    *("HTTPException", "RPCError"),
    *("ValidationError", "WorkflowAlreadyStartedError", "WorkflowFailureError"),
}
"""The errors from asyncio, botocore, pydantic, Starlette and Temporal that docstrings may mention."""


def test_docstrings_name_errors_that_exist() -> None:
    trees = [(file, ast.parse(file.read_text())) for file in PRODUCT]
    known = {node.name for _, tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    known |= OUTSIDE_ERRORS | set(dir(builtins))
    documented = [
        (relative_path(file), name.rpartition(".")[2])
        for file, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for section in re.findall(r"^Raises:\n((?: +.*\n?)+)", ast.get_docstring(node) or "", re.MULTILINE)
        for name in re.findall(r"^    (\w[\w.]*):", section, re.MULTILINE)
    ]

    assert [found for found in documented if found[1] not in known] == []
    assert len(documented) > 50


@pytest.mark.parametrize("file", TESTS, ids=relative_path)
def test_module_has_a_docstring(file: Path) -> None:
    text = file.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("file", [*PRODUCT, *TESTS], ids=relative_path)
def test_no_file_has_a_catch_all_name(file: Path) -> None:
    assert not {part.removesuffix(".py") for part in file.relative_to(ROOT).parts} & FORBIDDEN_NAMES


def list_imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_only_the_worker_imports_workflows_activities_and_settings() -> None:
    def rooms(file: Path) -> set[str]:
        return {name.split(".")[0] for name in list_imports(file)} & {"activities", "workflows"} | (
            list_imports(file) & {"byok.settings"}
        )

    joined = [relative_path(file) for file in PRODUCT if rooms(file) == {"activities", "workflows", "byok.settings"}]
    assert joined == ["worker.py"]


@pytest.mark.parametrize("file", PRODUCT[1:], ids=relative_path)
def test_no_module_imports_the_worker(file: Path) -> None:
    assert "worker" not in list_imports(file)


def read_import_contracts() -> list[dict[str, object]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    found: list[dict[str, object]] = settings["contracts"]
    return found


def list_byok_packages() -> set[str]:
    files = [f"byok.{file.stem}" for file in (ROOT / "byok").glob("[!_]*.py")]
    return {*files, *(f"byok.{file.parent.name}" for file in (ROOT / "byok").glob("*/__init__.py"))}


@pytest.mark.parametrize("importer", ["byok.domain", "localaws"])
def test_every_package_is_named_in_the_import_contracts(importer: str) -> None:
    """Import contracts list the forbidden modules, so any package that is not listed could be imported."""
    (forbidden,) = [
        set(contract["forbidden_modules"])  # type: ignore[call-overload]
        for contract in read_import_contracts()
        if contract["type"] == "forbidden" and contract["source_modules"] == [importer]
    ]
    assert list_byok_packages() - {"byok.domain"} <= forbidden


def test_no_package_may_import_local_aws() -> None:
    (sources,) = [
        set(contract["source_modules"])  # type: ignore[call-overload]
        for contract in read_import_contracts()
        if contract.get("forbidden_modules") == ["localaws", "moto"]
    ]
    assert sources == list_byok_packages() | {"activities", "workflows"}


DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))


@pytest.mark.parametrize("file", DECISIONS, ids=relative_path)
def test_decision_has_three_sections_on_one_page(file: Path) -> None:
    lines = file.read_text().splitlines()
    assert lines[0].startswith(f"# {file.name[:4]}: ")
    assert [line for line in lines if line.startswith("## ")] == ["## Context", "## Decision", "## Consequences"]
    assert len(lines) <= 60


def test_index_lists_every_decision_once() -> None:
    index = (ROOT / "docs" / "decisions" / "README.md").read_text()
    assert [file.name for file in DECISIONS] == re.findall(r"\]\(([0-9]{4}-[a-z0-9-]+\.md)\)", index)
    numbers = [file.name[:4] for file in DECISIONS]
    assert len(set(numbers)) == len(numbers)


RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("[a-z]*.md"))


@pytest.mark.parametrize("file", RUNBOOKS, ids=relative_path)
def test_runbook_has_the_required_sections(file: Path) -> None:
    headings = [line for line in file.read_text().splitlines() if line.startswith("## ")]
    assert headings[:3] == ["## Symptoms", "## What to look at", "## Decide"]
    assert headings[-2:] == ["## Done when", "## To rehearse it"]


def test_index_lists_every_runbook_once() -> None:
    index = (ROOT / "docs" / "runbooks" / "README.md").read_text()
    assert sorted(re.findall(r"\]\(([a-z-]+\.md)\)", index)) == [file.name for file in RUNBOOKS]


def list_activity_names() -> set[str]:
    """Return the names of the activities, which appear in statuses, errors and documents."""
    return {
        node.name
        for file in (ROOT / "activities").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(ast.unparse(decorator).startswith("activity.defn") for decorator in node.decorator_list)
    }


DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("file", DOCUMENTS, ids=relative_path)
def test_documents_name_only_existing_activities(file: Path) -> None:
    text = file.read_text()
    resumed = {words.replace(" ", "_") for words in re.findall(r'Resuming \S+ at "([a-z ]+)";', text)}
    verbs = {name.partition("_")[0] for name in list_activity_names()}
    named = set(re.findall(rf"`((?:{'|'.join(verbs)})_(?!x`)[a-z_]+)`", text))
    assert resumed | named <= list_activity_names()


def test_hooks_run_only_tools_of_the_virtual_environment() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        assert hook["language"] == "system"
        assert hook["entry"].startswith(".venv/bin/")
        assert Path(sys.executable).with_name(hook["entry"].split()[0].removeprefix(".venv/bin/")).is_file()
