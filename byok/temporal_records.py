"""Writes and reads the records of environments, each of which is a workflow that stays open (decision 0040).

Reading a record requires neither a worker nor a query. To compute the state of a record, byok applies the signals in
the history of the record's workflow to the workflow's input. The summary is in the workflow's memo.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic import ValidationError
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributeKey,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.converter import DataConverter, PayloadConverter, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from byok.contracts import (
    CREATED_AT_ATTRIBUTE,
    ENVIRONMENT_ID_ATTRIBUTE,
    ENVIRONMENT_RECORD_WORKFLOW,
    HEALTH_ATTRIBUTE,
    HEALTH_REPORT_SIGNAL,
    KEY_DELETION_SIGNAL,
    ORGANISATION_ATTRIBUTE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    RECORD_MEMO,
    REGION_ATTRIBUTE,
    RUN_REPORT_SIGNAL,
    TENANT_REPORT_SIGNAL,
    record_workflow_id,
)
from byok.domain.models import (
    EnvironmentRecordState,
    HealthReport,
    KeyDeletionReport,
    RecordReport,
    RecordSummary,
    RunReport,
    TenantReport,
)
from byok.temporal_reads import describe_or_none

_REPORTS: Final[Mapping[str, type[RecordReport]]] = {
    RUN_REPORT_SIGNAL: RunReport,
    TENANT_REPORT_SIGNAL: TenantReport,
    HEALTH_REPORT_SIGNAL: HealthReport,
    KEY_DELETION_SIGNAL: KeyDeletionReport,
}


class UnreadableRecordError(RuntimeError):
    """This version of byok cannot read a record that a newer version has written."""


def decode_report(converter: PayloadConverter, name: str, payloads: Sequence[Payload]) -> RecordReport | None:
    """Decode a signal that was sent to a record.

    If this version of byok does not know the signal or cannot decode the payload, return None.
    """
    kind = _REPORTS.get(name)
    if kind is None or len(payloads) != 1:
        return None
    try:
        (report,) = converter.from_payloads(list(payloads), [kind])
    except Exception:  # the sender chooses the payload, and each converter raises its own errors
        return None
    return report if isinstance(report, RecordReport) else None


def list_attribute_updates(environment_id: str, summary: RecordSummary | None) -> list[SearchAttributeUpdate[Any]]:
    """Return updates for all search attributes of a record, including those without a value."""
    values: dict[SearchAttributeKey[str], str | None] = {
        PHASE_ATTRIBUTE: None if summary is None else summary.phase.value,
        PROBLEM_CODE_ATTRIBUTE: None if summary is None else summary.problem_code,
        ORGANISATION_ATTRIBUTE: None if summary is None else summary.organisation,
        REGION_ATTRIBUTE: None if summary is None else summary.region,
        HEALTH_ATTRIBUTE: None if summary is None or summary.health is None else summary.health.state.value,
    }
    created_at = None if summary is None else summary.created_at
    optional: list[SearchAttributeUpdate[Any]] = [
        key.value_unset() if value is None else key.value_set(value) for key, value in values.items()
    ]
    optional.append(
        CREATED_AT_ATTRIBUTE.value_unset() if created_at is None else CREATED_AT_ATTRIBUTE.value_set(created_at)
    )
    return [ENVIRONMENT_ID_ATTRIBUTE.value_set(environment_id), *optional]


@dataclass(frozen=True)
class FoundRecord:
    """A record that was found in Temporal.

    Attributes:
        summary: The part of the record that is shown in lists.
        is_open: Whether the record is open; a record is closed once its environment is deleted.
    """

    client: Client
    run_id: str
    summary: RecordSummary
    is_open: bool

    @classmethod
    async def from_execution(cls, client: Client, execution: WorkflowExecution) -> "FoundRecord | None":
        """Build the record from the description or the list entry of the record's workflow.

        If the record is still empty, return None.
        """
        try:
            summary = await execution.memo_value(RECORD_MEMO, None, type_hint=RecordSummary)
        except (ApplicationError, ValidationError):  # another program wrote a memo field of this name
            summary = None
        if summary is None:
            return None
        return cls(client, execution.run_id, summary, execution.status is WorkflowExecutionStatus.RUNNING)

    async def read_state(self) -> EnvironmentRecordState:
        """Read the history of a record's workflow, and return the full content of the record.

        Raises:
            RPCError: Temporal does not respond, or has deleted the record since it was found.
            UnreadableRecordError: A newer version of byok has written the record.
        """
        environment_id = self.summary.environment_id
        workflow_id, state = record_workflow_id(environment_id), EnvironmentRecordState()
        context = WorkflowSerializationContext(namespace=self.client.namespace, workflow_id=workflow_id)
        converter = self.client.data_converter.with_context(context)
        handle: WorkflowHandle[Any, Any] = self.client.get_workflow_handle(workflow_id, run_id=self.run_id)
        async for event in handle.fetch_history_events():
            if event.HasField("workflow_execution_started_event_attributes"):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                state = await _decode_state(converter, payloads, environment_id)
            elif event.HasField("workflow_execution_signaled_event_attributes"):
                signal = event.workflow_execution_signaled_event_attributes
                decoded = await _decode_codec(converter, signal.input.payloads)
                report = decode_report(converter.payload_converter, signal.signal_name, decoded)
                state = state if report is None else state.receive(report, environment_id)
        return state


async def _decode_state(
    converter: DataConverter, payloads: Sequence[Payload], environment_id: str
) -> EnvironmentRecordState:
    try:
        (state,) = await converter.decode(payloads, [EnvironmentRecordState])
    except Exception as error:
        raise UnreadableRecordError(
            f"The record of {environment_id} cannot be read. Use the version of byok that the workers run."
        ) from error
    return cast("EnvironmentRecordState", state)


async def _decode_codec(converter: DataConverter, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """Decode payloads with the payload codec.

    If there is no codec, return the payloads unchanged. If the codec rejects the payloads, return an empty sequence.
    """
    if converter.payload_codec is None:
        return payloads
    try:
        return await converter.payload_codec.decode(payloads)
    except Exception:  # the sender chooses the payload, and each codec raises its own errors
        return ()


async def find_record(client: Client, environment_id: str) -> FoundRecord | None:
    """Return the latest record of an environment, open or closed; None if the environment has no record.

    Raises:
        RPCError: Temporal does not respond.
    """
    described = await describe_or_none(client.get_workflow_handle(record_workflow_id(environment_id)))
    return None if described is None else await FoundRecord.from_execution(client, described)


async def send_report(client: Client, task_queue: str, report: RecordReport) -> None:
    """Send a report to the record of the environment that the report is about.

    If the environment has no open record, the report of a provisioning run creates one.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.
        report: The report. Sending the same report twice has the same effect as sending it once.

    Raises:
        RPCError: Temporal does not respond.
    """
    environment_id = report.environment_id
    # Only a provisioning run creates an environment, so only the report of a provisioning run creates a record.
    if not isinstance(report, RunReport) or report.progress.request.deletion:
        handle = client.get_workflow_handle(record_workflow_id(environment_id))
        name = next(name for name, kind in _REPORTS.items() if isinstance(report, kind))
        try:
            await handle.signal(name, report)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        return
    summary = EnvironmentRecordState().apply(report).summarise()
    if summary is None:  # cannot happen: a state with a report has a summary
        raise AssertionError("the report has no summary")
    pairs = [
        SearchAttributePair(update.key, update.value)
        for update in list_attribute_updates(environment_id, summary)
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
