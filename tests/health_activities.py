"""Fake health checks: activities that report a scripted health state to the real record of an environment."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    HealthReport,
    HealthState,
    KeyHealth,
    KeyUse,
    Problem,
    VerificationRequest,
    VerificationResult,
)
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.rds_statuses import AVAILABLE, KEY_LOST_RECOVERABLE
from byok.temporal_records import find_record, send_report
from tests.workflows.fake_activities import PLATFORM, RDS_KEY, REGION, S3_KEY, FakeActivities
from tests.workflows.temporal_env import WorkflowHarness, run_harness


def build_health_problem(remedy: Remedy = Remedy.READY_CLUSTER_LOST_KEY) -> Problem:
    """Build a problem that a check of an environment reports about the Aurora key."""
    context = RemedyContext(
        REGION, PLATFORM.role_arn, PLATFORM.vendor, KeyPurpose.RDS, RDS_KEY, request_kind=RequestKind.HEALTH
    )
    message = f"byok-acme-prod is {KEY_LOST_RECOVERABLE}: the cluster can no longer use its key."
    code = f"rds.{KEY_LOST_RECOVERABLE}"
    return build_problem(code, message, remedy, context, phase=Phase.READY, at=datetime.now(UTC))


def build_unreachable_problem() -> Problem:
    """Build the problem that a check reports if it cannot reach AWS."""
    context = RemedyContext(REGION, PLATFORM.role_arn, PLATFORM.vendor, request_kind=RequestKind.HEALTH)
    message = "Could not connect to the endpoint URL of RDS."
    code = "aws.EndpointConnectionError"
    return build_problem(code, message, Remedy.PLATFORM_OPERATOR, context, phase=Phase.READY, at=datetime.now(UTC))


@dataclass
class FakeHealthActivities(FakeActivities):
    """Fake activities, including a health check whose result a test sets.

    Attributes:
        state: The health state that the next checks return.
        unreachable: The problem that the next checks report because AWS cannot be reached; None if it can be reached.
        started: The event that is set when a check begins.
        released: The event for which a running check waits before it ends.
        reports: Whether the checks send reports to the record. Without reports, the record shows earlier results.
    """

    state: HealthState = HealthState.HEALTHY
    unreachable: Problem | None = None
    reports: bool = True
    started: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn
    async def verify_environment(  # type: ignore[override]  # this fake waits, and sends a report
        self, given: VerificationRequest
    ) -> VerificationResult:
        """Report the scripted state, as it was when the check began."""
        self._attempt(given)
        state = self.state
        self.started.set()
        await self.released.wait()
        if self.unreachable is not None:
            return VerificationResult(unreachable=self.unreachable)
        record = await find_record(activity.client(), given.environment_id)
        assert record is not None
        lost = state is HealthState.KEY_LOST
        report = HealthReport(
            environment_id=given.environment_id,
            organisation=record.summary.organisation,
            checked_at=activity.info().current_attempt_scheduled_time,
            state=state,
            cluster_status=KEY_LOST_RECOVERABLE if lost else AVAILABLE,
            keys=(
                KeyHealth(key=KeyPurpose.S3, key_arn=S3_KEY, use=KeyUse.PROVED),
                KeyHealth(key=KeyPurpose.RDS, key_arn=RDS_KEY, use=KeyUse.REFUSED if lost else KeyUse.IN_USE),
            ),
            problems=(build_health_problem(),) if lost else (),
        )
        if self.reports:
            await send_report(activity.client(), activity.info().task_queue, report)
        return VerificationResult(report=report)


@asynccontextmanager
async def run_health_harness(
    temporal: WorkflowEnvironment,
) -> AsyncIterator[tuple[WorkflowHarness, FakeHealthActivities]]:
    """Run a worker with fake health checks on a separate task queue. The checks end without waiting."""
    activities = FakeHealthActivities()
    activities.released.set()
    async with run_harness(temporal, activities, f"queue-{uuid.uuid4().hex}") as harness:
        yield harness, activities


async def wait_until_recorded_ready(harness: WorkflowHarness, environment_id: str) -> None:
    """Wait until the summary in an environment's record says READY.

    This happens shortly after the environment's workflow ends.
    """
    async with asyncio.timeout(30):
        while True:
            record = await find_record(harness.client, environment_id)
            if record is not None and record.summary.phase is Phase.READY:
                return
