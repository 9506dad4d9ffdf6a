"""Records who started, replayed, cancelled or terminated a workflow run, from the run's history (contract 147).

The web server records its own requests. Runs that were started with the CLI or in Temporal have no other record. The
memo that contains the requester is not reliable, because any Temporal client can write it. A worker therefore records
every run, with the identity that Temporal recorded.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from pydantic import ValidationError
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from byok.audit.journal import AuditJournal, JournalUnwritableError
from byok.audit.notes import parse_note
from byok.audit.record import (
    WORKFLOW_ACTIONS,
    AuditAction,
    AuditOutcome,
    AuditRecord,
    AuditTarget,
    RecordKind,
    build_run_record_id,
)
from byok.contracts import REQUESTER_MEMO
from byok.domain.models import MAX_REASON_LENGTH, EntryPoint, Requester

UNWRITABLE_ERROR_TYPE: Final = "byok.AuditUnavailable"
UNKNOWN_SUBJECT: Final = "unknown"
_REMEMBERED_RUNS: Final = 10_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RunHistory:
    """The history of one run, which shows who requested each action.

    Attributes:
        client: A client whose data converter can decode the run's payloads.
        events: The run's events so far, starting with the first event.
    """

    client: Client
    workflow_id: str
    run_id: str
    events: Sequence[HistoryEvent]

    @classmethod
    async def fetch(cls, client: Client, workflow_id: str, run_id: str) -> "RunHistory":
        """Fetch a run's history.

        Raises:
            RPCError: Temporal does not respond, or no longer has the run.
        """
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        return cls(client, workflow_id, run_id, [event async for event in handle.fetch_history_events()])

    @property
    def action(self) -> AuditAction | None:
        """The audit action of the run's workflow; None if the workflow only reads, or does not belong to byok."""
        return WORKFLOW_ACTIONS.get(self.events[0].workflow_execution_started_event_attributes.workflow_type.name)

    @property
    def ran_activities(self) -> bool:
        """Whether the run has scheduled an activity or completed a local activity."""
        acts = {EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED, EventType.EVENT_TYPE_MARKER_RECORDED}
        return any(event.event_type in acts for event in self.events)

    async def build_start_record(self, outcome: AuditOutcome, code: str | None = None) -> AuditRecord | None:
        """Build the record of the request that started or reset the run; None for a workflow that only reads."""
        if self.action is None:
            return None
        reset = self._find_reset()
        if reset is not None:
            # Temporal does not record who reset a run: the event's identity is always that of the history service.
            note = reset.workflow_task_failed_event_attributes.failure.message
            return await self._build(AuditAction.REPLAY_ENVIRONMENT, "", note, outcome, code)
        started = self.events[0].workflow_execution_started_event_attributes
        sender = await self._decode(started.memo.fields.get(REQUESTER_MEMO), Requester)
        return await self._build(self.action, started.identity, sender, outcome, code)

    async def build_end_records(self) -> list[AuditRecord]:
        """Build the records of the run's cancellation requests and termination, if there are any."""
        if self.action is None:
            return []
        found: list[AuditRecord] = []
        for event in self.events:
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
                cancelled = event.workflow_execution_cancel_requested_event_attributes
                found.append(await self._build(AuditAction.CANCEL, cancelled.identity, cancelled.cause))
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
                ended = event.workflow_execution_terminated_event_attributes
                found.append(await self._build(AuditAction.TERMINATE, ended.identity, ended.reason))
        return found

    def _find_reset(self) -> HistoryEvent | None:
        """Return the event of the reset that created this run; None if the run was not created by a reset."""
        for event in reversed(self.events):
            failed = event.workflow_task_failed_event_attributes
            reset = failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
            if reset and failed.new_run_id == self.run_id:
                return event
        return None

    async def _build(
        self,
        action: AuditAction,
        identity: str,
        sender: Requester | str | None,
        outcome: AuditOutcome = AuditOutcome.ACCEPTED,
        code: str | None = None,
    ) -> AuditRecord:
        """Build a record.

        `sender` is the requester, or the text of the event's reason. That text can itself contain the requester.
        """
        started = self.events[0].workflow_execution_started_event_attributes
        reason = sender[:MAX_REASON_LENGTH] if isinstance(sender, str) else ""
        if isinstance(sender, str):
            sender, _ = await parse_note(self.client.data_converter, sender)
        fields = await self._decode(started.input.payloads[0] if started.input.payloads else None, None)
        return AuditRecord(
            record_id=build_run_record_id(self.run_id, action),
            kind=RecordKind.RUN,
            action=action,
            requester=sender or self._unknown_requester(identity, reason),
            target=AuditTarget.from_fields(fields if isinstance(fields, dict) else {}),
            workflow_id=self.workflow_id,
            run_id=self.run_id,
            temporal_identity=identity or None,
            outcome=outcome,
            code=code,
        )

    def _unknown_requester(self, identity: str, reason: str) -> Requester:
        """Return the requester of a request that a person made in Temporal."""
        via, subject = EntryPoint.TEMPORAL, identity or UNKNOWN_SUBJECT
        return Requester(via=via, subject=subject, request_id=self.run_id, reason=reason or None)

    async def _decode(self, payload: Payload | None, kind: type | None) -> Any:
        """Decode a payload; return None if the payload is missing or cannot be decoded."""
        if payload is None:
            return None
        try:
            (value,) = await self.client.data_converter.decode([payload], None if kind is None else [kind])
        except (ApplicationError, ValidationError, ValueError, RuntimeError):
            return None
        return value


class RunRecordInterceptor(Interceptor):
    """Writes a run's record before the run's first activity on this worker.

    If the record cannot be written, the activity fails, and Temporal retries it. A run therefore never calls AWS before
    its record is written.

    Args:
        client: The worker's client.
        journal: The worker's journal.
    """

    def __init__(self, client: Client, journal: AuditJournal) -> None:
        self._client = client
        self._journal = journal
        self._recorded: OrderedDict[str, asyncio.Task[None]] = OrderedDict()

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK's `Interceptor`."""
        return _Recording(next, self)

    async def record_run(self, workflow_id: str, run_id: str) -> None:
        """Write the record of a run, unless this worker has already written the record.

        Raises:
            JournalUnwritableError: The record cannot be written.
            RPCError: Temporal does not respond.
        """
        writing = self._recorded.get(run_id)
        if writing is None:
            writing = self._recorded[run_id] = asyncio.create_task(self._write(workflow_id, run_id))
            while len(self._recorded) > _REMEMBERED_RUNS:
                self._recorded.popitem(last=False)
        try:
            await asyncio.shield(writing)
        except Exception:  # the run's next activity tries again to write the record
            if self._recorded.get(run_id) is writing:
                del self._recorded[run_id]
            raise

    async def _write(self, workflow_id: str, run_id: str) -> None:
        history = await RunHistory.fetch(self._client, workflow_id, run_id)
        record = await history.build_start_record(AuditOutcome.ACCEPTED)
        if record is not None:
            await self._journal.append(record)


class _Recording(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, runs: RunRecordInterceptor) -> None:
        super().__init__(next)
        self._runs = runs

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        if info.workflow_id is not None and info.workflow_run_id is not None:
            try:
                await self._runs.record_run(info.workflow_id, info.workflow_run_id)
            except (JournalUnwritableError, RPCError) as error:
                if not info.is_local:
                    message = f"The run's audit record cannot be written: {error}"
                    raise ApplicationError(message, type=UNWRITABLE_ERROR_TYPE) from error
                # A local activity does not call AWS, so it continues. The next activity, which calls AWS, waits for the
                # record.
                log.warning("run_not_recorded_yet", error=str(error))
        return await super().execute_activity(input)
