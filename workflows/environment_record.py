"""The record of one environment, which stays open until the environment is deleted."""

from collections import deque
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue, VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from byok.contracts import (
        ENVIRONMENT_RECORD_WORKFLOW,
        RECORD_MEMO,
        record_workflow_id,
    )
    from byok.domain.models import EnvironmentRecordState, RecordReport
    from byok.temporal_records import decode_report, list_attribute_updates
from workflows.progress import format_health, format_progress

_MAX_REPORTS = 100
"""The number of reports after which a run continues as new. The number is limited because every reader of the record
fetches all reports of the run.
"""


@workflow.defn(name=ENVIRONMENT_RECORD_WORKFLOW)
class EnvironmentRecord:
    """Remembers an environment after Temporal has deleted the workflows that created it (contract 134).

    The workflow id is `record/<environment id>`. Temporal never deletes an open workflow, so the record exists until
    the environment is deleted. The environment's workflows send their reports as signals. The record runs no activities
    and no timers, so it causes no load between signals.

    Every version of byok must be able to replay the history of a record, even if a newer version has written it. The
    commands of the workflow therefore depend only on the number of signals, and not on whether this version can decode
    the signals. A signal that cannot be decoded, or that belongs to another environment, is ignored.
    """

    def __init__(self) -> None:
        self._signals: deque[tuple[str, Sequence[RawValue]]] = deque()
        self._received = 0

    @workflow.run
    async def run(self, state: EnvironmentRecordState) -> EnvironmentRecordState:
        """Receive reports until the environment is deleted, and return the last state."""
        self._publish(state)
        while not state.is_deleted:
            await workflow.wait_condition(lambda: bool(self._signals))
            while self._signals:
                report = self._decode(*self._signals.popleft())
                state = state if report is None else state.receive(report, self._environment_id)
            self._publish(state)
            if not state.is_deleted and self._is_long():
                # Without `memo`, the new run would get the memo with which this run started.
                workflow.continue_as_new(
                    state,
                    memo={RECORD_MEMO: state.summarise()},
                    initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
        return state

    @workflow.signal(dynamic=True, description="Receives the reports of the environment's workflows.")
    def receive(self, name: str, values: Sequence[RawValue]) -> None:
        """Receive a signal with any name and any number of values."""
        self._signals.append((name, values))
        self._received += 1

    def _decode(self, name: str, values: Sequence[RawValue]) -> RecordReport | None:
        return decode_report(workflow.payload_converter(), name, [value.payload for value in values])

    @property
    def _environment_id(self) -> str:
        return workflow.info().workflow_id.removeprefix(record_workflow_id(""))

    def _is_long(self) -> bool:
        return self._received >= _MAX_REPORTS or workflow.info().is_continue_as_new_suggested()

    def _publish(self, state: EnvironmentRecordState) -> None:
        summary = state.summarise()
        workflow.upsert_search_attributes(list_attribute_updates(self._environment_id, summary))
        workflow.upsert_memo({RECORD_MEMO: summary})
        if state.latest is None:
            return
        details = format_progress(state.latest.progress)
        if summary is not None and summary.health is not None:
            problems = state.health.report.problems if state.health is not None else ()
            details += format_health(summary.health, problems)
        workflow.set_current_details(details)


@workflow.defn(name=ENVIRONMENT_RECORD_WORKFLOW, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedEnvironmentRecord(EnvironmentRecord):
    """The record workflow for versioned workers.

    A record outlives every build, so its next task runs on the current build.
    """

    @workflow.run
    async def run(self, state: EnvironmentRecordState) -> EnvironmentRecordState:
        """See `EnvironmentRecord.run`."""
        return await super().run(state)


def select_record_workflow(*, versioned: bool) -> type[EnvironmentRecord]:
    """Return the record workflow that matches the kind of worker.

    If a workflow has a versioning behaviour, the server rejects the workflow tasks that an unversioned worker
    completes.
    """
    return AutoUpgradedEnvironmentRecord if versioned else EnvironmentRecord
