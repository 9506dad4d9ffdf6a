"""Creates, replays, cancels and deletes environments, checks keys, and gives keys a tenant name.

`byok.service.environment_reader` reads and watches environments.
"""

from collections.abc import Callable

from temporalio.client import Client, WorkflowFailureError

from byok import contracts
from byok.audit.record import AuditAction
from byok.domain.models import (
    AccountPage,
    AccountRequest,
    CheckKeysRequest,
    DeleteRequest,
    ExternalIdRequest,
    KeyCheckResult,
    ListAccountsRequest,
    ListClaimsRequest,
    ProvisionRequest,
    ReconcileTenantRequest,
    TenantOutcome,
)
from byok.domain.phases import Encryption
from byok.domain.quotas import Quotas
from byok.service import accounts, lifecycle
from byok.service.claims import ClaimPage, list_claims
from byok.service.creation import CreateResult, create_environment
from byok.service.deletion import build_delete_request
from byok.service.encryption import require_same_encryption
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import NamingStoppedError, NotReplayableError
from byok.service.external_ids import get_external_id
from byok.service.histories import decode_failure_problems
from byok.service.key_checks import check_keys
from byok.service.lifecycle import ReplayResult
from byok.service.pending import PendingStep
from byok.service.quotas import require_environment_quota
from byok.service.records import read_provision_request
from byok.service.replay import (
    can_resume,
    find_reset_point,
    replace_keys,
    require_keys_in_use_unchanged,
    require_replayable,
)
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.tenant_names import build_tenant_request, start_tenant_workflow
from byok.service.tenant_runs import TenantRun
from byok.temporal_quotas import QuotaCounter


class EnvironmentService(EnvironmentReader):
    """Starts, changes, reads and watches environments.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.
        quotas: How much each organisation may use. The workers also enforce the quotas in their own settings.
    """

    def __init__(self, client: Client, task_queue: str = contracts.TASK_QUEUE, quotas: Quotas | None = None) -> None:
        super().__init__(client, task_queue)
        self.counter = QuotaCounter(client, quotas or Quotas())

    async def create(self, request: ProvisionRequest, *, key: str | None = None) -> CreateResult:
        """Start an environment, or return the environment that an identical earlier request started.

        A stopped environment starts over, even with different values, and adopts its existing resources. An environment
        that stopped only because the tenant name could not be put on its keys counts as ready once both keys have the
        name.

        Args:
            request: The environment to create.
            key: The idempotency key. A second request with the same key has no effect, even if the environment has
                stopped meanwhile, unless another operation on the environment ran between the two requests.

        Raises:
            EnvironmentConflictError: The environment exists or is being provisioned, and the earlier request had
                different values. The environment exists and uses a different kind of encryption.
            EnvironmentBusyError: The environment is being deleted.
            IdempotencyKeyReusedError: The key was used for a request with different values.
            QuotaExceededError: The request would start an environment, and its organisation has used up a quota.
        """
        await self.record_intent(AuditAction.CREATE_ENVIRONMENT, request.model_dump())
        created = await create_environment(self, self.counter, self.task_queue, request, key)
        self.note_run(created.workflow_id, created.run_id)
        return created

    async def check_keys(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Return a verdict on each of two keys. Identical checks that run at the same time share one result.

        Raises:
            NoWorkerError: No worker is available.
            KeyCheckFailedError: The key check itself failed.
            QuotaExceededError: The organisation has checked a key too often.
        """
        await self.record_intent(AuditAction.CHECK_KEYS, request.model_dump())
        return await check_keys(self, self.counter, self.task_queue, request)

    async def list_claims(self, request: ListClaimsRequest) -> ClaimPage:
        """Return a page of the claims on keys, each with its meaning and the recommended action (contract 138).

        Raises:
            NoWorkerError: No worker is available.
            ClaimsUnavailableError: AWS did not respond, or refused the request.
        """
        return await list_claims(self, self.task_queue, request)

    async def register_account(self, request: AccountRequest) -> None:
        """Register an AWS account for an organisation (contract 146).

        If the account is already registered for the organisation, nothing changes.

        Raises:
            AccountConflictError: The account is registered for another organisation.
            AccountBusyError: Another request is changing the registration of the account.
            AccountsUnavailableError: AWS did not respond, or refused the request.
            NoWorkerError: No worker is available.
        """
        await self.record_intent(AuditAction.REGISTER_ACCOUNT, request.model_dump())
        await accounts.register_account(self, self.task_queue, request)

    async def register_proved_account(self, request: AccountRequest, nonce: str) -> None:
        """Register an AWS account for an organisation that has proved its access to the account.

        Args:
            request: The organisation, and the account that STS returned for the proof.
            nonce: The nonce of the proof; a nonce can register at most one account.

        Raises:
            AccountConflictError: The account is registered for another organisation. The error does not reveal which
                organisation.
            AccountProofUsedError: The nonce has already been used.
            AccountsUnavailableError: AWS did not respond, or refused the request.
            NoWorkerError: No worker is available.
        """
        await self.record_intent(AuditAction.REGISTER_ACCOUNT, request.model_dump())
        await accounts.register_proved_account(self, self.task_queue, request, nonce)

    async def unregister_account(self, request: AccountRequest) -> bool:
        """Unregister an AWS account, and return whether it was registered for the organisation.

        Environments that use keys in the account keep working.

        Raises:
            AccountBusyError: Another request is changing the registration of the account.
            AccountsUnavailableError: AWS did not respond, or refused the request.
            NoWorkerError: No worker is available.
        """
        await self.record_intent(AuditAction.UNREGISTER_ACCOUNT, request.model_dump())
        return await accounts.unregister_account(self, self.task_queue, request)

    async def list_accounts(self, request: ListAccountsRequest) -> AccountPage:
        """Return a page of the registered AWS accounts. An organisation sees only its own accounts.

        Raises:
            AccountsUnavailableError: AWS did not respond, or refused the request.
            NoWorkerError: No worker is available.
        """
        if self._organisation is not None:
            request = request.model_copy(update={"organisation": self._organisation})
        return await accounts.list_accounts(self, self.task_queue, request)

    async def get_external_id(self, organisation: str | None = None) -> str:
        """Return the external id that the trust policies of an organisation's tenant roles must require (D11).

        A requester that belongs to an organisation always gets the external id of that organisation.

        Args:
            organisation: The organisation; None for the vendor's own environments.

        Raises:
            ExternalIdUnavailableError: AWS did not respond, or refused the request.
            NoWorkerError: No worker is available.
        """
        request = ExternalIdRequest(organisation=self._organisation or organisation)
        return await get_external_id(self, self.task_queue, request)

    async def build_reconcile_tenant_request(
        self,
        environment_id: str,
        tenant: str | None = None,
        role_arn: str | None = None,
        *,
        repoint: bool = False,
        commands_only: bool = False,
        key_grace_seconds: int | None = None,
    ) -> ReconcileTenantRequest:
        """Build the request that gives an environment's keys a tenant name.

        Args:
            environment_id: The environment whose keys and Region the request uses.
            tenant: The tenant name. The default is the tenant name that the platform assigned to the environment.
            role_arn: The role that byok uses to put the tenant name on the keys. The default is the role that byok last
                used for these keys, or else the role in the environment's original request, if any.
            repoint: Whether to repoint an alias that points to the environment's other key.
            commands_only: Whether to return only the commands for the key administrator, even if byok has a role.
            key_grace_seconds: How long to retry access-denied errors while a policy change propagates; None means the
                default.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            EnvironmentNotReadyError: Only the keys of a ready environment can be given a tenant name (contract 12).
            NoCustomerKeysError: The environment's keys are platform-managed.
        """
        return build_tenant_request(
            await self.read_status(environment_id),
            tenant,
            role_arn,
            repoint=repoint,
            commands_only=commands_only,
            key_grace_seconds=key_grace_seconds,
        )

    async def reconcile_tenant(
        self, request: ReconcileTenantRequest, on_pending: Callable[[PendingStep], None] | None = None
    ) -> TenantOutcome:
        """Put the tenant name on both keys. If byok has no role to use, return the commands to run.

        Args:
            request: The tenant name and the keys. If an identical request is in progress, return its result.
            on_pending: Called with each pending step, repeatedly while the workflow runs.

        Raises:
            NoWorkerError: No worker is available.
            DifferentNamingInProgressError: A different request to put a tenant name on these keys is in progress.
            NamingStoppedError: The tenant name could not be put on a key.
        """
        await self.record_intent(AuditAction.SET_TENANT_NAME, request.model_dump())
        with translate_temporal_errors():
            handle = await start_tenant_workflow(self.client, self.task_queue, request, self.requester)
            self.note_run(handle.id, handle.result_run_id)
            try:
                return await self.wait_for_result(handle, "The tenant name was accepted", on_pending)
            except WorkflowFailureError as error:
                problems = tuple(decode_failure_problems(error.cause))
                if not problems:  # an operator cancelled or terminated the workflow in Temporal
                    run = await TenantRun.from_execution(await handle.describe())
                    problems = run.problems if run is not None else ()
                raise NamingStoppedError(str(error.cause), problems) from error

    async def replay(
        self, environment_id: str, *, s3_key_arn: str | None = None, rds_key_arn: str | None = None
    ) -> ReplayResult:
        """Resume a stopped environment from the failed activity.

        Completed activities are not repeated. If keys are replaced, or if the run cannot resume, the environment starts
        over and adopts its existing resources.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            NotReplayableError: The environment has not stopped, or a replay would not help; the message says why.
            KeyCannotChangeError: A key to be replaced already encrypts a resource.
            EncryptionCannotChangeError: Keys are given, but the environment's keys are platform-managed.
            InvalidRequestError: An ARN is invalid.
            QuotaExceededError: The environment's organisation has used up a quota.
        """
        status = await self.read_status(environment_id)
        given = {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        changes = {name: arn for name, arn in given.items() if arn is not None and arn != getattr(status, name)}
        if changes:
            require_same_encryption(status, Encryption.CUSTOMER_MANAGED)
        require_replayable(status, other_keys=bool(changes))
        with translate_temporal_errors():
            request = await read_provision_request(self.client, status)
            if request is None:
                raise NotReplayableError(
                    f"Cannot replay {environment_id}: byok cannot read its original input. Specify all values again "
                    "with `byok create`; existing resources are adopted."
                )
            if not changes and status.record is None and can_resume(status):
                handle = self.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
                point = await find_reset_point(handle.fetch_history_events())
                if point is not None:
                    await self.record_intent(AuditAction.REPLAY_ENVIRONMENT, request.model_dump())
                    await require_environment_quota(self.counter, status.organisation, environment_id)
                    replayed = await lifecycle.reset_workflow(self.client, status, point, self.requester)
                    self.note_run(replayed.workflow_id, replayed.run_id)
                    return replayed
        request = replace_keys(request, changes)
        require_keys_in_use_unchanged(status, request)
        await self.record_intent(AuditAction.REPLAY_ENVIRONMENT, request.model_dump())
        creation = await self.create(request)
        return ReplayResult(environment_id, creation.workflow_id, creation.run_id)

    async def cancel(self, environment_id: str) -> None:
        """Request cancellation of an environment's workflow; the status shows the outcome.

        Raises:
            EnvironmentNotFoundError: No environment has this id.
            NotRunningError: The workflow has ended.
        """
        status = await self.read_status(environment_id)
        await self.record_intent(AuditAction.CANCEL, status.model_dump())
        with translate_temporal_errors():
            await lifecycle.cancel_workflow(self.client, status, self.requester)
        self.note_run(status.workflow_id, status.run_id)

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
        """Build the request that deletes an environment, after the user has confirmed the deletion.

        Args:
            environment_id: The environment.
            final_snapshot: Whether to take a snapshot of the cluster first.
            region: The environment's Region, which is required if the environment has no record. byok compares all
                given values with the record, and the workflow compares them with what AWS reports.
            encryption: Whose keys the environment uses.
            s3_key_arn: The environment's S3 key.
            rds_key_arn: The environment's Aurora key.

        Raises:
            DeletionDiffersError: The Region or a key differs from the environment's record.
            EncryptionCannotChangeError: The environment uses a different kind of encryption.
            EnvironmentNotFoundError: The environment has no record, and the Region was not passed.
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
        await self.record_intent(AuditAction.DELETE_ENVIRONMENT, request.model_dump())
        self.note_run(contracts.environment_workflow_id(request.environment_id), None)
        with translate_temporal_errors():
            return await lifecycle.start_deletion(self.client, self.task_queue, request, self.requester)
