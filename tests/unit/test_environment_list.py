"""Test the list of environments. A test sets the times and phases of the workflow runs, which no worker executes."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from byok.contracts import (
    CREATED_AT_ATTRIBUTE,
    ENVIRONMENT_RECORD_WORKFLOW,
    ID_IN_USE_CODE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    PROGRESS_MEMO,
    PROVISION_ENVIRONMENT_WORKFLOW,
    RECORD_MEMO,
    environment_workflow_id,
    record_workflow_id,
)
from byok.domain.models import EnvironmentProgress, HealthState, HealthSummary, RecordSummary, TimelineEntry
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.temporal_records import list_attribute_updates
from tests.workflows.fake_activities import build_provision_request
from tests.workflows.temporal_env import WorkflowHarness

NO_WORKER = "no-worker"
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime.now(UTC)


def choose_time(generator: random.Random) -> datetime:
    """Choose a random time: with equal probability, from a single second or from a whole month."""
    length = timedelta(seconds=1) if generator.random() < 0.5 else timedelta(days=30)
    return BEGAN + timedelta(milliseconds=generator.randrange(length // timedelta(milliseconds=1)))


async def start_record(client: Client, name: str, phase: Phase, created_at: datetime, health: HealthState) -> None:
    """Start the record of an environment whose workflow has ended."""
    last = HealthSummary(state=health, since=NOW, checked_at=datetime.now(UTC)) if phase is Phase.READY else None
    times = {"created_at": created_at, "started_at": created_at, "closed_at": created_at}
    summary = RecordSummary(environment_id=name, phase=phase, region="eu-central-1", health=last, **times)
    updates = [one for one in list_attribute_updates(name, summary) if one.value is not None]
    await client.start_workflow(
        ENVIRONMENT_RECORD_WORKFLOW,
        id=record_workflow_id(name),
        task_queue=NO_WORKER,
        memo={RECORD_MEMO: summary},
        search_attributes=TypedSearchAttributes([SearchAttributePair(one.key, one.value) for one in updates]),
    )


async def start_run(client: Client, name: str, phase: Phase, created_at: datetime, *, refused: bool = False) -> None:
    """Start an environment's workflow with the given phase in its memo and search attributes."""
    request = build_provision_request(name)
    timeline = (TimelineEntry(phase=Phase.VALIDATING_KEYS, entered_at=created_at),)
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(CREATED_AT_ATTRIBUTE, created_at),
        SearchAttributePair(PHASE_ATTRIBUTE, phase.value),
    ]
    if refused:
        pairs.append(SearchAttributePair(PROBLEM_CODE_ATTRIBUTE, ID_IN_USE_CODE))
    await client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        request,
        id=environment_workflow_id(name),
        task_queue=NO_WORKER,
        memo={PROGRESS_MEMO: EnvironmentProgress(request=request, phase=phase, timeline=timeline)},
        search_attributes=TypedSearchAttributes(pairs),
    )


async def read_pages(service: EnvironmentService, size: int, **wanted: Any) -> list[str]:
    """Return the ids of all environments, read page by page."""
    page, after = await service.list_environments_page(size=size, **wanted)
    found = [one.environment_id for one in page]
    while after is not None:
        page, after = await service.list_environments_page(size=size, after=after, **wanted)
        assert 0 < len(page) <= size
        found += [one.environment_id for one in page]
    return found


async def test_pages_contain_every_environment_once_in_order_of_creation(
    service: EnvironmentService, harness: WorkflowHarness
) -> None:
    client, generator, prefix = harness.client, random.Random(49), f"list-{uuid.uuid4().hex[:6]}"
    records, runs = [f"{prefix}-{number:03}" for number in range(60)], [f"{prefix}-{n:03}" for n in range(50, 70)]
    created = {name: choose_time(generator) for name in {*records, *runs}}
    health = {name: generator.choice([HealthState.HEALTHY, HealthState.KEY_LOST]) for name in records}
    phase = {name: Phase.STOPPED if number % 9 == 0 else Phase.READY for number, name in enumerate(records)}
    for name in records:
        await start_record(client, name, phase[name], created[name], health[name])
    for name in runs:  # the list shows the workflow instead of the record, unless the run was refused
        refused = name == f"{prefix}-055"
        when = NOW if refused else created[name]
        shown = Phase.STOPPED if refused else Phase.CREATING_CLUSTER
        await start_run(client, name, shown, when, refused=refused)
        if not refused:
            phase[name] = Phase.CREATING_CLUSTER
    without_time = f"{prefix}-new"  # as if started in Temporal's UI
    request = build_provision_request(without_time)
    workflow_id = environment_workflow_id(without_time)
    await client.start_workflow(PROVISION_ENVIRONMENT_WORKFLOW, request, id=workflow_id, task_queue=NO_WORKER)
    phase[without_time] = Phase.VALIDATING_KEYS

    def sort(names: Sequence[str]) -> list[str]:
        """Sort names as the list does, with the latest environment first.

        The environment without a creation time is the latest, because the test server's clock is never behind `NOW`.
        """
        return sorted(names, key=lambda one: (created.get(one, NOW), one), reverse=True)

    async with asyncio.timeout(20):  # visibility is eventually consistent
        while len(await read_pages(service, 1000, prefix=prefix)) < len(phase):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for size in (9, 50):
        assert await read_pages(service, size, prefix=prefix) == sort([*phase])
    for one in (Phase.READY, Phase.STOPPED, Phase.CREATING_CLUSTER, Phase.VALIDATING_KEYS):
        expected = sort([name for name in phase if phase[name] is one])
        assert await read_pages(service, 12, prefix=prefix, phase=one) == expected
    for state in (HealthState.HEALTHY, HealthState.KEY_LOST, HealthState.UNKNOWN):
        expected = sort([name for name in records if phase[name] is Phase.READY and health[name] is state])
        assert await read_pages(service, 12, prefix=prefix, health=state) == expected


async def test_list_is_complete_before_a_worker_has_registered_the_search_attribute(
    service: EnvironmentService, harness: WorkflowHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"list-{uuid.uuid4().hex[:6]}"
    names = [f"{prefix}-{number}" for number in range(3)]
    for days, name in enumerate(names):
        await start_run(harness.client, name, Phase.STOPPED, BEGAN - timedelta(days=days))
    monkeypatch.setattr("byok.service.creation_periods.CREATED_AT", "NotRegistered")

    async with asyncio.timeout(20):  # visibility is eventually consistent
        while len(await read_pages(service, 10, prefix=prefix)) < len(names):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await read_pages(service, 2, prefix=prefix, phase=Phase.STOPPED) == names
    assert await read_pages(service, 2, prefix=prefix, phase=Phase.READY) == []
