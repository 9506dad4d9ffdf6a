"""Records runs that were cancelled or terminated, and runs that failed before their first activity.

Activities cannot record these runs: a cancellation or termination in Temporal appears only in the run's history, and a
run with invalid input fails before its first activity. This module therefore searches Temporal for runs that have
ended, and records them (contract 147).
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from activities.run_records import RunHistory
from byok.audit.journal import AuditJournal
from byok.audit.record import WORKFLOW_ACTIONS, AuditOutcome, AuditRecord

POLL_INTERVAL: Final = timedelta(minutes=1)
_OVERLAP: Final = timedelta(minutes=5)
"""Each search starts this long before the previous poll, because visibility is eventually consistent."""
_FIRST_LOOK_BACK: Final = timedelta(hours=1)
_TYPES: Final = ", ".join(f"'{name}'" for name, action in WORKFLOW_ACTIONS.items() if action is not None)

log = structlog.get_logger(__name__)


class ClosedRunRecorder:
    """Polls Temporal for runs that were cancelled or terminated, or that failed.

    The time of the last poll is stored in the journal's directory, so that no run is missed when the worker restarts.

    Args:
        client: The worker's client.
        journal: The worker's journal.
        task_queue: The task queue of the runs to record.
    """

    def __init__(self, client: Client, journal: AuditJournal, task_queue: str) -> None:
        self._client = client
        self._journal = journal
        self._task_queue = task_queue
        self._recorded: dict[str, datetime] = {}

    async def run(self) -> None:
        """Poll until cancelled. If Temporal or the disk fails, log the error and try again at the next poll."""
        while True:
            try:
                await self.record_closed_runs()
            except Exception:  # recording must continue after any error
                log.exception("closed_runs_not_recorded_yet")
            await asyncio.sleep(POLL_INTERVAL.total_seconds())

    async def record_closed_runs(self) -> None:
        """Record the runs that have ended since the last poll.

        Raises:
            JournalUnwritableError: A record cannot be written. The next poll tries again.
            RPCError: Temporal does not respond. The next poll tries again.
        """
        now = datetime.now(UTC)
        since = await asyncio.to_thread(self._read_position, now) - _OVERLAP
        async for record in self._find_records(since):
            if record.record_id not in self._recorded:
                await self._journal.append(record)
                self._recorded[record.record_id] = now
        oldest = since - _OVERLAP
        self._recorded = {key: when for key, when in self._recorded.items() if when >= oldest}
        await asyncio.to_thread(self._write_position, now)

    async def _find_records(self, since: datetime) -> AsyncIterator[AuditRecord]:
        query = (
            f"WorkflowType IN ({_TYPES}) AND TaskQueue = '{self._task_queue}' AND CloseTime > '{since.isoformat()}' "
            "AND ExecutionStatus IN ('Canceled', 'Terminated', 'Failed')"
        )
        async for execution in self._client.list_workflows(query):
            history = await RunHistory.fetch(self._client, execution.id, execution.run_id)
            if not history.ran_activities:
                refused = await history.build_start_record(AuditOutcome.REFUSED, _find_failure_type(history))
                if refused is not None:
                    yield refused
            for record in await history.build_end_records():
                yield record

    @property
    def _position(self) -> Path:
        return self._journal.directory / "closed-runs.position"

    def _read_position(self, now: datetime) -> datetime:
        try:
            return datetime.fromisoformat(self._position.read_text())
        except (FileNotFoundError, ValueError):
            return now - _FIRST_LOOK_BACK

    def _write_position(self, now: datetime) -> None:
        self._journal.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        written = self._position.with_suffix(".new")
        written.write_text(now.isoformat())
        written.replace(self._position)


def _find_failure_type(history: RunHistory) -> str | None:
    for event in reversed(history.events):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            failure = event.workflow_execution_failed_event_attributes.failure
            return failure.application_failure_info.type or None
    return None
