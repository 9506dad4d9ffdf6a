"""The files that a code host reads: the CI workflow, the issue forms, and the pages that they refer to."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"))
NEEDS_OPTIONS = {"dropdown", "checkboxes"}


def test_ci_runs_what_a_developer_runs() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert [step["with"]["python-version"] for step in steps if "setup-python" in step.get("uses", "")] == ["3.11"]
    assert workflow["permissions"] == {"contents": "read"}
    assert set(workflow[True]) == {"push", "pull_request"}  # YAML 1.1 reads the key `on` as true


@pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)
def test_issue_form_has_what_the_code_host_requires(file: Path) -> None:
    form: dict[str, Any] = yaml.safe_load(file.read_text())
    assert form["name"]
    assert form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert fields
    assert len({field["id"] for field in fields}) == len(fields)
    for field in fields:
        assert field["attributes"]["label"]
        assert bool(field["attributes"].get("options")) is (field["type"] in NEEDS_OPTIONS)


def test_forms_exist_for_bugs_questions_and_ideas() -> None:
    assert [file.stem for file in FORMS] == ["bug", "idea", "question"]


def test_files_that_the_forms_name_exist() -> None:
    for file in [*FORMS, ROOT / ".github" / "PULL_REQUEST_TEMPLATE.md"]:
        for name in re.findall(r"\b[A-Z_]+\.md\b", file.read_text()):
            assert (ROOT / name).is_file()
