"""An organisation with small quotas, on a real Temporal server with scripted activities."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest_asyncio

from byok.contracts import environment_workflow_id
from byok.domain.models import CheckKeysRequest, ProvisionRequest
from byok.domain.phases import Phase
from byok.domain.quotas import ExceededQuota, Quota, Quotas
from byok.service.environments import EnvironmentService
from byok.temporal_quotas import QuotaCounter
from tests.wizard.conftest import visit
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

KEYS = {"s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
FIELD = {Quota.ENVIRONMENTS: "environments", Quota.IN_FLIGHT: "in_flight", Quota.KEY_CHECKS: "key_checks_per_hour"}
"""The name of each quota's setting."""


@dataclass
class Tenant:
    """An organisation that no other test uses.

    Attributes:
        service: An `EnvironmentService` with the organisation's quotas; the worker has the same quotas.
    """

    name: str
    harness: WorkflowHarness
    service: EnvironmentService

    def limit(self, **limits: int) -> None:
        """Set the quotas of the organisation, for `EnvironmentService` and the worker."""
        quotas = Quotas.model_validate({"organisations": {self.name: limits}})
        self.harness.activities.quotas = quotas
        self.service = EnvironmentService(self.harness.client, self.harness.task_queue, quotas)

    @property
    def counter(self) -> QuotaCounter:
        """The counter with the organisation's quotas."""
        return QuotaCounter(self.harness.client, self.harness.activities.quotas)

    def build_request(self, name: str, **changes: Any) -> ProvisionRequest:
        """Build a request for one of the organisation's environments."""
        return build_provision_request(f"{self.name}-{name}", organisation=self.name, key_grace_seconds=0, **changes)

    def build_check(self) -> CheckKeysRequest:
        """Build a request for a check of the two valid keys."""
        values = {"organisation": self.name, "region": REGION, "key_grace_seconds": 0}
        return CheckKeysRequest.model_validate({**values, **KEYS})

    async def create(self, name: str, phase: Phase = Phase.READY) -> str:
        """Create an environment, and wait until visibility shows that its workflow ended in the given phase."""
        request = self.build_request(name)
        await self.service.create(request)
        status = await wait_until_ended(self.service, request.environment_id)
        assert status.phase is phase, status.problems
        await self.wait_until_visibly_ended(environment_workflow_id(request.environment_id))
        return request.environment_id

    async def leave_running(self, name: str) -> None:
        """Request an environment on a task queue that no worker polls, so that its workflow keeps running."""
        unpolled = EnvironmentService(self.harness.client, f"unpolled-{self.harness.task_queue}")
        await unpolled.create(self.build_request(name))

    async def find_exceeded(self, quota: Quota) -> ExceededQuota | None:
        """Return the quota that the next environment or key check would exceed, or None."""
        if quota is Quota.KEY_CHECKS:
            return await self.counter.find_exceeded_by_key_check(self.name, self.build_check().key_pair.arns)
        return await self.counter.find_exceeded_by_environment(self.name, f"{self.name}-next")

    async def use_up(self, quota: Quota) -> ExceededQuota:
        """Set a quota to 1, use up the quota, and wait until visibility shows that the quota is used up."""
        self.limit(**{FIELD[quota]: 1})
        if quota is Quota.ENVIRONMENTS:
            await self.create("first")
        elif quota is Quota.IN_FLIGHT:
            await self.leave_running("first")
        else:
            await self.service.check_keys(self.build_check())
            await self.wait_until_none_is_open()
        return await self.wait_until_exceeded(quota)

    async def wait_until_exceeded(self, quota: Quota) -> ExceededQuota:
        """Wait until visibility shows that a quota is used up."""
        async with asyncio.timeout(20):
            while (found := await self.find_exceeded(quota)) is None:  # noqa: ASYNC110 - the server changes it
                await asyncio.sleep(0.02)
        assert found.quota is quota
        return found

    async def wait_until_none_is_open(self) -> None:
        """Wait until visibility shows that all of the organisation's workflows have ended."""
        query = f"Organisation = '{self.name}' AND CloseTime IS NULL"
        async with asyncio.timeout(20):
            while (await self.harness.client.count_workflows(query)).count:  # noqa: ASYNC110 - the server changes it
                await asyncio.sleep(0.02)

    async def wait_until_visibly_ended(self, workflow_id: str) -> None:
        """Wait until visibility shows that a workflow's latest run has ended.

        Visibility is updated later than the workflow's history. Until then, visibility counts the workflow as running.
        """
        latest = await self.harness.client.get_workflow_handle(workflow_id).describe()
        query = f"WorkflowId = '{workflow_id}' AND RunId = '{latest.run_id}' AND CloseTime IS NOT NULL"
        async with asyncio.timeout(20):
            while not (await self.harness.client.count_workflows(query)).count:  # noqa: ASYNC110 - the server changes it
                await asyncio.sleep(0.02)

    async def wait_until_free(self, quota: Quota) -> None:
        """Wait until visibility shows that a quota is no longer used up."""
        async with asyncio.timeout(20):
            while await self.find_exceeded(quota) is not None:  # noqa: ASYNC110 - the server changes it
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def tenant(harness: WorkflowHarness) -> AsyncIterator[Tenant]:
    """An organisation with the default quotas. The fixture terminates the organisation's workflows after the test."""
    name = f"o{uuid.uuid4().hex[:12]}"
    harness.activities.accounts[S3_KEY.split(":")[4]] = name
    yield Tenant(name, harness, EnvironmentService(harness.client, harness.task_queue))
    async for run in harness.client.list_workflows(f"Organisation = '{name}' AND CloseTime IS NULL"):
        with contextlib.suppress(Exception):
            await harness.client.get_workflow_handle(run.id, run_id=run.run_id).terminate()


__all__ = ["visit"]
