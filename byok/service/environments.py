"""Creates, replays, cancels and deletes environments, checks keys, and gives keys a tenant name.

`byok.service.environment_reader` reads and watches environments.
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
    ListClaimsRequest,
    ProvisionRequest,
    ReconcileTenantRequest,
    TenantOutcome,
    TenantRole,
)
from byok.domain.phases import Encryption, Phase
from byok.service import lifecycle
from byok.service.claims import ClaimPage, list_claims
from byok.service.deletion import build_delete_request
from byok.service.encryption import is_encryption_fixed, require_same_encryption
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentConflictError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyCheckFailedError,
    NamingStoppedError,
    NotReplayableError,
)
from byok.service.histories import (
    decode_failure_problems,
    describe_conflict,
    diff_requests,
    label_field,
    read_workflow_request,
)
from byok.service.lifecycle import ReplayResult
from byok.service.pending import PendingStep
from byok.service.provisioning import start_provisioning
from byok.service.replay import (
    can_resume,
    find_reset_point,
    require_keys_in_use_unchanged,
    require_replayable,
)
from byok.service.status import EnvironmentStatus, TenantRun
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.tenant_names import build_tenant_request, start_tenant_workflow


@dataclass(frozen=True)
class CreateResult:
    """The result of a request to create an environment.

    Attributes:
        started: Whether this request started the environment; False if an identical earlier request did.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    started: bool


class EnvironmentService(EnvironmentReader):
    """Starts, changes, reads and watches environments."""

    async def create(self, request: ProvisionRequest, *, key: str | None = None) -> CreateResult:
        """Start an environment, or return the environment that an identical earlier request started.

        A stopped environment starts over, even with different values, and adopts its existing resources. An environment
        that stopped only because the tenant name could not be put on its keys counts as ready once both keys have the
        name.

        Args:
            request: The environment to create.
            key: The idempotency key. A second request with the same key has no effect, even if the environment has
                stopped since the first request, unless another operation on the environment came in between.

        Raises:
            EnvironmentConflictError: The environment is running or ready, and was requested with different values. The
            environment exists and uses a different type of encryption.
            EnvironmentBusyError: The environment is being deleted.
            IdempotencyKeyReusedError: The key was used for a request with different values.
        """
        with translate_temporal_errors():
            try:
                return await self._start(request, WorkflowIDReusePolicy.REJECT_DUPLICATE, key)
            except WorkflowAlreadyStartedError:
                found = await self.read_status(request.environment_id)
            if is_encryption_fixed(found):
                require_same_encryption(found, request.encryption)
            policy = _RESTART_AFTER.get(found.phase)
            if policy is not None and not await self._has_request_key(found, key):
                try:
                    return await self._start(request, policy, key)
                except WorkflowAlreadyStartedError:  # another request, or a repeat of this one, was first
                    found = await self.read_status(request.environment_id)
            return await self._existing(request, found, key)

    async def check_keys(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Return a verdict on each of two keys. Identical checks that run at the same time share their result.

        Raises:
            NoWorkerError: No worker is available.
            KeyCheckFailedError: The key check itself failed.
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
                return await self.wait_for_result(handle, "The key check was accepted")
            except WorkflowFailureError as error:
                raise KeyCheckFailedError(f"The key check failed: {error.cause}") from error

    async def list_claims(self, request: ListClaimsRequest) -> ClaimPage:
        """Return a page of the claims on keys, each with its meaning and the recommended action (contract 138).

        Raises:
            NoWorkerError: No worker is available.
            ClaimsUnavailableError: AWS did not respond, or refused the request.
        """
        return await list_claims(self, self._task_queue, request)

    async def build_reconcile_tenant_request(
        self,
        environment_id: str,
        tenant: str | None = None,
        role: TenantRole | None = None,
        *,
        repoint: bool = False,
        commands_only: bool = False,
        key_grace_seconds: int | None = None,
    ) -> ReconcileTenantRequest:
        """Build the request that gives an environment's keys a tenant name.

        Args:
            environment_id: The environment; the request uses its keys and Region.
            tenant: The tenant name. The default is the environment's current name, which the platform assigned.
            role: The role that byok uses to put the tenant name on the keys. The default is the role that byok last
                used for these keys, or else the role in the environment's original request, if any.
            repoint: Whether to repoint an alias that points to the environment's other key.
            commands_only: Whether to return only the commands for the key administrator, even if there is a role.
            key_grace_seconds: How long to retry access-denied errors while a policy change propagates; None means the
                default.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            EnvironmentNotReadyError: The environment is not ready, so its keys cannot get a name yet (contract 12).
            NoCustomerKeysError: The environment's keys are platform-managed.
        """
        return build_tenant_request(
            await self.read_status(environment_id),
            tenant,
            role,
            repoint=repoint,
            commands_only=commands_only,
            key_grace_seconds=key_grace_seconds,
        )

    async def reconcile_tenant(
        self, request: ReconcileTenantRequest, on_pending: Callable[[PendingStep], None] | None = None
    ) -> TenantOutcome:
        """Put the tenant name on both keys. If byok has no role to use, return the commands to run.

        Args:
            request: The naming request. If an identical request is in progress, return that request's result.
            on_pending: Called with each pending step, repeatedly while the workflow runs.

        Raises:
            NoWorkerError: No worker is available.
            DifferentNamingInProgressError: A different request to put a tenant name on these keys is in progress.
            NamingStoppedError: The tenant name could not be put on a key.
        """
        with translate_temporal_errors():
            handle = await start_tenant_workflow(self.client, self._task_queue, request)
            try:
                return await self.wait_for_result(handle, "The tenant name was accepted", on_pending)
            except WorkflowFailureError as error:
                problems = tuple(decode_failure_problems(error.cause))
                if not problems:  # an operator ended the workflow in Temporal
                    run = await TenantRun.from_execution(await handle.describe())
                    problems = run.problems if run is not None else ()
                raise NamingStoppedError(str(error.cause), problems) from error

    async def replay(
        self, environment_id: str, *, s3_key_arn: str | None = None, rds_key_arn: str | None = None
    ) -> ReplayResult:
        """Resume a stopped environment from the failed activity.

        Completed activities are not repeated. If different keys are given, or if the run cannot resume, the environment
        starts over and adopts its existing resources.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            NotReplayableError: The environment has not stopped, or a replay would not help; the message says why.
            KeyCannotChangeError: A key to be replaced already encrypts a resource.
            EncryptionCannotChangeError: Keys are given, but the environment's keys are platform-managed.
            InvalidRequestError: An ARN is not valid.
        """
        status = await self.read_status(environment_id)
        changes = {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        changes = {name: arn for name, arn in changes.items() if arn is not None and arn != getattr(status, name)}
        if changes:
            require_same_encryption(status, Encryption.CUSTOMER_MANAGED)
        require_replayable(status, other_keys=bool(changes))
        handle = self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
        with translate_temporal_errors():
            request = await read_workflow_request(self.client, handle, ProvisionRequest)
            if request is None:
                raise NotReplayableError(
                    f"Cannot replay {environment_id}: byok cannot read its original input. Specify all values again "
                    "with `byok create`; existing resources are adopted."
                )
            if not changes and can_resume(status):
                point = await find_reset_point(handle.fetch_history_events())
                if point is not None:
                    return await lifecycle.reset_workflow(self.client, status, point)
        try:
            request = ProvisionRequest.model_validate(request.model_dump() | changes)
        except ValidationError as error:
            words = "; ".join(
                f"{label_field('.'.join(map(str, one['loc'])) or 'keys')}: {one['msg']}" for one in error.errors()
            )
            raise InvalidRequestError(f"These keys cannot be used: {words}") from error
        require_keys_in_use_unchanged(status, request)
        creation = await self.create(request)
        return ReplayResult(environment_id, creation.workflow_id, creation.run_id)

    async def cancel(self, environment_id: str) -> None:
        """Request cancellation of an environment's workflow; the status shows the outcome.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            NotRunningError: The workflow has ended.
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
        encryption: Encryption | None = None,
        s3_key_arn: str | None = None,
        rds_key_arn: str | None = None,
    ) -> DeleteRequest:
        """Build the request that deletes an environment. The caller must already have the user's confirmation.

        Args:
            environment_id: The environment.
            final_snapshot: Whether to take a snapshot of the cluster first.
            region: The environment's Region. It is required if Temporal no longer has the workflow; otherwise, byok
                compares the Region, the encryption and the keys with what Temporal knows. The workflow compares all of
                these values with AWS.
            encryption: Whose keys the environment uses.
            s3_key_arn: The environment's S3 key.
            rds_key_arn: The environment's Aurora key.

        Raises:
            DeletionDiffersError: The Region or a key differs from what Temporal knows.
            EncryptionCannotChangeError: The environment uses a different type of encryption.
            EnvironmentNotFoundError: Temporal does not have the workflow, and the Region was not passed.
            EnvironmentNotReadyError: The environment is already deleted, or its Region is unknown.
        """
        return await build_delete_request(
            self,
            environment_id,
            final_snapshot=final_snapshot,
            region=region,
            encryption=encryption,
            s3_key_arn=s3_key_arn,
            rds_key_arn=rds_key_arn,
        )

    async def delete(self, request: DeleteRequest) -> bool:
        """Delete an environment, except for its keys and its final snapshot.

        Returns:
            Whether this call started the deletion; False if the environment was already being deleted.

        Raises:
            EnvironmentBusyError: The environment is being provisioned.
        """
        with translate_temporal_errors():
            return await lifecycle.start_deletion(self.client, self._task_queue, request)

    async def _start(
        self, request: ProvisionRequest, policy: WorkflowIDReusePolicy, key: str | None = None
    ) -> CreateResult:
        handle = await start_provisioning(self.client, self._task_queue, request, policy, key)
        return CreateResult(request.environment_id, handle.id, handle.result_run_id or "", started=True)

    async def _has_request_key(self, found: EnvironmentStatus, key: str | None) -> bool:
        """Return whether a request with this idempotency key started the run."""
        if key is None:
            return False
        described = await self.client.get_workflow_handle(found.workflow_id, run_id=found.run_id).describe()
        return bool(await described.memo_value(contracts.IDEMPOTENCY_KEY_MEMO, None) == key)

    async def _existing(self, request: ProvisionRequest, found: EnvironmentStatus, key: str | None) -> CreateResult:
        """Return the existing environment if it was requested with the same values."""
        handle = self.client.get_workflow_handle(found.workflow_id, run_id=found.run_id)
        if (await handle.describe()).workflow_type == contracts.DELETE_ENVIRONMENT_WORKFLOW:
            raise EnvironmentBusyError(
                f"{request.environment_id} is being deleted. Try again once `byok status {request.environment_id}` "
                f"shows {Phase.DELETED}."
            )
        earlier = await read_workflow_request(self.client, handle, ProvisionRequest)
        if earlier is None:
            raise EnvironmentConflictError(
                f"The running workflow of {request.environment_id} has an input that byok cannot read. The "
                "workflow fails once a worker picks it up; then create the environment again."
            )
        differing = diff_requests(earlier, request)
        if differing and await self._has_request_key(found, key):
            raise IdempotencyKeyReusedError(
                f"This idempotency key was already used with different values: {', '.join(differing.values())}. Use a "
                "new key for a different request."
            )
        if differing:
            raise EnvironmentConflictError(describe_conflict(request.environment_id, differing))
        return CreateResult(request.environment_id, found.workflow_id, found.run_id or "", started=False)


_RESTART_AFTER: Final = {
    Phase.DELETED: WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    Phase.STOPPED: WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
}
"""The phases that allow a restart, each with the strictest workflow id reuse policy that allows the restart."""
