"""Writes and reads the records of environments, each of which is a workflow that stays open (decision 0040).

A reader needs neither a worker nor a query: the state of a record is its workflow's input, followed by the signals in
its history. A description of the workflow, or an entry in Temporal's list, contains the summary.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from byok.contracts import (
    ENVIRONMENT_ID_ATTRIBUTE,
    ENVIRONMENT_RECORD_WORKFLOW,
    ORGANISATION_ATTRIBUTE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    RECORD_MEMO,
    RUN_REPORT_SIGNAL,
    TENANT_REPORT_SIGNAL,
    record_workflow_id,
)
from byok.domain.models import EnvironmentRecordState, RecordSummary, RunReport, TenantReport

_REPORTS: Final[Mapping[str, type[RunReport | TenantReport]]] = {
    RUN_REPORT_SIGNAL: RunReport,
    TENANT_REPORT_SIGNAL: TenantReport,
}


def list_attribute_updates(summary: RecordSummary) -> list[SearchAttributeUpdate[Any]]:
    """Return the search attributes of a record."""
    optional = {PROBLEM_CODE_ATTRIBUTE: summary.problem_code, ORGANISATION_ATTRIBUTE: summary.organisation}
    return [
        ENVIRONMENT_ID_ATTRIBUTE.value_set(summary.environment_id),
        PHASE_ATTRIBUTE.value_set(summary.phase.value),
        *(key.value_unset() if value is None else key.value_set(value) for key, value in optional.items()),
    ]


@dataclass(frozen=True)
class FoundRecord:
    """A record that Temporal knows.

    Attributes:
        summary: The part that lists show.
        is_open: Whether the record is open; a record is closed once its environment is deleted.
    """

    client: Client
    run_id: str
    summary: RecordSummary
    is_open: bool

    @classmethod
    async def from_execution(cls, client: Client, execution: WorkflowExecution) -> "FoundRecord | None":
        """Build the record from Temporal's description or list entry; None if the record is still empty."""
        try:
            summary = await execution.memo_value(RECORD_MEMO, None, type_hint=RecordSummary)
        except (ApplicationError, ValidationError):  # another program wrote a memo field of this name
            summary = None
        if summary is None:
            return None
        return cls(client, execution.run_id, summary, execution.status is WorkflowExecutionStatus.RUNNING)

    async def read_state(self) -> EnvironmentRecordState:
        """Return everything that the record contains, from the history of its workflow.

        Raises:
            RPCError: Temporal does not respond, or has deleted the record since it was found.
        """
        converter, state = self.client.data_converter, EnvironmentRecordState()
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(
            record_workflow_id(self.summary.environment_id), run_id=self.run_id
        )
        async for event in handle.fetch_history_events():
            # The workflow ignores what cannot be decoded, and so does the reader.
            with contextlib.suppress(ApplicationError, ValidationError):
                if event.HasField("workflow_execution_started_event_attributes"):
                    payloads = event.workflow_execution_started_event_attributes.input.payloads
                    (state,) = await converter.decode(payloads, [EnvironmentRecordState])
                elif event.HasField("workflow_execution_signaled_event_attributes"):
                    signal = event.workflow_execution_signaled_event_attributes
                    kind = _REPORTS.get(signal.signal_name)
                    if kind is not None:
                        (report,) = await converter.decode(signal.input.payloads, [kind])
                        state = state.receive(report, self.summary.environment_id)
        return state


async def find_record(client: Client, environment_id: str) -> FoundRecord | None:
    """Return the latest record of an environment, open or closed; None if there is none.

    Raises:
        RPCError: Temporal does not respond.
    """
    try:
        described = await client.get_workflow_handle(record_workflow_id(environment_id)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return await FoundRecord.from_execution(client, described)


async def send_report(client: Client, task_queue: str, report: RunReport | TenantReport) -> None:
    """Send a report to the record of its environment. If there is no open record, begin one.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.
        report: The report. Sending it twice has the same effect as sending it once.

    Raises:
        RPCError: Temporal does not respond.
    """
    environment_id = report.progress.request.environment_id
    if isinstance(report, TenantReport):  # a tenant run creates no environment, so it begins no record
        handle = client.get_workflow_handle(record_workflow_id(environment_id))
        try:
            await handle.signal(TENANT_REPORT_SIGNAL, report)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    summary = EnvironmentRecordState().apply(report).summarise()
    if summary is None:  # a state with a report has a summary
        raise AssertionError("the report has no summary")
    pairs = [
        SearchAttributePair(update.key, update.value)
        for update in list_attribute_updates(summary)
        if update.value is not None
    ]
    await client.start_workflow(
        ENVIRONMENT_RECORD_WORKFLOW,
        EnvironmentRecordState(),
        id=record_workflow_id(environment_id),
        task_queue=task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal=RUN_REPORT_SIGNAL,
        start_signal_args=[report],
        memo={RECORD_MEMO: summary},
        search_attributes=TypedSearchAttributes(pairs),
        priority=Priority(fairness_key=summary.organisation),
        static_summary=f"{environment_id} in {summary.region}",
    )
