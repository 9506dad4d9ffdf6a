"""How the databases that are waited for are looked at: by many at once, in few calls."""

import asyncio
import time
from collections import Counter
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from temporalio.testing import ActivityEnvironment

from activities.describe_batcher import DescribeBatcher, align_to_interval
from byok.domain.models import Removal
from tests.activities.conftest import ActivityHarness
from tests.localaws.server import REGION


def named(harness: ActivityHarness, number: int) -> list[str]:
    """Clusters of the platform's."""
    names = [f"{harness.plan.environment.environment_id}-{index}" for index in range(number)]
    for name in names:
        harness.aws.operator("rds").create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="byok", ManageMasterUserPassword=True
        )
    harness.aws.control("DELETE", "calls")
    return names


async def look(describer: DescribeBatcher, names: list[str]) -> list[str | None]:
    found = await asyncio.gather(*(describer.cluster(REGION, name) for name in names))
    return [one["DBClusterIdentifier"] if one else None for one in found]


def test_everybody_who_asks_at_once_is_answered_by_one_call(harness: ActivityHarness) -> None:
    names = named(harness, 5)

    found = asyncio.run(look(harness.describer, [*names, "nobody", names[0]]))

    assert found == [*names, None, names[0]]
    assert Counter(harness.aws.calls()) == {"DescribeDBClusters": 1}


def test_instances_are_looked_at_likewise(harness: ActivityHarness) -> None:
    harness.build()
    harness.aws.control("DELETE", "calls")
    writer = harness.plan.cluster.writer_identifier

    async def both() -> list[object]:
        return await asyncio.gather(*(harness.describer.instance(REGION, name) for name in (writer, "nobody")))

    found, nobody = asyncio.run(both())

    assert found["DBInstanceIdentifier"] == writer  # type: ignore[index]
    assert nobody is None
    assert Counter(harness.aws.calls()) == {"DescribeDBInstances": 1}


def test_no_call_asks_for_more_than_a_page(harness: ActivityHarness) -> None:
    harness.aws.control("DELETE", "calls")
    strangers = [f"nobody-{number}" for number in range(250)]

    assert asyncio.run(look(harness.describer, strangers)) == [None] * 250

    assert Counter(harness.aws.calls()) == {"DescribeDBClusters": 3}


def test_calls_keep_the_pace_after_the_first_few(harness: ActivityHarness) -> None:
    describer = DescribeBatcher(harness.clients, pace=timedelta(milliseconds=20))

    async def one_after_the_other() -> None:
        for number in range(75):
            await describer.cluster(REGION, f"nobody-{number}")

    began = time.monotonic()
    asyncio.run(one_after_the_other())

    assert time.monotonic() - began >= 0.45, "fifty in advance, and twenty-five at their pace"


def test_call_waits_for_others_once_calls_are_scarce(harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    describer = DescribeBatcher(harness.clients, pace=timedelta(seconds=1))
    waits: list[float] = []

    async def others_first(seconds: float) -> None:
        waits.append(seconds)
        for _ in range(20):
            await at_once(0)

    at_once = asyncio.sleep
    monkeypatch.setattr("activities.describe_batcher.asyncio.sleep", others_first)

    async def one_after_the_other() -> None:
        for number in range(200):
            await describer.cluster(REGION, f"nobody-{number}")

    asyncio.run(one_after_the_other())

    assert waits[:20] == [0] * 20, "alone: at once"
    assert waits[60:] == sorted(waits[60:]), "longer with each"
    assert waits[-1] > 1, "and for the whole pace, where it is not kept"


@pytest.mark.parametrize("seconds", [0.0, 0.01, 15.0, 60.0])
def test_looks_of_one_moment_stay_together(seconds: float) -> None:
    interval, group = timedelta(seconds=seconds), seconds / 20
    times = [1_800_000_000 + seconds * step / 997 for step in range(997)]

    delays = [align_to_interval(interval, now).total_seconds() for now in times]

    assert all(abs(delay - seconds) <= group / 2 + 1e-5 for delay in delays), "early or late by half a group at most"
    moments = {round((now + delay) * 1e4) for now, delay in zip(times, delays, strict=True)}
    assert len(moments) <= 21


def test_those_who_wait_for_a_deletion_share_its_looks(harness: ActivityHarness) -> None:
    harness.build()
    harness.settle(harness.database.remove_writer, harness.database_removal())
    harness.aws.control("DELETE", "calls")

    async def two() -> tuple[Removal, Removal]:
        one = ActivityEnvironment().run(harness.database.remove_writer, harness.database_removal())
        other = ActivityEnvironment().run(harness.database.remove_writer, harness.database_removal())
        return await asyncio.gather(one, other)

    assert [one.removed for one in asyncio.run(two())] == [True, True]
    assert Counter(harness.aws.calls()) == {"DescribeDBInstances": 1}


def test_refusal_reaches_everybody_who_asked_and_nobody_after_them(harness: ActivityHarness) -> None:
    names = named(harness, 2)
    harness.aws.control("POST", "faults", kind="throttle", service="rds", operation="DescribeDBClusters", times=1)

    async def refused() -> list[object]:
        return await asyncio.gather(
            *(harness.describer.cluster(REGION, name) for name in names), return_exceptions=True
        )

    answers = asyncio.run(refused())

    assert [type(answer) for answer in answers] == [ClientError, ClientError]
    assert asyncio.run(look(harness.describer, names)) == names


def test_who_gives_up_takes_no_answer_from_another(harness: ActivityHarness) -> None:
    (name,) = named(harness, 1)

    async def two() -> str | None:
        leaving = asyncio.create_task(harness.describer.cluster(REGION, name))
        staying = asyncio.create_task(harness.describer.cluster(REGION, name))
        await asyncio.sleep(0)
        leaving.cancel()
        found = await staying
        with pytest.raises(asyncio.CancelledError):
            await leaving
        return found["DBClusterIdentifier"] if found else None

    assert asyncio.run(two()) == name
