"""Returns the external id that a customer puts into the trust policy of the tenant role."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.external_ids import ExternalIdActivities
    from byok.contracts import GET_EXTERNAL_ID_WORKFLOW
    from byok.domain.models import ExternalIdRequest
from workflows.activity_options import READ_OPTIONS


@workflow.defn(name=GET_EXTERNAL_ID_WORKFLOW)
class GetExternalId:
    """Returns the external id of an organisation.

    The first run generates the external id, and later runs return the same id.
    """

    @workflow.run
    async def run(self, request: ExternalIdRequest) -> str:
        """Return the external id."""
        return await workflow.execute_activity_method(ExternalIdActivities.get_external_id, request, **READ_OPTIONS)
