"""Everything that can go wrong, tried: afterwards the environment is there once, whole and on the right keys, or gone.

`make faults` tries all of it; otherwise it is a sample, spread over all courses, calls and kinds.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.faults.conftest import FULL
from tests.faults.courses import Course
from tests.faults.report import failures
from tests.faults.rig import Case, Kind, Rig

_T = TypeVar("_T")


def chosen(cases: Sequence[_T], sample: int) -> Sequence[_T]:
    """All of them, or so many that are spread over them."""
    if FULL or len(cases) <= sample:
        return cases
    step = len(cases) / sample
    return [cases[int(number * step)] for number in range(sample)]


def assert_survived(rig: Rig, before: int) -> None:
    assert failures(rig.results[before:]) == []
    assert len(rig.results) > before


@pytest.mark.parametrize("course", Course)
async def test_fault_at_any_write_leaves_nothing_lost_and_nothing_doubled(rig: Rig, course: Course) -> None:
    before, places = len(rig.results), await rig.places(course)
    samples = {Course.PROVISION: 5, Course.ROLL_BACK: 2, Course.DELETE: 2}
    cases = [
        Case(course, place, kind)
        for number, kind in enumerate(Kind)
        for place in chosen([*places[number:], *places[:number]], samples[course])
    ]

    await rig.put(cases)

    assert_survived(rig, before)
