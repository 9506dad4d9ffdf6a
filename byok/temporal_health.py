"""Lists environments for health checks, schedules each Region's sweeps, and reads their outcomes (decision 0041).

A schedule in Temporal starts each sweep. The outcome of a completed sweep is in the memo of the sweep's workflow, so
reading the outcome requires neither a worker nor a query.
"""

import base64
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes

from byok.contracts import (
    CHECK_KEY_HEALTH_WORKFLOW,
    ENVIRONMENT_RECORD_WORKFLOW,
    PHASE_ATTRIBUTE,
    REGION_ATTRIBUTE,
    SWEEP_MEMO,
    health_schedule_id,
)
from byok.domain.models import HealthTarget, RecordSummary, SweepOutcome, SweepRequest
from byok.domain.phases import Phase
from byok.temporal_records import FoundRecord

PAGE_SIZE: Final = 500
"""The number of environments that one activity of a sweep checks."""

_BEHIND_USERS: Final = Priority(priority_key=4)
"""The priority of a sweep's tasks. Users' requests have priority 3 (Temporal's default), so Temporal dispatches them
first."""

_RECENT_SWEEPS: Final = 10
"""The number of recent sweeps in which byok looks for the latest outcome. A failed sweep has no outcome."""

_SHORTEST_CATCHUP: Final = timedelta(seconds=10)
"""The shortest catch-up window that Temporal accepts."""


def to_target(summary: RecordSummary) -> HealthTarget | None:
    """Return the data that a check needs about an environment; None if the environment is not READY."""
    if summary.phase is not Phase.READY:
        return None
    return HealthTarget(
        environment_id=summary.environment_id,
        organisation=summary.organisation,
        region=summary.region,
        encryption=summary.encryption,
        s3_key_arn=summary.s3_key_arn,
        rds_key_arn=summary.rds_key_arn,
        last=summary.health,
        deletions=summary.deletions,
    )


async def list_targets(client: Client, region: str, after: str | None) -> tuple[list[HealthTarget], str | None]:
    """List one page of the READY environments in a Region.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        region: The Region.
        after: The token that the previous page returned.

    Returns:
        The page, and the token for the next page; the token is None after the last page.

    Raises:
        RPCError: Temporal does not respond.
    """
    query = (
        f"WorkflowType = '{ENVIRONMENT_RECORD_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {PHASE_ATTRIBUTE.name} = '{Phase.READY}' AND {REGION_ATTRIBUTE.name} = '{region}'"
    )
    token = None if after is None else base64.b64decode(after)
    pages = client.list_workflows(query, page_size=PAGE_SIZE, next_page_token=token)
    await pages.fetch_next_page()
    records = [await FoundRecord.from_execution(client, one) for one in pages.current_page or ()]
    targets = [to_target(record.summary) for record in records if record is not None]
    end = pages.next_page_token
    return [one for one in targets if one is not None], base64.b64encode(end).decode() if end else None


async def ensure_health_schedules(client: Client, task_queue: str, regions: Iterable[str], interval: timedelta) -> None:
    """Create the schedule of each Region, or set the interval of an existing schedule.

    A schedule that an operator has paused stays paused.

    Raises:
        RPCError: Temporal does not respond.
    """
    for region in regions:
        spec = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=interval)])
        schedule_id = health_schedule_id(region)
        action = ScheduleActionStartWorkflow(
            CHECK_KEY_HEALTH_WORKFLOW,
            SweepRequest(region=region, interval_seconds=interval.total_seconds()),
            id=schedule_id,
            task_queue=task_queue,
            priority=_BEHIND_USERS,
            typed_search_attributes=TypedSearchAttributes([SearchAttributePair(REGION_ATTRIBUTE, region)]),
            static_summary=f"all environments in {region}",
        )
        # Temporal does not start a missed sweep after this window, because the next sweep checks the same environments.
        catchup = max(min(interval, timedelta(minutes=1)), _SHORTEST_CATCHUP)
        policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=catchup)
        await _ensure_schedule(client, schedule_id, Schedule(action=action, spec=spec, policy=policy))


async def _ensure_schedule(client: Client, schedule_id: str, wanted: Schedule) -> None:
    """Create a schedule.

    If the schedule exists with another interval, replace the schedule, but keep its state, such as a pause.
    """

    def replace_if_different(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        current = found.description.schedule
        if [one.every for one in current.spec.intervals] == [one.every for one in wanted.spec.intervals]:
            return None
        return ScheduleUpdate(replace(wanted, state=current.state))

    try:
        await client.create_schedule(schedule_id, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(schedule_id).update(replace_if_different)


async def read_sweep(client: Client, region: str) -> SweepOutcome | None:
    """Return the outcome of the latest completed sweep in a Region; None if there is no such sweep.

    The outcome comes from visibility, which may list a sweep shortly after the sweep ends. byok does not call
    `describe()` on the schedule, because the server allows only a few such calls at the same time (docs/behaviour.md).

    Raises:
        RPCError: Temporal does not respond.
    """
    query = (
        f"WorkflowType = '{CHECK_KEY_HEALTH_WORKFLOW}' AND {REGION_ATTRIBUTE.name} = '{region}' "
        "AND ExecutionStatus != 'Running'"
    )
    sweeps = client.list_workflows(query, page_size=_RECENT_SWEEPS)
    await sweeps.fetch_next_page()
    # Only one sweep runs in a Region at a time, so the sweep that began last also ended last.
    for one in sorted(sweeps.current_page or (), key=lambda one: one.start_time, reverse=True):
        outcome = await one.memo_value(SWEEP_MEMO, None, type_hint=SweepOutcome)
        if outcome is not None:
            return outcome
    return None
