"""Finds all attempts of an environment: in the current run's history and memo, and in the earlier runs.

The history of the current run contains every attempt that was resumed by a reset: each reset adds an event to the
history, and reapplies the reports of earlier stops to the new run (`workflows.attempts`). The memo lists the attempts
before the workflow started. Temporal keeps the history and the memo for as long as it keeps the current run. An attempt
can be missing from both the history and the memo, for example because a person started the workflow in Temporal's UI or
terminated the attempt. byok then reads the attempt from its own run, unless Temporal has deleted that run.
"""

import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from pydantic import ValidationError
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from byok.audit.notes import parse_note
from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, REQUESTER_MEMO, STOP_SIGNAL
from byok.domain.models import Attempt, AttemptKind, EnvironmentRecordState, Requester, StoppedAttempt, TimelineEntry
from byok.domain.models.attempts import number_attempts
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus


@dataclass(frozen=True)
class _Beginning:
    """How an attempt began."""

    kind: AttemptKind
    at: datetime
    by: str | None
    reason: str | None = None


@dataclass
class _Chain:
    """The attempts in a run's history: how each attempt began and how it stopped, by run id.

    The history contains the attempt of the run itself, and the attempts of all earlier runs that the run resumes.
    """

    beginnings: dict[str, _Beginning] = field(default_factory=dict)
    stops: dict[str, StoppedAttempt] = field(default_factory=dict)


async def list_attempts(
    client: Client, current: EnvironmentStatus, read_run_status: Callable[[str], Awaitable[EnvironmentStatus | None]]
) -> tuple[Attempt, ...]:
    """Return the attempts of an environment, oldest first.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        current: The environment's status.
        read_run_status: Returns the status of a run; None if Temporal has deleted the run.
    """
    carried = {one.run_id: one for one in current.earlier_attempts}
    chain = await _read_chain(client, current.workflow_id, current.run_id)
    found = {**carried, **_build_attempts(chain, current)}
    found[current.run_id] = _with_end(found[current.run_id], current)
    retained = {one.run_id async for one in client.list_workflows(f"WorkflowId = '{current.workflow_id}'")}
    for run_id in (retained | found.keys()) - carried.keys() - chain.stops.keys() - {current.run_id}:
        status = await read_run_status(run_id)
        if status is None or status.organisation != current.organisation:  # the id had another owner at that time
            continue
        if run_id not in found:
            own = await _read_chain(client, current.workflow_id, run_id)
            found[run_id] = _build_attempts(own, status)[run_id]
        found[run_id] = _with_end(found[run_id], status)
    return number_attempts(sorted(found.values(), key=lambda one: one.started_at))


def list_recorded_attempts(record: EnvironmentRecordState, current: EnvironmentStatus) -> tuple[Attempt, ...]:
    """Return the attempts in a record, oldest first.

    The outcome of the last attempt comes from the status of the environment.
    """
    return tuple(_with_end(one, current) if one.run_id == current.run_id else one for one in record.attempts)


async def read_stopped_timeline(client: Client, workflow_id: str, run_id: str) -> tuple[TimelineEntry, ...]:
    """Return the timeline of the last attempt that stopped before this run; empty if no stop is recorded.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        workflow_id: The id of the environment's workflow.
        run_id: The run. If the run was reset, the run's history contains the reports of all earlier stops.
    """
    chain = await _read_chain(client, workflow_id, run_id)
    last = max(chain.stops.values(), key=lambda one: one.ended_at, default=None)
    return last.timeline if last else ()


async def _read_chain(client: Client, workflow_id: str, run_id: str) -> _Chain:
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    return await _parse_chain(handle.fetch_history_events(), client.data_converter)


async def _parse_chain(events: AsyncIterable[HistoryEvent], converter: DataConverter) -> _Chain:
    chain = _Chain()
    async for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
            at = event.event_time.ToDatetime(UTC)
            started = event.workflow_execution_started_event_attributes
            deletion = started.workflow_type.name == DELETE_ENVIRONMENT_WORKFLOW
            kind = AttemptKind.DELETION if deletion else AttemptKind.PROVISIONING
            requester = await _read_requester(started, converter)
            by, reason = (requester.subject, requester.reason) if requester else (started.identity or None, None)
            chain.beginnings[started.original_execution_run_id] = _Beginning(kind, at, by, reason)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            at = event.event_time.ToDatetime(UTC)
            failed = event.workflow_task_failed_event_attributes
            if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                requester, reason = await parse_note(converter, failed.failure.message)
                by = requester.subject if requester else None
                chain.beginnings[failed.new_run_id] = _Beginning(AttemptKind.REPLAY, at, by, reason)
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            signal = event.workflow_execution_signaled_event_attributes
            if signal.signal_name == STOP_SIGNAL:
                with contextlib.suppress(ApplicationError, ValidationError):  # a person sent a signal with this name
                    (stop,) = await converter.decode(signal.input.payloads, [StoppedAttempt])
                    chain.stops[stop.run_id] = stop
    return chain


async def _read_requester(
    started: WorkflowExecutionStartedEventAttributes, converter: DataConverter
) -> Requester | None:
    """Return the requester in a workflow's start memo; None if a person started the workflow directly in Temporal."""
    if REQUESTER_MEMO not in started.memo.fields:
        return None
    with contextlib.suppress(ApplicationError, ValidationError):  # another program stored a field with this name
        (requester,) = await converter.decode([started.memo.fields[REQUESTER_MEMO]], [Requester])
        return cast("Requester", requester)
    return None


def _build_attempts(chain: _Chain, status: EnvironmentStatus) -> dict[str, Attempt]:
    """Return the attempts in a run's history, by run id.

    The start time of the first attempt comes from the run's status.
    """
    found = {run_id: _build(run_id, chain) for run_id in chain.beginnings | chain.stops}
    first = next(iter(chain.beginnings))
    return {**found, first: found[first].model_copy(update={"started_at": status.started_at})}


def _build(run_id: str, chain: _Chain) -> Attempt:
    begun, stop = chain.beginnings.get(run_id), chain.stops.get(run_id)
    if begun is None:  # a later reset removed the event of the reset that began this attempt
        begun = _Beginning(AttemptKind.REPLAY, chain.stops[run_id].started_at, by=None)
    return Attempt(
        kind=begun.kind,
        run_id=run_id,
        started_at=begun.at,
        ended_at=stop.ended_at if stop else None,
        phase=Phase.STOPPED,
        problem_code=stop.problem_code if stop else None,
        problem_phase=stop.problem_phase if stop else None,
        by=begun.by,
        reason=begun.reason,
    )


def _with_end(attempt: Attempt, status: EnvironmentStatus) -> Attempt:
    """Return an attempt with the phase, the problem and the end time from the status of its run."""
    problem = status.problem
    return attempt.model_copy(
        update={
            "phase": status.phase,
            "ended_at": status.closed_at,
            "problem_code": problem.code if problem else None,
            "problem_phase": problem.phase if problem else None,
        }
    )
