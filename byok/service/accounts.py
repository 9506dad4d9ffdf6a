"""Registers AWS accounts for organisations, and lists the registered accounts (contract 146)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from byok import contracts
from byok.domain.models import AccountPage, AccountRequest, ListAccountsRequest, RequestModel
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import (
    AccountBusyError,
    AccountConflictError,
    AccountProofUsedError,
    AccountsUnavailableError,
    ServiceError,
)
from byok.service.short_workflows import explain_failure, run_short_workflow
from byok.service.temporal_errors import translate_temporal_errors

_Result = TypeVar("_Result")


async def register_account(reader: EnvironmentReader, task_queue: str, request: AccountRequest) -> None:
    """Register an account. See `EnvironmentService.register_account`."""
    workflow_id = contracts.account_workflow_id(request.account)
    await _run(reader, task_queue, contracts.REGISTER_ACCOUNT_WORKFLOW, request, workflow_id, type(None))


async def register_proved_account(
    reader: EnvironmentReader, task_queue: str, request: AccountRequest, nonce: str
) -> None:
    """Register an account for an organisation that has proved its access to the account.

    See `EnvironmentService.register_proved_account`.

    Temporal starts at most one workflow per nonce, even if several processes request it, because Temporal retains a
    closed workflow for far longer than a nonce is valid. Other requests can change the registration of the account at
    the same time. If two writes conflict, S3 accepts only the first write.
    """
    used = AccountProofUsedError(
        "This nonce has already been used. List the accounts to see whether the account is registered; if it is not, "
        "request a new challenge."
    )
    workflow_id = contracts.account_proof_workflow_id(nonce)
    try:
        await _run(
            reader,
            task_queue,
            contracts.REGISTER_ACCOUNT_WORKFLOW,
            request,
            workflow_id,
            type(None),
            already_started=used,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
        )
    except AccountConflictError as error:
        # The requester has credentials for the account. byok can therefore reveal that the account is registered, but
        # not for which organisation.
        raise AccountConflictError(
            f"AWS account {request.account} is registered for another organisation, so byok did not register it for "
            f"{request.organisation}. If your organisation owns the account, ask the vendor to change the registration."
        ) from error


async def unregister_account(reader: EnvironmentReader, task_queue: str, request: AccountRequest) -> bool:
    """Unregister an account. See `EnvironmentService.unregister_account`."""
    workflow_id = contracts.account_workflow_id(request.account)
    return await _run(reader, task_queue, contracts.UNREGISTER_ACCOUNT_WORKFLOW, request, workflow_id, bool)


async def list_accounts(reader: EnvironmentReader, task_queue: str, request: ListAccountsRequest) -> AccountPage:
    """Return a page of registered accounts. See `EnvironmentService.list_accounts`."""
    workflow_id = contracts.list_accounts_workflow_id(request)
    return await _run(reader, task_queue, contracts.LIST_ACCOUNTS_WORKFLOW, request, workflow_id, AccountPage)


@contextmanager
def _translate_already_started(error: ServiceError) -> Iterator[None]:
    try:
        yield
    except WorkflowAlreadyStartedError as cause:
        raise error from cause


async def _run(
    reader: EnvironmentReader,
    task_queue: str,
    workflow_type: str,
    request: RequestModel,
    workflow_id: str,
    result_type: type[_Result],
    *,
    already_started: ServiceError | None = None,
    id_reuse_policy: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE,
) -> _Result:
    """Run a short workflow.

    Raises:
        AccountBusyError: Another request is changing the registration of the account. If the caller passes
            `already_started`, that error is raised instead.
    """
    busy = AccountBusyError("Another request is changing the registration of this account: try again.")
    reads = workflow_type == contracts.LIST_ACCOUNTS_WORKFLOW
    with translate_temporal_errors(), _translate_already_started(already_started or busy):
        try:
            return await run_short_workflow(
                reader,
                task_queue,
                workflow_type,
                request,
                workflow_id,
                result_type,
                "The request was accepted",
                id_reuse_policy=id_reuse_policy,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING if reads else WorkflowIDConflictPolicy.FAIL,
            )
        except WorkflowFailureError as error:
            reason = explain_failure(error)
            if getattr(reason, "type", None) == contracts.ACCOUNT_OF_ANOTHER_ORGANISATION_CODE:
                raise AccountConflictError(getattr(reason, "message", str(reason))) from error
            raise AccountsUnavailableError(f"The registered accounts cannot be read or changed: {reason}") from error
