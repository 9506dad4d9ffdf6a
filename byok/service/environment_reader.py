"""What can be seen: the status of an environment, all of them, every change, and who takes the work.

What a status is made of is left to `byok.service.status`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowHandle
from temporalio.exceptions import FailureError
from temporalio.service import RPCError, RPCStatusCode

from byok import contracts
from byok.domain.phases import Phase
from byok.service.errors import EnvironmentNotFoundError, NoWorkerError
from byok.service.histories import read_workflow_failure, read_workflow_task_failure
from byok.service.pollers import PollingWorker, list_polling_workers
from byok.service.status import EnvironmentStatus, EnvironmentSummary, FailureLoader, PendingStep
from byok.service.temporal_errors import is_namespace_not_found, translate_temporal_errors
from byok.service.tenant_names import apply_completed_namings, list_tenant_runs, split_query_batches
from byok.service.versions import TaskQueueRouting, explain_no_worker, read_task_queue_routing

Result = TypeVar("Result")

POLL_INTERVAL: Final = timedelta(milliseconds=500)
"""How often a watched environment is looked at; a describe costs the server 3 ms and adds no history."""

MIN_POLL_INTERVAL: Final = timedelta(milliseconds=100)
"""Changes come in quick succession: the next poll comes sooner, and each one without a change waits twice as long."""

NO_WORKER_TIMEOUT: Final = timedelta(seconds=15)
"""How long a task may lie before a caller that waits is told that it waits for nothing."""

_ENVIRONMENTS: Final = (
    f"WorkflowType IN ('{contracts.PROVISION_ENVIRONMENT_WORKFLOW}', '{contracts.DELETE_ENVIRONMENT_WORKFLOW}')"
)


class EnvironmentReader:
    """Observes environments.

    Args:
        client: A client that carries `byok.temporal.make_plugin()`.
        task_queue: Where the workers are.
    """

    def __init__(self, client: Client, task_queue: str = contracts.TASK_QUEUE) -> None:
        self.client = client
        self._task_queue = task_queue

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        """Where an environment is.

        Raises:
            EnvironmentNotFoundError: There is none of this id.
        """
        handle = self.client.get_workflow_handle(contracts.environment_workflow_id(environment_id))
        with translate_temporal_errors():
            try:
                described = await handle.describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND or is_namespace_not_found(error):
                    raise
                raise EnvironmentNotFoundError(f"There is no environment {environment_id}.") from error
            status = await EnvironmentStatus.from_description(described, self._fetch(described))
            # A name is put on keys by another workflow only once this one has ended.
            return (
                status.with_tenant_runs(await list_tenant_runs(self.client, environment_id))
                if status.phase.is_final
                else status
            )

    async def list_environments(self, limit: int = 100) -> list[EnvironmentSummary]:
        """Environments, those that run first, then the last ended; of one started several times the latest run."""
        found: dict[str, EnvironmentSummary] = {}
        with translate_temporal_errors():
            async for execution in self.client.list_workflows(_ENVIRONMENTS):
                if not execution.id.startswith(contracts.environment_workflow_id("")) or execution.id in found:
                    continue
                found[execution.id] = await EnvironmentSummary.from_execution(execution)
                if len(found) == limit:
                    break
            return await apply_completed_namings(self.client, list(found.values()))

    async def list_environments_page(
        self, *, prefix: str = "", phase: Phase | None = None, size: int = 50, after: bytes | None = None
    ) -> tuple[list[EnvironmentSummary], bytes | None]:
        """A page of environments, in the order of `list_environments`.

        Args:
            prefix: What their ids begin with.
            phase: Those in this phase alone.
            size: How many at most; there may be fewer, as of an environment that was started several times only the
                latest run counts.
            after: Where the page before ended.

        Returns:
            The page, and where the next one begins; None where this was the last.
        """
        query = f"{_ENVIRONMENTS} AND WorkflowId STARTS_WITH '{contracts.environment_workflow_id(prefix)}'"
        if phase is not None:
            # One that had stopped at its tenant's name is ready once it has one, and visibility says still STOPPED.
            phases = {phase, Phase.STOPPED} if phase is Phase.READY else {phase}
            query += (
                f" AND {contracts.PHASE_ATTRIBUTE.name} IN ({', '.join(f'{one.value!r}' for one in sorted(phases))})"
            )
        with translate_temporal_errors():
            pages = self.client.list_workflows(query, page_size=size, next_page_token=after)
            await pages.fetch_next_page()
            executions = list(pages.current_page or ())
            latest = await self._latest_runs({execution.id for execution in executions})
            found = [
                await EnvironmentSummary.from_execution(one) for one in executions if latest.get(one.id) == one.run_id
            ]
            named = await apply_completed_namings(self.client, found)
        return [one for one in named if phase in (None, one.phase)], pages.next_page_token or None

    async def _latest_runs(self, workflow_ids: set[str]) -> dict[str, str]:
        """The run that counts, of each workflow."""
        latest: dict[str, WorkflowExecution] = {}
        for some in split_query_batches(sorted(workflow_ids)):
            ids = ", ".join(f"'{workflow_id}'" for workflow_id in some)
            async for execution in self.client.list_workflows(f"WorkflowId IN ({ids})"):
                known = latest.setdefault(execution.id, execution)
                if execution.start_time > known.start_time:
                    latest[execution.id] = execution
        return {workflow_id: execution.run_id for workflow_id, execution in latest.items()}

    async def watch_status(self, environment_id: str) -> AsyncIterator[EnvironmentStatus]:
        """Every change of an environment's status, up to the one in which it is ready or stopped.

        Raises:
            NoWorkerError: Something has been waiting for a worker for a while, and none has been seen.
        """
        began, wait = datetime.now(UTC), POLL_INTERVAL
        last: EnvironmentStatus | None = None
        while last is None or not last.phase.is_final:
            status = await self.read_status(environment_id)
            if status != last:
                yield status
            wait = min(2 * wait, POLL_INTERVAL) if status == last else MIN_POLL_INTERVAL
            last = status
            await self._require_worker(status, began, f"Environment {environment_id} is accepted")
            if not status.phase.is_final:
                await asyncio.sleep(wait.total_seconds())

    async def list_workers(self) -> list[PollingWorker]:
        """The workers that take both workflows and activities of the task queue, as far as the server has seen them."""
        with translate_temporal_errors():
            return await list_polling_workers(self.client, self._task_queue)

    async def read_routing(self) -> TaskQueueRouting:
        """Where the task queue sends new work."""
        with translate_temporal_errors():
            return await read_task_queue_routing(self.client, self._task_queue)

    async def _require_worker(self, status: EnvironmentStatus, began: datetime, what: str) -> None:
        since = status.unclaimed_since
        # Counted from when somebody began to wait: the worker may have been started for that.
        if since is None or datetime.now(UTC) - max(since, began) < NO_WORKER_TIMEOUT:
            return
        described = await self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id).describe()
        why = explain_no_worker(described, await self.read_routing(), await self.list_workers())
        if why is not None:
            where = f"task queue {self._task_queue!r} of namespace {self.client.namespace!r}"
            raise NoWorkerError(f"{what}, and no worker takes it: {why.format(where=where)}")

    async def wait_for_result(
        self, handle: WorkflowHandle[Any, Result], what: str, on_pending: Callable[[PendingStep], None] | None = None
    ) -> Result:
        """The result of a short workflow.

        Raises:
            NoWorkerError: Nobody takes the work.
            WorkflowFailureError: It failed.
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

    def _fetch(self, described: WorkflowExecutionDescription) -> FailureLoader:
        handle = self.client.get_workflow_handle(described.id, run_id=described.run_id)

        async def failure() -> FailureError | None:
            return await read_workflow_failure(handle, described.data_converter)

        async def task_failure() -> str | None:
            return await read_workflow_task_failure(self.client, described.id, described.run_id)

        return FailureLoader(failure, task_failure)
