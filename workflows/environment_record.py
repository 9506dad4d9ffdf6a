"""The record of one environment, which stays open until the environment is deleted."""

from collections import deque

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from byok.contracts import (
        ENVIRONMENT_RECORD_WORKFLOW,
        RECORD_MEMO,
        RUN_REPORT_SIGNAL,
        TENANT_REPORT_SIGNAL,
        record_workflow_id,
    )
    from byok.domain.models import EnvironmentRecordState, RunReport, TenantReport
    from byok.temporal_records import list_attribute_updates
from workflows.progress import format_progress

_MAX_REPORTS = 100
"""How many reports a run receives before it continues as new. A reader fetches all of them."""


@workflow.defn(name=ENVIRONMENT_RECORD_WORKFLOW)
class EnvironmentRecord:
    """Remembers an environment after Temporal has deleted the workflows that created it (contract 134).

    The workflow id is `record/<environment id>`. Temporal never deletes an open workflow, so the record exists until
    the environment is deleted. The environment's workflows report to it by signals; it calls nothing and waits for
    nothing else, so it costs nothing while nothing changes. Signals that the workflow has no use for, such as reports
    about another environment, are ignored.
    """

    def __init__(self) -> None:
        self._reports: deque[RunReport | TenantReport] = deque()
        self._received = 0

    @workflow.run
    async def run(self, state: EnvironmentRecordState) -> EnvironmentRecordState:
        """Receive reports until the environment is deleted, and return the last state."""
        self._publish(state)
        while not state.is_deleted:
            await workflow.wait_condition(lambda: bool(self._reports))
            while self._reports:
                state = state.receive(self._reports.popleft(), self._environment_id)
            self._publish(state)
            if not state.is_deleted and self._is_long():
                # Without `memo`, the new run would begin with the memo with which this run was started.
                workflow.continue_as_new(
                    state,
                    memo={RECORD_MEMO: state.summarise()},
                    initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
                )
        return state

    @workflow.signal(name=RUN_REPORT_SIGNAL, description="Receives the reports of provisioning and deletion.")
    def report_run(self, report: RunReport) -> None:
        """Receive a report of a run of the environment's workflow."""
        self._receive(report)

    @workflow.signal(name=TENANT_REPORT_SIGNAL, description="Receives the reports of the tenant workflow.")
    def report_tenant(self, report: TenantReport) -> None:
        """Receive a report of a run of the tenant workflow."""
        self._receive(report)

    def _receive(self, report: RunReport | TenantReport) -> None:
        self._reports.append(report)
        self._received += 1

    @property
    def _environment_id(self) -> str:
        return workflow.info().workflow_id.removeprefix(record_workflow_id(""))

    def _is_long(self) -> bool:
        return self._received >= _MAX_REPORTS or workflow.info().is_continue_as_new_suggested()

    def _publish(self, state: EnvironmentRecordState) -> None:
        summary = state.summarise()
        if summary is None or state.latest is None:
            return
        workflow.upsert_search_attributes(list_attribute_updates(summary))
        workflow.upsert_memo({RECORD_MEMO: summary})
        workflow.set_current_details(format_progress(state.latest.progress))


@workflow.defn(name=ENVIRONMENT_RECORD_WORKFLOW, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class AutoUpgradedEnvironmentRecord(EnvironmentRecord):
    """The record on a versioned worker. A record outlives every build, so its next task runs on the current build."""

    @workflow.run
    async def run(self, state: EnvironmentRecordState) -> EnvironmentRecordState:
        """See `EnvironmentRecord.run`."""
        return await super().run(state)


def select_record_workflow(*, versioned: bool) -> type[EnvironmentRecord]:
    """Return the record's workflow for a worker.

    The server rejects the workflow tasks of an unversioned worker whose workflow has a versioning behaviour.
    """
    return AutoUpgradedEnvironmentRecord if versioned else EnvironmentRecord
