"""The one door to Temporal for everything that is not a worker: create, status, list, watch, check, tenant.

What a status is made of is left to `byok.service.status`, how Temporal is found to `byok.temporal`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from temporalio.client import (
    Client,
    WorkflowExecutionDescription,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from byok import contracts
from byok.domain.models import (
    CheckKeysRequest,
    Evidence,
    KeyCheck,
    ProvisionRequest,
    TenantOutcome,
    TenantRequest,
    TenantRole,
)
from byok.domain.statuses import Phase
from byok.service.errors import (
    CheckFailedError,
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    EnvironmentNotReadyError,
    NoWorkerError,
    TemporalRefusedError,
    TemporalUnreachableError,
    TenantStoppedError,
)
from byok.service.histories import differences, failure_of, request_of
from byok.service.polling import PollingWorker, polling_workers
from byok.service.status import EnvironmentStatus, EnvironmentSummary, FetchFailure, TenantRun, Waiting, problems_in
from byok.service.temporal_errors import last_words, no_namespace, temporal_answers
from byok.service.tenant_names import name_keys, tenant_runs, with_names
from byok.temporal import DEFAULT_ADDRESS, connect

Result = TypeVar("Result")

POLL: Final = timedelta(milliseconds=500)
"""How often a watched environment is looked at; a describe costs the server 3 ms and adds no history."""

NO_WORKER_PATIENCE: Final = timedelta(seconds=15)
"""How long a task may lie before a caller that waits is told that it waits for nothing."""


@dataclass(frozen=True)
class Creation:
    """What became of a request for an environment.

    Attributes:
        started: Whether this request started it; False where the same request had been made before.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    started: bool


async def connect_service() -> "EnvironmentService":
    """The door, opened as Temporal's own environment configuration says.

    Raises:
        TemporalUnreachableError: Nothing answers.
        TemporalRefusedError: The configuration cannot be used: it names a profile that does not exist.
    """
    try:
        address = ClientConfig.load_client_connect_config().get("target_host", DEFAULT_ADDRESS)
    except RuntimeError as error:
        raise TemporalRefusedError(f"Temporal's configuration cannot be used: {error}") from error
    try:
        return EnvironmentService(await connect())
    except RuntimeError as error:
        raise TemporalUnreachableError(
            f"Temporal does not answer at {address}. Start everything on this machine with `byok up`, or name another "
            f"address in TEMPORAL_ADDRESS. ({last_words(error)})"
        ) from error


class EnvironmentService:
    """Starts and observes environments.

    Args:
        client: A client that carries `byok.temporal.plugin()`.
        task_queue: Where the workers are.
    """

    def __init__(self, client: Client, task_queue: str = contracts.TASK_QUEUE) -> None:
        self.client = client
        self._task_queue = task_queue

    async def create(self, request: ProvisionRequest) -> Creation:
        """Start an environment, or find the one that the same request started before.

        A stopped environment is started again, with any values; it adopts what is rightly its own. One that had stopped
        at its tenant's name alone, and has got one since, is ready.

        Raises:
            EnvironmentConflictError: It is running or ready, and was asked for with other values.
        """
        workflow_id = contracts.environment_workflow_id(request.environment_id)
        with temporal_answers(), contextlib.suppress(EnvironmentNotFoundError):
            found = await self.status(request.environment_id)
            if found.phase is Phase.READY:
                return await self._found(request, workflow_id, found.run_id)
        with temporal_answers():
            try:
                handle = await self.client.start_workflow(
                    contracts.PROVISION_ENVIRONMENT,
                    request,
                    id=workflow_id,
                    task_queue=self._task_queue,
                    result_type=Evidence,
                    id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                    static_summary=f"{request.environment_id} in {request.region}",
                )
            except WorkflowAlreadyStartedError as error:
                return await self._found(request, workflow_id, error.run_id)
        return Creation(request.environment_id, workflow_id, handle.result_run_id or "", started=True)

    async def status(self, environment_id: str) -> EnvironmentStatus:
        """Where an environment is.

        Raises:
            EnvironmentNotFoundError: There is none of this id.
        """
        handle = self.client.get_workflow_handle(contracts.environment_workflow_id(environment_id))
        with temporal_answers():
            try:
                described = await handle.describe()
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND or no_namespace(error):
                    raise
                raise EnvironmentNotFoundError(f"There is no environment {environment_id}.") from error
            status = await EnvironmentStatus.of(described, self._fetch_failure(described))
            # A name is put on keys by another workflow only once this one has ended.
            return status.named(await tenant_runs(self.client, environment_id)) if status.phase.final else status

    async def list_environments(self, limit: int = 100) -> list[EnvironmentSummary]:
        """Environments, those that run first, then the last ended; of one started several times the latest run."""
        found: dict[str, EnvironmentSummary] = {}
        with temporal_answers():
            async for execution in self.client.list_workflows(f"WorkflowType = '{contracts.PROVISION_ENVIRONMENT}'"):
                if not execution.id.startswith(contracts.environment_workflow_id("")) or execution.id in found:
                    continue
                found[execution.id] = await EnvironmentSummary.of(execution)
                if len(found) == limit:
                    break
            return await with_names(self.client, list(found.values()))

    async def watch(self, environment_id: str) -> AsyncIterator[EnvironmentStatus]:
        """Every change of an environment's status, up to the one in which it is ready or stopped.

        Raises:
            NoWorkerError: Something has been waiting for a worker for a while, and none has been seen.
        """
        began = datetime.now(UTC)
        last: EnvironmentStatus | None = None
        while last is None or not last.phase.final:
            status = await self.status(environment_id)
            if status != last:
                yield status
            last = status
            await self._insist_on_a_worker(status, began, f"Environment {environment_id} is accepted")
            if not status.phase.final:
                await asyncio.sleep(POLL.total_seconds())

    async def check(self, request: CheckKeysRequest) -> KeyCheck:
        """Check two keys and make nothing.

        Raises:
            NoWorkerError: Nobody takes the work.
            CheckFailedError: The check itself went wrong.
        """
        with temporal_answers():
            handle = await self.client.start_workflow(
                contracts.CHECK_KEYS,
                request,
                id=contracts.check_workflow_id(request),
                task_queue=self._task_queue,
                result_type=KeyCheck,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
            try:
                return await self._result(handle, "The check is accepted")
            except WorkflowFailureError as error:
                raise CheckFailedError(f"The check could not be made: {error.cause}") from error

    async def tenant_request(
        self,
        environment_id: str,
        tenant: str,
        role: TenantRole | None = None,
        *,
        repoint: bool = False,
        commands_only: bool = False,
        key_grace_seconds: int | None = None,
    ) -> TenantRequest:
        """The request that gives an environment's keys a tenant's name.

        Args:
            environment_id: Which environment; its keys and Region are as it was made with.
            tenant: The name.
            role: Through which role; without one the last that keys were named through, or else the one that the
                environment was asked for with, if any.
            repoint: Whether aliases that point at the other of the two keys are pointed at these.
            commands_only: Whether the commands are wanted, although there is a role.
            key_grace_seconds: How long a refusal may turn out to be a change on its way; None is the usual time.

        Raises:
            EnvironmentNotFoundError: There is no such environment.
            EnvironmentNotReadyError: It is not there yet: its keys get a name when it is (contract 12).
        """
        status = await self.status(environment_id)
        if status.evidence is None or not (status.region and status.s3_key_arn and status.rds_key_arn):
            raise EnvironmentNotReadyError(
                f"Environment {environment_id} is in {status.phase}: its keys can get the tenant's name once it is "
                f"{Phase.READY}. See `byok status {environment_id}`."
            )
        return TenantRequest(
            environment_id=environment_id,
            region=status.region,
            s3_key_arn=status.s3_key_arn,
            rds_key_arn=status.rds_key_arn,
            tenant=tenant,
            tenant_role=role or status.tenant_role,
            repoint=repoint,
            commands_only=commands_only,
            **({} if key_grace_seconds is None else {"key_grace_seconds": key_grace_seconds}),
        )

    async def reconcile_tenant(
        self, request: TenantRequest, waits_for: Callable[[Waiting], None] | None = None
    ) -> TenantOutcome:
        """Give both keys the tenant's name, or the commands to do so where there is no role to do it with.

        Args:
            request: What is asked for; the same that is being done at this moment is waited for and not begun again.
            waits_for: Is told what is being waited for, again and again while it takes long.

        Raises:
            NoWorkerError: Nobody takes the work.
            TenantConflictError: Something else is being done with the names of these keys at this moment.
            TenantStoppedError: A key could not be named.
        """
        with temporal_answers():
            handle = await name_keys(self.client, self._task_queue, request)
            try:
                return await self._result(handle, "The tenant's name is accepted", waits_for)
            except WorkflowFailureError as error:
                problems = tuple(problems_in(error.cause))
                if not problems:  # somebody ended it in Temporal
                    run = await TenantRun.of(await handle.describe())
                    problems = run.problems if run is not None else ()
                raise TenantStoppedError(str(error.cause), problems) from error

    async def _result(
        self, handle: WorkflowHandle[Any, Result], what: str, waits_for: Callable[[Waiting], None] | None = None
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
                await asyncio.wait([result], timeout=POLL.total_seconds() * 4)
                if not result.done():
                    described = await handle.describe()
                    status = await EnvironmentStatus.of(described, self._fetch_failure(described))
                    if waits_for is not None:
                        for item in status.pending:
                            waits_for(item)
                    await self._insist_on_a_worker(status, began, what)
            return await result
        finally:
            result.cancel()

    async def workers(self) -> list[PollingWorker]:
        """The workers that take both workflows and activities of the task queue, as far as the server has seen them."""
        with temporal_answers():
            return await polling_workers(self.client, self._task_queue)

    async def _insist_on_a_worker(self, status: EnvironmentStatus, began: datetime, what: str) -> None:
        since = status.unclaimed_since
        # Counted from when somebody began to wait: the worker may have been started for that.
        if since is None or datetime.now(UTC) - max(since, began) < NO_WORKER_PATIENCE:
            return
        if not await self.workers():
            raise NoWorkerError(
                f"{what}, and no worker takes it: none polls task queue {self._task_queue!r} of namespace "
                f"{self.client.namespace!r}. It goes on as soon as one does; `byok doctor` says what is missing."
            )

    async def _found(self, request: ProvisionRequest, workflow_id: str, run_id: str | None) -> Creation:
        """The environment that has the id, if it is the one that is asked for."""
        handle = self.client.get_workflow_handle(workflow_id, run_id=run_id)
        differing = differences(await request_of(self.client, handle, ProvisionRequest), request)
        if differing:
            raise EnvironmentConflictError(_conflict(request.environment_id, differing))
        return Creation(request.environment_id, workflow_id, run_id or "", started=False)

    def _fetch_failure(self, described: WorkflowExecutionDescription) -> FetchFailure:
        async def fetch() -> FailureError | None:
            handle = self.client.get_workflow_handle(described.id, run_id=described.run_id)
            return await failure_of(handle, described.data_converter)

        return fetch


def _conflict(environment_id: str, differing: dict[str, str]) -> str:
    what = f"Environment {environment_id} exists and was asked for with other values: {', '.join(differing.values())}."
    if differing.keys() <= {"tenant", "tenant_role"}:
        return f"{what} Its keys get another tenant's name with `byok tenant {environment_id} <name>`."
    return f"{what} Ask for the same, or take another name."
