"""After any fault, the environment is either deleted or complete, with no duplicate resources and with the right keys.

`make faults` runs all cases. All other test runs cover only a sample of the scenarios, calls and kinds of fault.
"""

from tests.faults.conftest import assert_survived, sample_cases
from tests.faults.harness import DisruptionKind, FaultCase, FaultHarness
from tests.faults.scenarios import Scenario


async def test_fault_at_any_write_loses_and_duplicates_nothing(harness: FaultHarness) -> None:
    before, cases = len(harness.results), list[FaultCase]()
    for course, sample in {Scenario.PROVISION: 1, Scenario.ROLL_BACK: 1, Scenario.DELETE: 1}.items():
        places = await harness.list_call_sites(course)
        for number, kind in enumerate(DisruptionKind):
            turned = [*places[number:], *places[:number]]  # inject each kind of fault into different calls
            cases += [FaultCase(course, place, kind) for place in sample_cases(turned, sample)]

    await harness.run_cases(cases)

    assert_survived(harness, before)
