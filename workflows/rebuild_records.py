"""Rebuilds the records of environments from their resources in AWS (contract 136).

Run this workflow after Temporal's database has been lost.
"""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.record_rebuilding import RebuildActivities
    from byok.contracts import REBUILD_RECORDS_WORKFLOW, REBUILD_RECORDS_WORKFLOW_ID
    from byok.domain.models import RebuildRequest, RebuildResult, RebuiltRecord, UnrecordedEnvironment
from workflows.activity_options import READ_OPTIONS, with_summary, without_hold
from workflows.failures import is_cancellation
from workflows.workflow_id import require_workflow_id

_OPTIONS = without_hold(READ_OPTIONS)
"""A person is waiting for the result, so the activities must not be on hold for hours."""


@workflow.defn(name=REBUILD_RECORDS_WORKFLOW)
class RebuildRecords:
    """Begins a record for each environment that has resources in AWS but no record.

    The workflow changes nothing in AWS.

    The workflow continues as new after each page of environments, so it can handle any number of them. Existing records
    stay unchanged.
    """

    @workflow.run
    async def run(self, request: RebuildRequest) -> RebuildResult:
        """Rebuild the records, and return the outcome for each environment that had no record."""
        require_workflow_id(REBUILD_RECORDS_WORKFLOW_ID, "the id of the workflow that rebuilds records")
        page = await workflow.execute_activity_method(
            RebuildActivities.list_unrecorded_environments, request, **_OPTIONS
        )
        rebuilt = [await self._rebuild(found) for found in page.environments]
        result = request.so_far.add(rebuilt, page.skipped)
        if page.after is not None:
            workflow.continue_as_new(RebuildRequest(after=page.after, so_far=result))
        return result

    async def _rebuild(self, found: UnrecordedEnvironment) -> RebuiltRecord:
        """Rebuild one record.

        An error becomes part of the result, so that byok can still rebuild the other records.
        """
        options = with_summary(_OPTIONS, found.environment_id)
        try:
            return await workflow.execute_activity_method(RebuildActivities.rebuild_record, found, **options)
        except ActivityError as error:
            if is_cancellation(error):
                raise
            return RebuiltRecord(
                environment_id=found.environment_id, region=found.region, problem=str(error.cause or error)
            )
