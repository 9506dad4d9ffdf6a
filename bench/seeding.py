"""Creates READY environments quickly, as copies of one environment that byok has created.

A copy has everything that the original has: the resources in the stand-in, and the record in Temporal. The workflow
that created the original is not copied. A copy is therefore like an older environment, whose provisioning workflow
Temporal has already deleted.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self, TypeVar

from temporalio.client import Client
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from bench.machine import BenchStack
from bench.request_generator import PLATFORM_ROLE_ARN, RequestGenerator
from bench.stand_in.copies import CopyTexts
from byok.blueprints import load_blueprint
from byok.contracts import ENVIRONMENT_RECORD_WORKFLOW, RECORD_MEMO, TASK_QUEUE, record_workflow_id
from byok.domain.arns import parse_key_arn
from byok.domain.models import EnvironmentPlan, EnvironmentRecordState
from byok.domain.planning import Platform, plan_environment
from byok.domain.vendor import VendorProfile
from byok.service.verification import verify_environment
from byok.temporal_records import find_record, list_attribute_updates

_STARTING_AT_ONCE: Final = 50
_COPIES_PER_CALL: Final = 250
_EVENTS_BEFORE_FIRST_TASK: Final = 3
"""The number of events in a record's history before a worker completes its first workflow task.

The events are WorkflowExecutionStarted, WorkflowTaskScheduled and WorkflowTaskStarted.
"""

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class OriginalEnvironment:
    """A READY environment that can be copied.

    Attributes:
        plan: The names of the environment's resources.
        record: The content of the environment's record.
    """

    platform: Platform
    plan: EnvironmentPlan
    record: EnvironmentRecordState

    @classmethod
    async def verify(cls, stack: BenchStack, environment_id: str) -> Self:
        """Verify an environment, and read its record.

        The verification writes an object, which later checks read to prove that the S3 key can be used.
        """
        service = await stack.connect_service()
        await verify_environment(service, environment_id)
        found = await find_record(service.client, environment_id)
        record = None if found is None else await found.read_state()
        request = None if record is None or record.latest is None else record.latest.progress.request
        provisioning = None if request is None else request.to_provision_request()
        if record is None or provisioning is None:
            raise RuntimeError(f"{environment_id} has no record of its provisioning")
        blueprint = load_blueprint(Path(stack.environment["BYOK_BLUEPRINT"]))
        platform = Platform(PLATFORM_ROLE_ARN, VendorProfile(), blueprint)
        return cls(platform, plan_environment(provisioning, platform, datetime.now(UTC), run_id=""), record)

    async def copy_resources(self, stack: BenchStack, number: int) -> list[EnvironmentPlan]:
        """Copy the resources in the stand-in, and return the plans of the copies."""
        generator, at = RequestGenerator(), datetime.now(UTC)
        requests = [generator.next_request("copy") for _ in range(number)]
        plans = [plan_environment(request, self.platform, at, run_id="") for request in requests]
        for first in range(0, number, _COPIES_PER_CALL):
            copies = [list_differences(self.plan, plan) for plan in plans[first : first + _COPIES_PER_CALL]]
            await asyncio.to_thread(stack.call_stand_in, "POST", "copies", copies=copies)
        return plans

    async def start_records(self, stack: BenchStack, plans: Sequence[EnvironmentPlan]) -> None:
        """Start the copies' records, and wait until the worker has processed the last fifty records.

        The creation times in the records are one hour apart.
        """
        client, text = (await stack.connect_service()).client, self.record.model_dump_json()

        async def start(numbered: tuple[int, EnvironmentPlan]) -> None:
            number, plan = numbered
            copied = CopyTexts(list_differences(self.plan, plan)).replace(text)
            state = EnvironmentRecordState.model_validate_json(copied)
            await _start_record(client, _created_earlier(state, timedelta(hours=number)))

        await run_concurrently(start, list(enumerate(plans)))
        for plan in plans[-_STARTING_AT_ONCE:]:
            handle = client.get_workflow_handle(record_workflow_id(plan.environment.environment_id))
            while (await handle.describe()).history_length <= _EVENTS_BEFORE_FIRST_TASK:
                await asyncio.sleep(0.5)


def list_differences(original: EnvironmentPlan, copy: EnvironmentPlan) -> list[tuple[str, str]]:
    """Return the strings of the original that differ in the copy, each with its replacement."""
    texts = [
        (
            plan.environment.environment_id,
            parse_key_arn(plan.environment.s3_key_arn).key_id,
            parse_key_arn(plan.environment.rds_key_arn).key_id,
            plan.buckets[0].name.rpartition("-")[2],  # the hash at the end of the environment's bucket names
        )
        for plan in (original, copy)
    ]
    return list(zip(*texts, strict=True))


async def run_concurrently(call: Callable[[_Item], Awaitable[None]], items: Iterable[_Item]) -> None:
    """Call the function for each item, with at most fifty calls in progress at a time."""
    turn = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def run(item: _Item) -> None:
        async with turn:
            await call(item)

    await asyncio.gather(*(run(item) for item in items))


def _created_earlier(state: EnvironmentRecordState, by: timedelta) -> EnvironmentRecordState:
    """Return a copy of a record with an earlier creation time, because lists are sorted by creation time."""
    if state.latest is None:
        return state
    attempt = state.latest.attempt
    attempt = attempt.model_copy(update={"started_at": attempt.started_at - by})
    latest = state.latest.model_copy(update={"attempt": attempt})
    return state.model_copy(update={"latest": latest, "attempts": (attempt,)})


async def _start_record(client: Client, state: EnvironmentRecordState) -> None:
    """Start a record that already has content, with the memo and the search attributes that byok would set."""
    summary = state.summarise()
    if summary is None:
        raise RuntimeError("the record is empty")
    name = summary.environment_id
    pairs = [
        SearchAttributePair(update.key, update.value)
        for update in list_attribute_updates(name, summary)
        if update.value is not None
    ]
    await client.start_workflow(
        ENVIRONMENT_RECORD_WORKFLOW,
        state,
        id=record_workflow_id(name),
        task_queue=TASK_QUEUE,
        memo={RECORD_MEMO: summary},
        search_attributes=TypedSearchAttributes(pairs),
        priority=Priority(fairness_key=summary.organisation),
        static_summary=f"{name} in {summary.region}",
    )
