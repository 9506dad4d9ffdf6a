"""Lists the claims on keys, and checks in AWS whether the claimed keys are in use."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.claims import ClaimActivities
    from byok.contracts import LIST_KEY_CLAIMS_WORKFLOW
    from byok.domain.models import KeyClaimPage, ListClaimsRequest
from workflows.activity_options import READ_OPTIONS


@workflow.defn(name=LIST_KEY_CLAIMS_WORKFLOW)
class ListKeyClaims:
    """Lists one page of claims. It changes nothing."""

    @workflow.run
    async def run(self, request: ListClaimsRequest) -> KeyClaimPage:
        """Return the page."""
        return await workflow.execute_activity_method(ClaimActivities.list_key_claims, request, **READ_OPTIONS)
