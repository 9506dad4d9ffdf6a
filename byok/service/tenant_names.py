"""Starts the tenant workflow, which puts a tenant name on keys, and finds the results of its runs."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowHandle
from temporalio.exceptions import WorkflowAlreadyStartedError

from byok.contracts import RECONCILE_TENANT_WORKFLOW, tenant_workflow_id
from byok.domain.models import ReconcileTenantRequest, Requester, TenantOutcome
from byok.domain.phases import Phase
from byok.service.encryption import require_customer_keys
from byok.service.errors import DifferentNamingInProgressError, EnvironmentNotReadyError
from byok.service.histories import diff_requests, read_workflow_request
from byok.service.status import EnvironmentStatus, EnvironmentSummary
from byok.service.tenant_runs import TenantRun
from byok.service.workflow_starts import build_priority, build_requester_memo
from byok.temporal_reads import describe_or_none

_ASKED_FOR_AT_ONCE: Final = 50
"""The maximum number of workflow ids in a visibility query."""


def build_tenant_request(
    status: EnvironmentStatus,
    tenant: str | None,
    role_arn: str | None,
    *,
    repoint: bool,
    commands_only: bool,
    key_grace_seconds: int | None,
) -> ReconcileTenantRequest:
    """Build the request that gives the keys of an environment a tenant name.

    The parameters are those of `EnvironmentService.build_reconcile_tenant_request`.

    Raises:
        EnvironmentNotReadyError: Only the keys of a ready environment can be given a tenant name (contract 12).
        NoCustomerKeysError: The environment's keys are platform-managed.
    """
    require_customer_keys(status)
    if status.evidence is None or not (status.region and status.s3_key_arn and status.rds_key_arn):
        raise EnvironmentNotReadyError(
            f"Environment {status.environment_id} is {status.phase}. Its keys can be given the tenant name once the "
            f"environment is {Phase.READY}; to follow its progress, run `byok status {status.environment_id}`."
        )
    return ReconcileTenantRequest(
        organisation=status.organisation,
        environment_id=status.environment_id,
        region=status.region,
        s3_key_arn=status.s3_key_arn,
        rds_key_arn=status.rds_key_arn,
        tenant=tenant or status.tenant_name,
        tenant_role_arn=role_arn or status.tenant_role_arn,
        repoint=repoint,
        commands_only=commands_only,
        profile=status.profile,
        stack_name=status.stack_name,
        **({} if key_grace_seconds is None else {"key_grace_seconds": key_grace_seconds}),
    )


async def start_tenant_workflow(
    client: Client, task_queue: str, request: ReconcileTenantRequest, requester: Requester | None
) -> WorkflowHandle[Any, TenantOutcome]:
    """Start the tenant workflow, or return the running workflow if it has the same request.

    Raises:
        DifferentNamingInProgressError: A different request to put a tenant name on these keys is in progress.
    """
    workflow_id = tenant_workflow_id(request.environment_id)
    try:
        return await client.start_workflow(
            RECONCILE_TENANT_WORKFLOW,
            request,
            id=workflow_id,
            task_queue=task_queue,
            result_type=TenantOutcome,
            memo=build_requester_memo(requester) or None,
            priority=build_priority(request.organisation),
            static_summary=f"{request.tenant} on the keys of {request.environment_id}",
        )
    except WorkflowAlreadyStartedError as error:
        handle = client.get_workflow_handle(workflow_id, run_id=error.run_id, result_type=TenantOutcome)
        differing = diff_requests(await read_workflow_request(client, handle, ReconcileTenantRequest), request)
        if differing:
            raise DifferentNamingInProgressError(
                f"Another request is setting the tenant name on the keys of {request.environment_id}, with "
                f"different values: {', '.join(differing.values())}. If your values are correct, try again in a moment."
            ) from error
        return handle


async def list_tenant_runs(client: Client, environment_id: str) -> list[TenantRun]:
    """Return an environment's latest tenant run and, if that run did not complete, the latest completed run."""
    workflow_id = tenant_workflow_id(environment_id)
    described = await describe_or_none(client.get_workflow_handle(workflow_id))
    if described is None:
        return []
    found = [await TenantRun.from_execution(described)]
    if described.status is not WorkflowExecutionStatus.COMPLETED:
        found += [await TenantRun.from_execution(run) async for run in _list_completed(client, [workflow_id], limit=1)]
    return [run for run in found if run is not None]


async def apply_completed_namings(client: Client, found: Sequence[EnvironmentSummary]) -> list[EnvironmentSummary]:
    """Set stopped environments to READY if only the tenant name was missing and the keys now have the name.

    One query covers up to fifty environments. A query is needed only if the list contains environments that stopped at
    the tenant name, which is rare.
    """
    named: dict[str, datetime] = {}
    awaiting = [tenant_workflow_id(item.environment_id) for item in found if item.awaits_name]
    for some in _split(awaiting):
        async for run in _list_completed(client, some):
            if run.close_time is not None:
                named[run.id] = max(run.close_time, named.get(run.id, run.close_time))
    return [item.as_ready_if_named_at(named.get(tenant_workflow_id(item.environment_id))) for item in found]


def _split(workflow_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split workflow ids into batches that fit one visibility query."""
    for first in range(0, len(workflow_ids), _ASKED_FOR_AT_ONCE):
        yield workflow_ids[first : first + _ASKED_FOR_AT_ONCE]


def _list_completed(
    client: Client, workflow_ids: Sequence[str], limit: int | None = None
) -> AsyncIterator[WorkflowExecution]:
    """List completed runs, most recent first."""
    ids = ", ".join(f"'{workflow_id}'" for workflow_id in workflow_ids)
    return client.list_workflows(f"WorkflowId IN ({ids}) AND ExecutionStatus = 'Completed'", limit=limit)
