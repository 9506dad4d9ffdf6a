"""The processes of the fault tests, and the table at their end."""

import os
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from byok.local.ports import HOST, Ports
from byok.local.stack import DevStack
from tests.e2e.conftest import StackHarness
from tests.faults import report
from tests.faults.cuttable_proxy import CuttableProxy
from tests.faults.harness import RUN_ALL_CASES, SHORT_READ_TIMEOUT_SECONDS, FaultHarness
from tests.faults.scenarios import Scenario
from tests.localaws.server import AwsHarness

_T = TypeVar("_T")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See that they can be chosen, and left out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest_asyncio.fixture(scope="session")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FaultHarness]:
    """One stack for all of them, and the table once they are done."""
    ports = Ports.pick_free()
    async with CuttableProxy(ports.temporal) as line:
        settings = {
            "BYOK_DATABASE_POLL_SECONDS": "0.3",
            "BYOK_AWS_READ_TIMEOUT_SECONDS": SHORT_READ_TIMEOUT_SECONDS,
            # The worker alone speaks through the line; the server does not read this.
            "TEMPORAL_ADDRESS": f"{HOST}:{line.port}",
        }
        data = tmp_path_factory.mktemp("stack")
        async with DevStack(data, ports, database_seconds=0.5, settings=settings) as stack:
            harness = FaultHarness(
                StackHarness(stack, await stack.connect_service(), AwsHarness(f"http://{HOST}:{stack.ports.aws}")), line
            )
            await harness.list_call_sites(Scenario.PROVISION)  # the first one in a Region makes the probe bucket, too
            yield harness
    sys.stdout.write("\n".join(["", *report.render_table(harness.results), *report.list_failures(harness.results), ""]))
    if "BYOK_TEST_FAULTS_REPORT" in os.environ:
        report.write_report(Path(os.environ["BYOK_TEST_FAULTS_REPORT"]), harness.results)


def sample_cases(cases: Sequence[_T], sample: int) -> Sequence[_T]:
    """All of them, or so many that are spread over them."""
    if RUN_ALL_CASES or len(cases) <= sample:
        return cases
    step = len(cases) / sample
    return [cases[int(number * step)] for number in range(sample)]


def assert_survived(harness: FaultHarness, before: int) -> None:
    """See that there were cases, and that all of them ended well.

    Args:
        harness: With the results.
        before: How many there were before.
    """
    assert report.list_failures(harness.results[before:]) == []
    assert len(harness.results) > before
