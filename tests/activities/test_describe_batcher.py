"""The describe batcher serves many concurrent requests for database states with few calls to RDS."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio.testing import ActivityEnvironment

from activities.describe_batcher import DescribeBatcher
from byok.domain.models import RemovalResult
from tests.activities.conftest import ActivityHarness
from tests.localaws.server import REGION


def create_clusters(harness: ActivityHarness, number: int) -> list[str]:
    """Create clusters in the platform's account."""
    names = [f"{harness.plan.environment.environment_id}-{index}" for index in range(number)]
    for name in names:
        harness.aws.operator_client("rds").create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="byok", ManageMasterUserPassword=True
        )
    harness.aws.call_control("DELETE", "calls")
    return names


async def describe_clusters(describer: DescribeBatcher, names: list[str]) -> list[str | None]:
    found = await asyncio.gather(*(describer.describe_cluster(REGION, name) for name in names))
    return [one["DBClusterIdentifier"] if one else None for one in found]


def test_concurrent_requests_share_one_call(harness: ActivityHarness) -> None:
    names = create_clusters(harness, 5)

    found = asyncio.run(describe_clusters(harness.describer, [*names, "missing", names[0]]))

    assert found == [*names, None, names[0]]
    assert Counter(harness.aws.list_calls()) == {"DescribeDBClusters": 1}


def test_concurrent_instance_requests_share_one_call(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.aws.call_control("DELETE", "calls")
    writer = harness.plan.cluster.writer_identifier

    async def both() -> list[object]:
        return await asyncio.gather(*(harness.describer.describe_instance(REGION, one) for one in (writer, "missing")))

    found, missing = asyncio.run(both())

    assert found["DBInstanceIdentifier"] == writer  # type: ignore[index]
    assert missing is None
    assert Counter(harness.aws.list_calls()) == {"DescribeDBInstances": 1}


def test_calls_are_limited_to_one_page(harness: ActivityHarness) -> None:
    harness.aws.call_control("DELETE", "calls")
    strangers = [f"missing-{number}" for number in range(250)]

    assert asyncio.run(describe_clusters(harness.describer, strangers)) == [None] * 250

    assert Counter(harness.aws.list_calls()) == {"DescribeDBClusters": 3}


def test_limiter_allows_a_burst_and_then_delays_calls(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.describe_batcher.MAX_CALLS_PER_PERIOD", 3)
    monkeypatch.setattr("activities.describe_batcher.RATE_LIMIT_PERIOD", timedelta(seconds=0.3))
    describer = DescribeBatcher(harness.clients)

    async def look_six_times() -> None:
        for number in range(6):
            await describer.describe_cluster(REGION, f"missing-{number}")

    began = time.monotonic()
    asyncio.run(look_six_times())

    assert time.monotonic() - began >= 0.25, "three at once, then one every tenth of a second"


def test_requests_made_while_calls_wait_join_one_call(harness: ActivityHarness) -> None:
    names, turn = create_clusters(harness, 5), asyncio.Event()

    @contextlib.asynccontextmanager
    async def until_its_turn() -> AsyncIterator[None]:
        await turn.wait()
        yield

    async def ask_one_by_one() -> list[str | None]:
        describer = DescribeBatcher(harness.clients, until_its_turn)
        asked = []
        for name in names:
            asked.append(asyncio.create_task(describe_clusters(describer, [name])))
            await asyncio.sleep(0)
        turn.set()
        return [found for (found,) in await asyncio.gather(*asked)]

    assert asyncio.run(ask_one_by_one()) == names
    assert Counter(harness.aws.list_calls()) == {"DescribeDBClusters": 1}


def test_concurrent_waits_for_a_deletion_share_polls(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.run_with_retries(harness.database.remove_writer, harness.database_removal())
    harness.aws.call_control("DELETE", "calls")

    async def two() -> tuple[RemovalResult, RemovalResult]:
        one = ActivityEnvironment().run(harness.database.remove_writer, harness.database_removal())
        other = ActivityEnvironment().run(harness.database.remove_writer, harness.database_removal())
        return await asyncio.gather(one, other)

    assert [one.removed for one in asyncio.run(two())] == [True, True]
    assert Counter(harness.aws.list_calls()) == {"DescribeDBInstances": 1}


def test_error_reaches_all_its_callers_and_no_later_one(harness: ActivityHarness) -> None:
    names = create_clusters(harness, 2)
    harness.aws.call_control("POST", "faults", kind="throttle", service="rds", operation="DescribeDBClusters", times=1)

    async def refused() -> list[object]:
        return await asyncio.gather(
            *(harness.describer.describe_cluster(REGION, name) for name in names), return_exceptions=True
        )

    answers = asyncio.run(refused())

    assert [type(answer) for answer in answers] == [ClientError, ClientError]
    assert asyncio.run(describe_clusters(harness.describer, names)) == names


def test_cancelled_request_does_not_affect_the_others(harness: ActivityHarness) -> None:
    (name,) = create_clusters(harness, 1)

    async def two() -> str | None:
        leaving = asyncio.create_task(harness.describer.describe_cluster(REGION, name))
        staying = asyncio.create_task(harness.describer.describe_cluster(REGION, name))
        await asyncio.sleep(0)
        leaving.cancel()
        found = await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return found["DBClusterIdentifier"] if found else None

    assert asyncio.run(two()) == name
