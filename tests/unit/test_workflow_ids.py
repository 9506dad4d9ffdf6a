"""Two requests share a workflow run only if the requests have the same content."""

import pytest

from byok.contracts import list_accounts_workflow_id
from byok.domain.models import ListAccountsRequest


@pytest.mark.parametrize("organisation", ["all", "organisation", "first"])
def test_list_for_an_organisation_never_shares_a_run_with_the_list_of_all_accounts(organisation: str) -> None:
    for_all = list_accounts_workflow_id(ListAccountsRequest())
    assert list_accounts_workflow_id(ListAccountsRequest(organisation=organisation)) != for_all
