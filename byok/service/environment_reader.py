"""Reads and watches environments and their workers.

`byok.service.status` defines the contents of a status.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol, Self, TypeVar

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowHandle
from temporalio.exceptions import FailureError

from byok import contracts
from byok.audit.record import AuditAction, AuditTarget
from byok.domain.models import Attempt, HealthState, Requester, TimelineEntry
from byok.domain.phases import Phase
from byok.service.attempts import list_attempts, list_recorded_attempts, read_stopped_timeline
from byok.service.creation_periods import Position
from byok.service.environment_list import EnvironmentFilter, EnvironmentList
from byok.service.errors import EnvironmentNotFoundError, NoWorkerError
from byok.service.health import add_health
from byok.service.histories import read_workflow_failure, read_workflow_input_error, read_workflow_task_failure
from byok.service.pending import PendingStep
from byok.service.pollers import PollingWorker, Workers, list_workers
from byok.service.records import build_recorded_status, list_recorded_tenant_runs
from byok.service.status import EnvironmentStatus, EnvironmentSummary, read_organisation
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.tenant_names import list_tenant_runs
from byok.service.unreported_ends import HistoryLoaders
from byok.service.versions import TaskQueueRouting, explain_no_worker, read_task_queue_routing
from byok.temporal_reads import describe_or_none
from byok.temporal_records import find_record

Result = TypeVar("Result")

POLL_INTERVAL: Final = timedelta(milliseconds=500)
"""The interval between two polls of a watched environment that does not change. A describe call takes the server 3 ms
and adds nothing to the history.
"""

MIN_POLL_INTERVAL: Final = timedelta(milliseconds=100)
"""The first interval after a change, which is short because another change often follows soon. With each poll that
finds no change, the interval doubles, up to `POLL_INTERVAL`."""

NO_WORKER_TIMEOUT: Final = timedelta(seconds=15)
"""The time after which a caller that waits for an unclaimed task gets `NoWorkerError`."""


class RequestRecorder(Protocol):
    """Writes the audit records of one request."""

    async def record_intent(self, action: AuditAction, target: AuditTarget) -> None:
        """Write the intent record, and return once the record is on disk. A second call does nothing.

        Raises:
            AuditUnavailableError: The record cannot be written.
        """
        ...

    def note_run(self, workflow_id: str, run_id: str | None) -> None:
        """Add the workflow and the run to the record of the outcome."""
        ...


class EnvironmentReader:
    """Reads and watches environments.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.

    Attributes:
        task_queue: The task queue that the workers poll.
        requester: The person or program on whose behalf this object acts. Only the environments of the requester's
            organisation can be found. None for a program that may use all environments, such as the CLI.
        recorder: Writes the audit records of the request; None if a worker writes them.
    """

    requester: Requester | None = None
    recorder: RequestRecorder | None = None

    def __init__(self, client: Client, task_queue: str = contracts.TASK_QUEUE) -> None:
        self.client = client
        self.task_queue = task_queue

    def on_behalf_of(self, requester: Requester, recorder: RequestRecorder | None = None) -> Self:
        """Return a copy of this object that acts on behalf of a requester.

        The copy writes an audit record before each action.
        """
        other = copy.copy(self)
        other.requester, other.recorder = requester, recorder
        return other

    async def _is_visible(self, execution: WorkflowExecution) -> bool:
        """Return whether the requester is allowed to see the environment of a workflow."""
        return self._organisation in (None, await read_organisation(execution))

    async def record_intent(self, action: AuditAction, fields: Mapping[str, Any]) -> None:
        """Write the audit record that must precede every action (contract 147).

        Args:
            action: What byok is about to do.
            fields: The fields of the request.

        Raises:
            AuditUnavailableError: The record cannot be written, so the action must not be carried out.
        """
        if self.recorder is not None:
            await self.recorder.record_intent(action, AuditTarget.from_fields(fields))

    def note_run(self, workflow_id: str, run_id: str | None) -> None:
        """Add the workflow and the run to the audit record of the outcome."""
        if self.recorder is not None:
            self.recorder.note_run(workflow_id, run_id)

    @property
    def _organisation(self) -> str | None:
        return None if self.requester is None else self.requester.organisation

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        """Return the status of an environment.

        byok makes the same calls and raises the same error whether the environment does not exist or belongs to another
        organisation (contract 146).

        Raises:
            EnvironmentNotFoundError: No environment of the requester's organisation has this id.
        """
        with translate_temporal_errors():
            return await add_health(self.client, await self._read_status(environment_id))

    async def _read_status(self, environment_id: str) -> EnvironmentStatus:
        described = await describe_or_none(
            self.client.get_workflow_handle(contracts.environment_workflow_id(environment_id))
        )
        if described is None or not await self._is_visible(described):
            return await self._read_recorded_status(environment_id)
        status = await EnvironmentStatus.from_description(described, self._fetch(described))
        if status.was_refused:
            return await self._read_recorded_status(environment_id, status)
        if status.unclaimed_since is not None:
            status = status.with_unfit_workers(await list_workers(self.client, self.task_queue))
        # A separate tenant workflow may have put the tenant name on the keys after this workflow ended.
        runs = await list_tenant_runs(self.client, environment_id) if status.phase.is_final else []
        return status.with_tenant_runs(runs) if status.phase.is_final else status

    async def _read_recorded_status(
        self, environment_id: str, refused: EnvironmentStatus | None = None
    ) -> EnvironmentStatus:
        """Return the status of an environment from its record.

        Args:
            environment_id: The environment.
            refused: The status of a run that was refused, which is returned only if the environment has no open record;
                None if Temporal has deleted the workflow.

        Raises:
            EnvironmentNotFoundError: No environment of the requester's organisation has this id.
        """
        found = await find_record(self.client, environment_id)
        answers = found is not None and (refused is None or found.is_open)
        if found is not None and answers and self._organisation in (None, found.summary.organisation):
            state = await found.read_state()
            status = build_recorded_status(state)
            if status is not None:
                runs = await list_tenant_runs(self.client, environment_id)
                return status.with_tenant_runs([*runs, *list_recorded_tenant_runs(state)])
        if refused is not None:
            return refused
        raise EnvironmentNotFoundError(f"Environment {environment_id} not found.")

    async def list_attempts(self, status: EnvironmentStatus) -> tuple[Attempt, ...]:
        """Return all attempts to provision or delete an environment, oldest first (contract 148).

        This method reads histories, so do not use this method to poll an environment.

        Args:
            status: The environment's current status.
        """
        if status.record is not None:
            return list_recorded_attempts(status.record, status)

        async def read_run(run_id: str) -> EnvironmentStatus | None:
            described = await describe_or_none(self.client.get_workflow_handle(status.workflow_id, run_id=run_id))
            return await EnvironmentStatus.from_description(described, self._fetch(described)) if described else None

        with translate_temporal_errors():
            return await list_attempts(self.client, status, read_run)

    async def list_environments(
        self,
        limit: int = 100,
        *,
        phase: Phase | None = None,
        health: HealthState | None = None,
        region: str | None = None,
        problem_code: str | None = None,
    ) -> list[EnvironmentSummary]:
        """Return the environments that match the given filters, most recently created first."""
        page, _ = await self.list_environments_page(
            phase=phase, health=health, region=region, problem_code=problem_code, size=limit
        )
        return page

    async def list_environments_page(
        self,
        *,
        prefix: str = "",
        phase: Phase | None = None,
        health: HealthState | None = None,
        region: str | None = None,
        problem_code: str | None = None,
        text: str = "",
        size: int = 50,
        after: bytes | None = None,
    ) -> tuple[list[EnvironmentSummary], bytes | None]:
        """Return a page of environments, in the order of `list_environments`.

        Args:
            prefix: Return only environments whose id begins with this text.
            phase: Return only environments in this phase.
            health: Return only environments with this health status.
            region: Return only environments in this AWS Region.
            problem_code: Return only environments that stopped with this problem code.
            text: Return only environments whose id, organisation or tenant name contains this text.
            size: The maximum number of environments.
            after: The page token that the previous page returned.

        Returns:
            The page, and the token for the next page; the token is None after the last page.
        """
        wanted = EnvironmentFilter(prefix, phase, health, region, problem_code, text.lower())
        listed = EnvironmentList(self.client, self._organisation, wanted)
        with translate_temporal_errors():
            page, end = await listed.read_page(size, None if after is None else Position.decode(after))
        return page, None if end is None else end.encode()

    async def watch_status(self, environment_id: str) -> AsyncIterator[EnvironmentStatus]:
        """Yield an environment's status after every change, until the environment reaches a final phase.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            NoWorkerError: No worker can claim a task, and the task has waited for `NO_WORKER_TIMEOUT`.
        """
        began, wait = datetime.now(UTC), POLL_INTERVAL
        last: EnvironmentStatus | None = None
        while last is None or not last.phase.is_final:
            status = await self.read_status(environment_id)
            if status != last:
                yield status
            wait = min(2 * wait, POLL_INTERVAL) if status == last else MIN_POLL_INTERVAL
            last = status
            await self._require_worker(status, began, f"The request for environment {environment_id} was accepted")
            if not status.phase.is_final:
                await asyncio.sleep(wait.total_seconds())

    async def list_workers(self) -> list[PollingWorker]:
        """Return the workers that recently polled the task queue for both workflows and activities."""
        with translate_temporal_errors():
            return (await list_workers(self.client, self.task_queue)).fit

    async def list_all_workers(self) -> Workers:
        """Return the workers that recently polled the task queue, including the unfit workers."""
        with translate_temporal_errors():
            return await list_workers(self.client, self.task_queue)

    async def read_routing(self) -> TaskQueueRouting:
        """Return the worker versions that get new work from the task queue."""
        with translate_temporal_errors():
            return await read_task_queue_routing(self.client, self.task_queue)

    async def _require_worker(self, status: EnvironmentStatus, began: datetime, what: str) -> None:
        since = status.unclaimed_since
        # A worker may have started only just before the call, so count only the time since the caller began to wait.
        if since is None or datetime.now(UTC) - max(since, began) < NO_WORKER_TIMEOUT:
            return
        described = await self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id).describe()
        why = explain_no_worker(described, await self.read_routing(), await self.list_all_workers())
        if why is not None:
            where = f"task queue {self.task_queue!r} of namespace {self.client.namespace!r}"
            raise NoWorkerError(f"{what}, but no worker is processing it: {why.replace('{where}', where)}")

    async def describe_short_workflow(self, handle: WorkflowHandle[Any, Any], what: str) -> EnvironmentStatus:
        """Return the status of a short workflow, with the steps that it waits for.

        Args:
            handle: The workflow.
            what: The beginning of the error message if no worker is available.

        Raises:
            NoWorkerError: No worker is available.
        """
        described = await handle.describe()
        status = await EnvironmentStatus.from_description(described, self._fetch(described))
        await self._require_worker(status, datetime.min.replace(tzinfo=UTC), what)
        return status

    async def wait_for_result(
        self, handle: WorkflowHandle[Any, Result], what: str, on_pending: Callable[[PendingStep], None] | None = None
    ) -> Result:
        """Wait for the result of a short workflow.

        Args:
            handle: The workflow.
            what: The beginning of the error message if no worker is available.
            on_pending: Called with each pending step, repeatedly while the workflow runs.

        Raises:
            NoWorkerError: No worker is available.
            WorkflowFailureError: The workflow failed.
        """
        began = datetime.now(UTC)
        result: asyncio.Task[Result] = asyncio.create_task(handle.result())
        try:
            while not result.done():
                await asyncio.wait([result], timeout=POLL_INTERVAL.total_seconds() * 4)
                if not result.done():
                    described = await handle.describe()
                    status = await EnvironmentStatus.from_description(described, self._fetch(described))
                    if on_pending is not None:
                        for item in status.pending:
                            on_pending(item)
                    await self._require_worker(status, began, what)
            return await result
        finally:
            result.cancel()

    def _fetch(self, described: WorkflowExecutionDescription) -> HistoryLoaders:
        handle = self.client.get_workflow_handle(described.id, run_id=described.run_id)

        async def failure() -> FailureError | None:
            return await read_workflow_failure(handle, described.data_converter)

        async def task_failure() -> str | None:
            return await read_workflow_task_failure(self.client, described.id, described.run_id)

        async def input_error() -> str | None:
            return await read_workflow_input_error(self.client, handle, described.workflow_type)

        async def stopped_timeline() -> tuple[TimelineEntry, ...]:
            return await read_stopped_timeline(self.client, described.id, described.run_id)

        return HistoryLoaders(failure, task_failure, input_error, stopped_timeline)
