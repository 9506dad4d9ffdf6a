"""Counts an organisation's environments and key checks in Temporal's list of workflows (visibility).

Visibility is eventually consistent: a workflow appears in visibility shortly after the workflow starts. Requests that
arrive at the same time can therefore exceed a quota by the number of requests that visibility does not show yet.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.client import Client

from byok.contracts import (
    CHECK_KEYS_WORKFLOW,
    CHECKED_KEYS_ATTRIBUTE,
    ENVIRONMENT_RECORD_WORKFLOW,
    ENVIRONMENT_WORKFLOWS_QUERY,
    ORGANISATION_ATTRIBUTE,
    PROVISION_ENVIRONMENT_WORKFLOW,
    environment_workflow_id,
    record_workflow_id,
)
from byok.domain.quotas import (
    IN_FLIGHT_RETRY_AFTER,
    KEY_CHECK_WINDOW,
    ExceededQuota,
    Quota,
    Quotas,
)


def digest_key_arn(key_arn: str) -> str:
    """Return the value of the search attribute that identifies the checks of a key.

    The search attribute does not contain the ARN itself, because a payload codec does not encrypt search attributes.
    """
    return hashlib.sha256(key_arn.strip().encode()).hexdigest()[:32]


@dataclass(frozen=True)
class QuotaCounter:
    """Checks whether one more environment or key check would exceed a quota of the organisation.

    Attributes:
        client: A client for the namespace in which byok's workflows run.
        quotas: The limits of all organisations.
    """

    client: Client
    quotas: Quotas

    async def find_exceeded_by_environment(
        self, organisation: str, environment_id: str, before: datetime | None = None
    ) -> ExceededQuota | None:
        """Return the quota that provisioning an environment would exceed; None if provisioning may begin.

        An environment that already exists is not counted twice.

        Args:
            organisation: The organisation that owns the environment.
            environment_id: The environment.
            before: Count only workflows that started before this time.
        """
        limits = self.quotas.limits_for(organisation)
        theirs = f"{ORGANISATION_ATTRIBUTE.name} = '{organisation}'{_started_before(before)}"
        found = await self._list_environments(organisation, before, limits.environments)
        if environment_id not in found and len(found) >= limits.environments:
            return ExceededQuota(
                quota=Quota.ENVIRONMENTS, organisation=organisation, limit=limits.environments, used=len(found)
            )
        others = f"WorkflowId != '{environment_workflow_id(environment_id)}'"
        # A paused workflow is still in flight, but a query for `ExecutionStatus = 'Running'` does not return it.
        running = await self._count(f"{ENVIRONMENT_WORKFLOWS_QUERY} AND {theirs} AND {others} AND CloseTime IS NULL")
        if running < limits.in_flight:
            return None
        return ExceededQuota(
            quota=Quota.IN_FLIGHT,
            organisation=organisation,
            limit=limits.in_flight,
            used=running,
            retry_after=IN_FLIGHT_RETRY_AFTER,
        )

    async def find_exceeded_by_key_check(
        self, organisation: str, key_arns: Sequence[str], before: datetime | None = None
    ) -> ExceededQuota | None:
        """Return the quota that a check of these keys would exceed; None if the check may begin.

        All checks count, including those that reuse the proof of an Aurora key, except checks that were refused because
        of a quota.

        Args:
            organisation: The organisation that checks the keys.
            key_arns: The ARNs of the keys.
            before: Count only checks that started before this time.
        """
        limit = self.quotas.limits_for(organisation).key_checks_per_hour
        now = datetime.now(UTC)
        theirs = (
            f"WorkflowType = '{CHECK_KEYS_WORKFLOW}' AND {ORGANISATION_ATTRIBUTE.name} = '{organisation}' "
            f"AND StartTime > '{(now - KEY_CHECK_WINDOW).isoformat()}' AND ExecutionStatus != 'Failed'"
            f"{_started_before(before)}"
        )
        for key_arn in dict.fromkeys(key_arns):
            query = f"{theirs} AND {CHECKED_KEYS_ATTRIBUTE.name} = '{digest_key_arn(key_arn)}'"
            if await self._count(query) < limit:
                continue
            began = sorted([one.start_time async for one in self.client.list_workflows(query)])
            if len(began) < limit:  # between the two calls, a check became older than the window
                continue
            # `began[len(began) - limit]` is the check that must leave the window before another check is allowed.
            leaves = (began[len(began) - limit] if limit else now) + KEY_CHECK_WINDOW
            return ExceededQuota(
                quota=Quota.KEY_CHECKS,
                organisation=organisation,
                limit=limit,
                used=len(began),
                key_arn=key_arn,
                retry_after=leaves - now,
            )
        return None

    async def _list_environments(self, organisation: str, before: datetime | None, limit: int) -> set[str]:
        """Return the ids of the organisation's environments.

        If the organisation cannot have reached the limit, return an empty set.

        An environment exists from its first request until its record is closed. Until the record of an environment
        exists, byok counts the environment's provisioning workflow instead.
        """
        theirs = f"{ORGANISATION_ATTRIBUTE.name} = '{organisation}' AND CloseTime IS NULL"
        queries = {
            record_workflow_id(""): f"WorkflowType = '{ENVIRONMENT_RECORD_WORKFLOW}' AND {theirs}",
            environment_workflow_id(""): (
                f"WorkflowType = '{PROVISION_ENVIRONMENT_WORKFLOW}' AND {theirs}{_started_before(before)}"
            ),
        }
        if sum([await self._count(query) for query in queries.values()]) < limit:
            return set()
        return {
            run.id.removeprefix(prefix)
            for prefix, query in queries.items()
            async for run in self.client.list_workflows(query)
        }

    async def _count(self, query: str) -> int:
        return (await self.client.count_workflows(query)).count


def _started_before(time: datetime | None) -> str:
    return "" if time is None else f" AND StartTime < '{time.isoformat()}'"
