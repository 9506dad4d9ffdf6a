"""Makes the records of environments again from what AWS shows, after a loss of Temporal's database (contract 136)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.record_rebuilding import RebuildActivities
    from byok.contracts import REBUILD_RECORDS_WORKFLOW, REBUILD_RECORDS_WORKFLOW_ID
    from byok.domain.models import RebuildRequest, RebuildResult
from workflows.activity_options import READ_OPTIONS, with_summary
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=REBUILD_RECORDS_WORKFLOW)
class RebuildRecords:
    """Begins a record for each environment that has resources in AWS but no record. It changes nothing in AWS.

    The workflow continues as new after each page of environments, so it can handle any number of them. A record that
    already exists stays as it is.
    """

    @workflow.run
    async def run(self, request: RebuildRequest) -> RebuildResult:
        """Rebuild the records, and return the outcome for each environment that had none."""
        require_workflow_id(REBUILD_RECORDS_WORKFLOW_ID, "the id of the workflow that rebuilds records")
        page = await workflow.execute_activity_method(
            RebuildActivities.list_unrecorded_environments, request, **READ_OPTIONS
        )
        rebuilt = [
            await workflow.execute_activity_method(
                RebuildActivities.rebuild_record, found, **with_summary(READ_OPTIONS, found.environment_id)
            )
            for found in page.environments
        ]
        result = RebuildResult(rebuilt=(*request.rebuilt, *rebuilt), skipped=request.skipped + page.skipped)
        if page.after is not None:
            workflow.continue_as_new(RebuildRequest(after=page.after, rebuilt=result.rebuilt, skipped=result.skipped))
        return result
