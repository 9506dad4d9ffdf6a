"""What can be asked for: an environment, a check of keys, a tenant's name, a replay, an end, a deletion.

What can be seen of environments is left to `byok.service.environment_reader`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from byok import contracts
from byok.domain.models import (
    CheckKeysRequest,
    DeleteRequest,
    KeyCheckResult,
    ProvisionRequest,
    ReconcileTenantRequest,
    TenantOutcome,
    TenantRole,
)
from byok.domain.phases import Phase
from byok.service import lifecycle
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentConflictError,
    EnvironmentNotReadyError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyCheckFailedError,
    NamingStoppedError,
    NotReplayableError,
)
from byok.service.histories import diff_requests, extract_problems, read_workflow_request
from byok.service.lifecycle import ReplayResult
from byok.service.provisioning import start_provisioning
from byok.service.replay import (
    can_resume,
    find_reset_point,
    require_keys_in_use_unchanged,
    require_replayable,
)
from byok.service.status import EnvironmentStatus, PendingStep, TenantRun
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.tenant_names import start_tenant_workflow


@dataclass(frozen=True)
class CreateResult:
    """What became of a request for an environment.

    Attributes:
        started: Whether this request started it; False where the same request had been made before.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    started: bool


class EnvironmentService(EnvironmentReader):
    """Starts and changes environments, and observes them."""

    async def create(self, request: ProvisionRequest, *, key: str | None = None) -> CreateResult:
        """Start an environment, or find the one that the same request started before.

        A stopped environment is started again, with any values; it adopts what is rightly its own. One that had stopped
        at its tenant's name alone, and has got one since, is ready.

        Args:
            request: What is asked for.
            key: Names this request; as long as nothing else was done with the environment, one that comes again with
                the same name starts nothing a second time, also where the first has stopped.

        Raises:
            EnvironmentConflictError: It is running or ready, and was asked for with other values.
            EnvironmentBusyError: It is being deleted.
            IdempotencyError: The key stood for a request with other values.
        """
        with translate_temporal_errors():
            try:
                return await self._start(request, WorkflowIDReusePolicy.REJECT_DUPLICATE, key)
            except WorkflowAlreadyStartedError:
                found = await self.read_status(request.environment_id)
            policy = _RESTART_AFTER.get(found.phase)
            if policy is not None and not await self._has_request_key(found, key):
                try:
                    return await self._start(request, policy, key)
                except WorkflowAlreadyStartedError:  # another request was quicker, or the same one came twice
                    found = await self.read_status(request.environment_id)
            return await self._existing(request, found, key)

    async def check_keys(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Check two keys and make nothing.

        Raises:
            NoWorkerError: Nobody takes the work.
            CheckFailedError: The check itself went wrong.
        """
        with translate_temporal_errors():
            handle = await self.client.start_workflow(
                contracts.CHECK_KEYS_WORKFLOW,
                request,
                id=contracts.key_check_workflow_id(request),
                task_queue=self._task_queue,
                result_type=KeyCheckResult,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
            try:
                return await self.wait_for_result(handle, "The check is accepted")
            except WorkflowFailureError as error:
                raise KeyCheckFailedError(f"The check could not be made: {error.cause}") from error

    async def build_reconcile_tenant_request(
        self,
        environment_id: str,
        tenant: str,
        role: TenantRole | None = None,
        *,
        repoint: bool = False,
        commands_only: bool = False,
        key_grace_seconds: int | None = None,
    ) -> ReconcileTenantRequest:
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
        status = await self.read_status(environment_id)
        if status.evidence is None or not (status.region and status.s3_key_arn and status.rds_key_arn):
            raise EnvironmentNotReadyError(
                f"Environment {environment_id} is in {status.phase}: its keys can get the tenant's name once it is "
                f"{Phase.READY}. See `byok status {environment_id}`."
            )
        return ReconcileTenantRequest(
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
        self, request: ReconcileTenantRequest, on_pending: Callable[[PendingStep], None] | None = None
    ) -> TenantOutcome:
        """Give both keys the tenant's name, or the commands to do so where there is no role to do it with.

        Args:
            request: What is asked for; the same that is being done at this moment is waited for and not begun again.
            on_pending: Is told what is being waited for, again and again while it takes long.

        Raises:
            NoWorkerError: Nobody takes the work.
            TenantConflictError: Something else is being done with the names of these keys at this moment.
            TenantStoppedError: A key could not be named.
        """
        with translate_temporal_errors():
            handle = await start_tenant_workflow(self.client, self._task_queue, request)
            try:
                return await self.wait_for_result(handle, "The tenant's name is accepted", on_pending)
            except WorkflowFailureError as error:
                problems = tuple(extract_problems(error.cause))
                if not problems:  # somebody ended it in Temporal
                    run = await TenantRun.from_execution(await handle.describe())
                    problems = run.problems if run is not None else ()
                raise NamingStoppedError(str(error.cause), problems) from error

    async def replay(
        self, environment_id: str, *, s3_key_arn: str | None = None, rds_key_arn: str | None = None
    ) -> ReplayResult:
        """Continue a stopped environment from the failed step; with other keys, or where that is not possible, anew.

        Finished steps are not done again; what starts anew takes over what is rightly its own.

        Raises:
            EnvironmentNotFoundError: There is none of this id.
            NotReplayableError: It has not stopped, or a replay would not help; the text says what would.
            KeyCannotChangeError: One of the keys encrypts something already.
            InvalidRequestError: One of the keys is none.
        """
        status = await self.read_status(environment_id)
        changes = {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        changes = {name: arn for name, arn in changes.items() if arn is not None and arn != getattr(status, name)}
        require_replayable(status, other_keys=bool(changes))
        handle = self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
        with translate_temporal_errors():
            request = await read_workflow_request(self.client, handle, ProvisionRequest)
            if request is None:
                raise NotReplayableError(f"What {environment_id} was asked for with cannot be read: see its history.")
            if not changes and can_resume(status):
                point = await find_reset_point(handle.fetch_history_events())
                if point is not None:
                    return await lifecycle.reset_workflow(self.client, status, point)
        try:
            request = ProvisionRequest.model_validate(request.model_dump() | changes)
        except ValidationError as error:
            words = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'keys'}: {one['msg']}" for one in error.errors())
            raise InvalidRequestError(f"These keys cannot be used: {words}") from error
        require_keys_in_use_unchanged(status, request)
        creation = await self.create(request)
        return ReplayResult(environment_id, creation.workflow_id, creation.run_id)

    async def cancel(self, environment_id: str) -> None:
        """Ask for the end of what is being done with an environment; its status says what becomes of it.

        Raises:
            EnvironmentNotFoundError: There is none of this id.
            NotRunningError: Nothing is being done with it.
        """
        status = await self.read_status(environment_id)
        with translate_temporal_errors():
            await lifecycle.cancel_workflow(self.client, status)

    async def build_delete_request(
        self,
        environment_id: str,
        *,
        final_snapshot: bool = True,
        region: str | None = None,
        s3_key_arn: str | None = None,
        rds_key_arn: str | None = None,
    ) -> DeleteRequest:
        """The request that deletes an environment; it is the caller who has had it confirmed.

        Args:
            environment_id: Which environment.
            final_snapshot: Whether a snapshot of the cluster is taken first.
            region: Its Region; needed where Temporal knows of it no more, as the two keys are.
            s3_key_arn: Likewise.
            rds_key_arn: Likewise.

        Raises:
            EnvironmentNotFoundError: Temporal knows of none, and not everything is given.
            EnvironmentNotReadyError: It was deleted already, or what is known of it is not enough.
        """
        known: dict[str, str | None] = {"region": region, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        if not all(known.values()):
            status = await self.read_status(environment_id)
            if status.phase is Phase.DELETED:
                raise EnvironmentNotReadyError(f"{environment_id} was deleted already.")
            known = {name: given or getattr(status, name) for name, given in known.items()}
        if not all(known.values()):
            raise EnvironmentNotReadyError(
                f"What {environment_id} is made of is not known: give its Region and its two keys."
            )
        return DeleteRequest.model_validate(
            {"environment_id": environment_id, "confirm": environment_id, "final_snapshot": final_snapshot, **known}
        )

    async def delete(self, request: DeleteRequest) -> bool:
        """Delete an environment, but for its keys and its final snapshot.

        Returns:
            Whether this began it; False where it is being deleted already.

        Raises:
            EnvironmentBusyError: It is just being made.
        """
        with translate_temporal_errors():
            return await lifecycle.start_deletion(self.client, self._task_queue, request)

    async def _start(
        self, request: ProvisionRequest, policy: WorkflowIDReusePolicy, key: str | None = None
    ) -> CreateResult:
        handle = await start_provisioning(self.client, self._task_queue, request, policy, key)
        return CreateResult(request.environment_id, handle.id, handle.result_run_id or "", started=True)

    async def _has_request_key(self, found: EnvironmentStatus, key: str | None) -> bool:
        """Whether a request with this key started the run."""
        if key is None:
            return False
        described = await self.client.get_workflow_handle(found.workflow_id, run_id=found.run_id).describe()
        return bool(await described.memo_value(contracts.IDEMPOTENCY_KEY_MEMO, None) == key)

    async def _existing(self, request: ProvisionRequest, found: EnvironmentStatus, key: str | None) -> CreateResult:
        """The environment that has the id, if it was requested with the same values."""
        handle = self.client.get_workflow_handle(found.workflow_id, run_id=found.run_id)
        if (await handle.describe()).workflow_type == contracts.DELETE_ENVIRONMENT_WORKFLOW:
            raise EnvironmentBusyError(
                f"{request.environment_id} is being deleted: ask again when `byok status {request.environment_id}` "
                f"says {Phase.DELETED}."
            )
        differing = diff_requests(await read_workflow_request(self.client, handle, ProvisionRequest), request)
        if differing and await self._has_request_key(found, key):
            raise IdempotencyKeyReusedError(
                f"The same idempotency key came before with other values: {', '.join(differing.values())}. Another "
                "request needs another key."
            )
        if differing:
            raise EnvironmentConflictError(_conflict(request.environment_id, differing))
        return CreateResult(request.environment_id, found.workflow_id, found.run_id or "", started=False)


_RESTART_AFTER: Final = {
    Phase.DELETED: WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    Phase.STOPPED: WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
}
"""The phases in which an environment may be started again, each with the policy that lets no other run be replaced."""


def _conflict(environment_id: str, differing: dict[str, str]) -> str:
    what = f"Environment {environment_id} exists and was asked for with other values: {', '.join(differing.values())}."
    if differing.keys() <= {"tenant", "tenant_role"}:
        return f"{what} Its keys get another tenant's name with `byok tenant {environment_id} <name>`."
    return f"{what} Ask for the same, or take another name."
