"""Lists environments, from the workflows that made them and from their records."""

import asyncio
from dataclasses import dataclass
from typing import Final

from temporalio.client import Client, WorkflowExecution

from byok import contracts
from byok.domain.models import HealthState, HealthSummary
from byok.domain.phases import Phase
from byok.service.health import add_health_to_list
from byok.service.records import build_recorded_summary
from byok.service.status import EnvironmentSummary
from byok.service.tenant_names import apply_completed_namings
from byok.temporal_records import FoundRecord

_PAGE_SIZE: Final = 1000
"""How many workflows to request from Temporal at a time, which is the maximum that Temporal allows."""


@dataclass(frozen=True)
class EnvironmentFilter:
    """Which environments to list.

    Attributes:
        prefix: Only those whose id begins with this text.
        phase: Only those in this phase.
        health: Only those with this health.
    """

    prefix: str = ""
    phase: Phase | None = None
    health: HealthState | None = None

    def accepts(self, one: EnvironmentSummary) -> bool:
        """Return whether to list an environment with the right prefix."""
        return self.phase in (None, one.phase) and self.health in (None, one.health)


async def list_by_creation(
    client: Client, organisation: str | None, wanted: EnvironmentFilter
) -> list[EnvironmentSummary]:
    """Return all environments that match, most recently created first.

    Environments whose workflow Temporal has deleted come from their records. Temporal sorts its list of workflows by
    close time, and rejects any other order. byok therefore has to read all workflows even for one page. For 10,000
    environments, this takes about ten seconds.

    Args:
        client: The client.
        organisation: Only environments of this organisation; None for all.
        wanted: Which environments to list.

    Raises:
        RPCError: Temporal does not respond.
    """
    workflows = f"{contracts.ENVIRONMENT_WORKFLOWS_QUERY} AND WorkflowId STARTS_WITH "
    records = f"WorkflowType = '{contracts.ENVIRONMENT_RECORD_WORKFLOW}' AND WorkflowId STARTS_WITH "
    executions, recorded = await asyncio.gather(
        _list_latest_runs(client, organisation, f"{workflows}'{contracts.environment_workflow_id(wanted.prefix)}'"),
        _list_latest_runs(client, organisation, f"{records}'{contracts.record_workflow_id(wanted.prefix)}'"),
    )
    summaries = [await EnvironmentSummary.from_execution(one) for one in executions]
    found = {one.environment_id: one for one in await apply_completed_namings(client, summaries)}
    healths: dict[str, HealthSummary] = {}
    for execution in recorded:
        record = await FoundRecord.from_execution(client, execution)
        if record is None:
            continue
        name = record.summary.environment_id
        if record.summary.health is not None and record.is_open:
            healths[name] = record.summary.health
        live = found.get(name)
        if live is None or (live.problem_code in contracts.REFUSAL_CODES and record.is_open):
            found[name] = build_recorded_summary(record.summary)
    listed = await add_health_to_list(client, list(found.values()), healths)
    return sorted(filter(wanted.accepts, listed), key=lambda one: (one.created_at, one.environment_id), reverse=True)


async def _list_latest_runs(client: Client, organisation: str | None, query: str) -> list[WorkflowExecution]:
    """Return the latest run of each workflow that matches a query and belongs to an organisation."""
    if organisation is not None:
        query += f" AND {contracts.ORGANISATION_ATTRIBUTE.name} = '{organisation}'"
    latest: dict[str, WorkflowExecution] = {}
    async for one in client.list_workflows(query, page_size=_PAGE_SIZE):
        if one.id not in latest or one.start_time > latest[one.id].start_time:
            latest[one.id] = one
    return list(latest.values())
