"""Start the processes of the fault tests, and print the table of results at the end."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from byok.local.ports import HOST, Ports
from byok.local.stack import DevStack
from tests.e2e.conftest import StackHarness
from tests.faults import report
from tests.faults.cuttable_proxy import CuttableProxy
from tests.faults.harness import RUN_ALL_CASES, SHORT_READ_TIMEOUT_SECONDS, CaseResult, FaultHarness
from tests.faults.scenarios import Scenario
from tests.localaws.server import AwsHarness

_T = TypeVar("_T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the fault tests, so that a run can select or skip them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def results() -> Iterator[list[CaseResult]]:
    """The results of all cases. At the end, the fixture prints the table of results."""
    found: list[CaseResult] = []
    yield found
    sys.stdout.write("\n".join(["", *report.render_table(found), *report.list_failures(found), ""]))
    if "BYOK_TEST_FAULTS_REPORT" in os.environ:
        report.write_report(Path(os.environ["BYOK_TEST_FAULTS_REPORT"]), found)


@asynccontextmanager
async def run_fault_stack(
    data: Path, results: list[CaseResult], settings: Mapping[str, str]
) -> AsyncIterator[FaultHarness]:
    """Run a stack whose worker connects to Temporal through a proxy.

    Args:
        data: The folder for state and logs.
        results: Where the harness records the results of its cases.
        settings: Environment variables for the child processes, in addition to those that all fault tests set.
    """
    ports = Ports.pick_free()
    async with CuttableProxy(ports.temporal) as line:
        variables = {
            "BYOK_DATABASE_POLL_SECONDS": "0.3",
            "BYOK_HOLD_PAUSE_SECONDS": "5",
            "BYOK_AWS_READ_TIMEOUT_SECONDS": SHORT_READ_TIMEOUT_SECONDS,
            # Only the worker connects through the proxy, because only the worker reads `TEMPORAL_ADDRESS`.
            "TEMPORAL_ADDRESS": f"{HOST}:{line.port}",
            **settings,
        }
        async with DevStack(data, ports, database_seconds=0.5, settings=variables) as stack:
            machine = StackHarness(stack, await stack.connect_service(), AwsHarness(stack.aws_url))
            harness = FaultHarness(machine, line, results)
            # Provision once before the tests, because the first provisioning in a Region also creates the probe bucket.
            await harness.list_call_sites(Scenario.PROVISION)
            yield harness


@pytest_asyncio.fixture(scope="session")
async def harness(tmp_path_factory: pytest.TempPathFactory, results: list[CaseResult]) -> AsyncIterator[FaultHarness]:
    """A stack that most fault tests share. Sweeps are turned off, because their AWS calls would disturb the cases."""
    settings = {"BYOK_HEALTH_CHECK_SECONDS": "0"}
    async with run_fault_stack(tmp_path_factory.mktemp("stack"), results, settings) as harness:
        yield harness


def sample_cases(cases: Sequence[_T], sample: int) -> Sequence[_T]:
    """Return all cases, or an evenly spread sample of them."""
    if RUN_ALL_CASES or len(cases) <= sample:
        return cases
    step = len(cases) / sample
    return [cases[int(number * step)] for number in range(sample)]


def assert_survived(harness: FaultHarness, before: int) -> None:
    """Check that the test ran at least one case, and that none of its cases has a defect.

    Args:
        harness: The harness that has recorded the results.
        before: The number of results that the harness had before the test ran its cases.
    """
    assert report.list_failures(harness.results[before:]) == []
    assert len(harness.results) > before
