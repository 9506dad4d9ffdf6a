"""docs/what-happens-when.md is generated from the table of acts, and every cell has a test or a source.

`BYOK_TEST_RECORD=1 pytest tests/unit/test_what_happens_when.py` writes the page.
"""

import os
from collections.abc import Iterator
from typing import Any, Final

import botocore.session
import pytest

from byok.domain import rds_statuses
from byok.domain.key_owner_acts import ACTS, CELLS, Act, Outcome, Resource, Source
from byok.domain.problems.aws_errors import ERROR_RULES
from tests.key_owner_page import AURORA_CHECK_TEST, TEST_FILE, TESTS, UNDO_TESTS, get_proof, render_page
from tests.localaws import test_what_happens_when as cell_tests
from tests.unit.test_project_structure import ROOT

PAGE: Final = ROOT / "docs" / "what-happens-when.md"
FEWEST_TESTED: Final = 30
CELL_IDS: Final = [(act, resource) for act in Act for resource in Resource]


def list_test_ids(name: str) -> Iterator[str]:
    """Yield the ids of a parametrized test, in the form in which the page cites them."""
    test: Any = getattr(cell_tests, name)
    (mark,) = [mark for mark in test.pytestmark if mark.name == "parametrize"]
    assert mark.args[0] == "act"
    yield from (f"{name}[{act.value}]" for act in mark.args[1])


# contract 145
def test_page_is_generated_from_the_table() -> None:
    if "BYOK_TEST_RECORD" in os.environ:
        PAGE.write_text(render_page())

    advice = "run BYOK_TEST_RECORD=1 .venv/bin/pytest tests/unit/test_what_happens_when.py"
    assert PAGE.read_text() == render_page(), advice


# contract 145
def test_every_act_has_a_cell_for_every_resource() -> None:
    assert set(CELLS) == set(CELL_IDS)
    assert set(ACTS) == set(Act)


# contract 145
def test_every_cell_names_an_existing_test_or_is_marked_aws_only() -> None:
    existing = {one for name in TESTS.values() for one in list_test_ids(name)}
    proofs = [get_proof(act, resource) for act, resource in CELL_IDS]

    assert {proof for proof in proofs if proof} == existing
    assert len(existing) == sum(cell.tested for cell in CELLS.values()) >= FEWEST_TESTED
    assert cell_tests.__file__ == str(ROOT / TEST_FILE)


def test_every_act_has_a_test_of_its_key_check_and_its_undo() -> None:
    assert set(list_test_ids(AURORA_CHECK_TEST)) == {f"{AURORA_CHECK_TEST}[{act}]" for act in Act}
    for name in UNDO_TESTS:
        assert set(list_test_ids(name)) == {f"{name}[{act}]" for act, facts in ACTS.items() if facts.undoable}


@pytest.mark.parametrize(("act", "resource"), CELL_IDS)
def test_cell_is_complete(act: Act, resource: Resource) -> None:
    cell = CELLS[act, resource]

    assert cell.sources
    assert all((cell.what, cell.after, cell.undo, cell.says))
    fails = {Outcome.STOPS, Outcome.STILL_STOPPED, Outcome.NEEDS_START, Outcome.LOST}
    assert (cell.code != "") is (cell.outcome in fails)
    assert cell.code.removeprefix("rds.") in cell.says, "the page must show the code that the test proves"


def test_byok_attributes_every_code_to_the_customers_key() -> None:
    rules = {f"{rule.service}.{rule.code}" for rule in ERROR_RULES if rule.customer_key}
    statuses = {f"rds.{status}" for status in rds_statuses.KEY_LOST}
    codes = {cell.code for cell in CELLS.values()} | {facts.aurora_check for facts in ACTS.values()}

    assert codes - {""} <= rules | statuses
    assert statuses <= codes


def test_every_source_is_cited() -> None:
    assert {source for cell in CELLS.values() for source in cell.sources} == set(Source)


def test_every_named_operation_exists() -> None:
    kms = botocore.session.get_session().get_service_model("kms")

    assert {call for facts in ACTS.values() for call in facts.calls} <= set(kms.operation_names)
