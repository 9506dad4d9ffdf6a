"""Checks the keys and resources of all environments in a Region, every few minutes (contract 139-141)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.health import HealthActivities
    from byok.contracts import CHECK_KEY_HEALTH_WORKFLOW, SWEEP_MEMO
    from byok.domain.models import SweepOutcome, SweepPageRequest, SweepRequest
from workflows.activity_options import SWEEP_OPTIONS


@workflow.defn(name=CHECK_KEY_HEALTH_WORKFLOW)
class CheckKeyHealth:
    """Runs one sweep: checks all READY environments in a Region, page by page, and reports changes to their records.

    A Temporal schedule starts the workflow. To check a Region immediately, trigger the schedule. To stop the checks,
    pause the schedule.
    """

    @workflow.run
    async def run(self, request: SweepRequest) -> SweepOutcome:
        """Check all pages, and publish and return the outcome."""
        outcome, after = SweepOutcome(region=request.region, swept_at=workflow.now()), None
        while True:
            page = await workflow.execute_activity_method(
                HealthActivities.check_page,
                SweepPageRequest(
                    region=request.region,
                    interval_seconds=request.interval_seconds,
                    swept_at=outcome.swept_at,
                    after=after,
                ),
                **SWEEP_OPTIONS,
            )
            outcome, after = outcome.add(page), page.after
            if after is None or outcome.abandoned:
                workflow.upsert_memo({SWEEP_MEMO: outcome})
                return outcome
