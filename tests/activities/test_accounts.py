"""An AWS account belongs to one organisation (contract 146).

A refusal reveals nothing about other organisations.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    AccountPage,
    AccountRequest,
    KeyClaimPage,
    KeyConflicts,
    ListAccountsRequest,
    ListClaimsRequest,
)
from localaws.state import CUSTOMER_ACCOUNT
from tests.activities.conftest import ActivityHarness, parse_stop_problem
from tests.remedy_text import text_of

REFUSAL = f"AWS account {CUSTOMER_ACCOUNT} is not registered for acme, so byok does not use the key."


def register(harness: ActivityHarness, organisation: str, account: str = CUSTOMER_ACCOUNT) -> None:
    harness.run_with_retries(
        harness.accounts.register_account, AccountRequest(organisation=organisation, account=account)
    )


def unregister(harness: ActivityHarness, organisation: str, account: str = CUSTOMER_ACCOUNT) -> bool:
    request = AccountRequest(organisation=organisation, account=account)
    return bool(harness.run_with_retries(harness.accounts.unregister_account, request))


def list_accounts(harness: ActivityHarness, **request: object) -> AccountPage:
    page = harness.run_with_retries(harness.accounts.list_accounts, ListAccountsRequest.model_validate(request))
    assert isinstance(page, AccountPage)
    return page


def look_up(harness: ActivityHarness, organisation: str | None = "acme") -> tuple[KeyConflicts, list[str]]:
    """Look up the accounts of the environment's keys, and return the problems found and the AWS calls made."""
    environment = harness.plan.environment.model_copy(update={"organisation": organisation})
    before = len(harness.aws.list_calls())
    found = harness.run_with_retries(harness.accounts.find_unregistered_accounts, environment)
    assert isinstance(found, KeyConflicts)
    return found, harness.aws.list_calls()[before:]


def test_keys_in_a_registered_account_have_no_problem(harness: ActivityHarness) -> None:
    register(harness, "acme")  # contract 146

    assert look_up(harness)[0].problems == ()


def test_unregistered_and_foreign_accounts_get_the_same_answer_by_the_same_calls(harness: ActivityHarness) -> None:
    register(harness, "initech", "999988887777")  # the probe bucket exists
    unregistered, calls_for_unregistered = look_up(harness)
    register(harness, "globex")
    theirs, calls_for_theirs = look_up(harness)

    assert [problem.key for problem in unregistered.problems] == [KeyPurpose.S3, KeyPurpose.RDS]  # contract 146
    for one, other in zip(unregistered.problems, theirs.problems, strict=True):
        assert one.model_copy(update={"at": other.at}) == other
        assert one.code == "byok.AccountNotRegistered"
        assert one.message == REFUSAL
        assert f"byok accounts allow acme {CUSTOMER_ACCOUNT}" in text_of(one.remediation)
        assert "globex" not in str(other)
    assert calls_for_unregistered == calls_for_theirs == ["GetObject"]


def test_account_is_registered_once_even_if_two_organisations_ask_at_once(harness: ActivityHarness) -> None:
    def attempt(organisation: str) -> str | None:
        try:
            register(harness, organisation)
        except ApplicationError as refusal:
            return parse_stop_problem(refusal).code
        return None

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, ("acme", "globex", "initech", "umbrella")))

    assert sorted(map(str, answers)) == ["None", *["byok.AccountOfAnotherOrganisation"] * 3]


def test_registering_again_changes_nothing(harness: ActivityHarness) -> None:
    register(harness, "acme")
    register(harness, "acme")

    with pytest.raises(ApplicationError) as caught:
        register(harness, "globex")

    assert f"AWS account {CUSTOMER_ACCOUNT} is registered for acme" in parse_stop_problem(caught.value).message
    assert [one.organisation for one in list_accounts(harness).accounts] == ["acme"]


def test_only_the_own_registration_can_be_removed(harness: ActivityHarness) -> None:
    register(harness, "acme")

    assert not unregister(harness, "globex")
    assert look_up(harness)[0].problems == ()
    assert unregister(harness, "acme")
    assert not unregister(harness, "acme")
    assert len(look_up(harness)[0].problems) == 2


def test_accounts_are_listed_in_pages_and_by_organisation(harness: ActivityHarness) -> None:
    assert list_accounts(harness).accounts == ()  # the bucket does not exist yet
    for number in range(5):
        register(harness, "acme" if number % 2 else "globex", f"{number}" * 12)

    first = list_accounts(harness, size=3)
    rest = list_accounts(harness, size=3, after=first.after)
    assert [one.account[0] for one in (*first.accounts, *rest.accounts)] == ["0", "1", "2", "3", "4"]
    assert rest.after is None
    assert [one.account[0] for one in list_accounts(harness, organisation="acme").accounts] == ["1", "3"]


def plan_for(harness: ActivityHarness, organisation: str, environment_id: str, **keys: str) -> None:
    harness.plan = harness.build_plan(organisation=organisation, environment_id=environment_id, **keys)


def list_claims(harness: ActivityHarness) -> KeyClaimPage:
    page = harness.run_with_retries(harness.claims.list_key_claims, ListClaimsRequest())
    assert isinstance(page, KeyClaimPage)
    return page


def create_cluster(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)


def test_key_is_not_claimed_after_its_account_was_unregistered(harness: ActivityHarness) -> None:
    """A replay can skip the workflow's account check, so the activity that claims a key checks the account again."""
    plan_for(harness, "acme", "acme-prod")
    register(harness, "globex")

    with pytest.raises(ApplicationError) as caught:
        create_cluster(harness)

    assert parse_stop_problem(caught.value).message == REFUSAL  # contract 146
    assert harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"] == []


def test_refusal_does_not_reveal_that_another_environment_uses_the_key(harness: ActivityHarness) -> None:
    register(harness, "globex")
    plan_for(harness, "globex", "globex-prod")
    create_cluster(harness)
    used = harness.plan.environment
    plan_for(harness, "acme", "acme-prod", s3_key_arn=used.s3_key_arn, rds_key_arn=used.rds_key_arn)

    with pytest.raises(ApplicationError) as caught:
        create_cluster(harness)

    assert parse_stop_problem(caught.value).message == REFUSAL  # contract 146


def test_environment_keeps_working_after_its_account_was_unregistered(harness: ActivityHarness) -> None:
    register(harness, "acme")
    plan_for(harness, "acme", "acme-prod")
    create_cluster(harness)
    unregister(harness, "acme")

    create_cluster(harness)  # the activity adopts the existing cluster, as in a replay


def test_organisation_owns_nothing_of_an_environment_of_the_vendor_with_the_same_id(harness: ActivityHarness) -> None:
    """A vendor's own environment can have an id that begins with an organisation's name (decision 0038)."""
    harness.plan = harness.build_plan(environment_id="acme-prod")
    harness.provision_environment()
    theirs = harness.plan.environment
    claims = list_claims(harness)
    register(harness, "acme")
    plan_for(harness, "acme", "acme-prod", s3_key_arn=theirs.s3_key_arn, rds_key_arn=theirs.rds_key_arn)
    asked = harness.plan.environment

    assert harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task()).clusters == ()
    harness.run_with_retries(harness.claims.release_unused_claims, asked)
    assert list_claims(harness) == claims
    with pytest.raises(ApplicationError) as caught:
        create_cluster(harness)
    assert parse_stop_problem(caught.value).message.endswith("of another environment.")  # contract 146
