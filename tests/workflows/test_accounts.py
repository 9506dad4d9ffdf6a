"""A key in an account that is not registered for the organisation is refused before byok uses it (contract 146)."""

import uuid

import pytest

from byok import contracts
from byok.contracts import CHECK_KEYS_WORKFLOW
from byok.domain.models import CheckKeysRequest, KeyCheckResult, ReconcileTenantRequest
from byok.domain.phases import KeyVerdict, Phase
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.test_provision_environment import wait_for_failure

ACCOUNT = S3_KEY.split(":")[4]
OTHER_ACCOUNT_KEY = RDS_KEY.replace(ACCOUNT, "999988887777")
OWNERS = {"no organisation": {}, "another organisation": {ACCOUNT: "globex"}}
UNREGISTERED = pytest.mark.parametrize("accounts", OWNERS.values(), ids=OWNERS.keys())

USES_KEYS = {contracts.PROVISION_ENVIRONMENT_WORKFLOW, CHECK_KEYS_WORKFLOW, contracts.RECONCILE_TENANT_WORKFLOW}
"""The workflows that check the accounts of the keys before they use a key. The tests start each of these workflows."""

STARTED_AFTER_THE_LOOKUP = {contracts.PROVE_AURORA_KEY_WORKFLOW}
OF_EXISTING_ENVIRONMENTS = {contracts.CHECK_KEY_HEALTH_WORKFLOW, contracts.VERIFY_ENVIRONMENT_WORKFLOW}
"""The workflows that only use keys of existing environments, whose accounts byok checked during provisioning."""

REMOVES = {contracts.DELETE_ENVIRONMENT_WORKFLOW}
"""This workflow does not check accounts, so that an environment can be deleted once its account is unregistered."""

WITHOUT_KEYS = {
    contracts.REGISTER_ACCOUNT_WORKFLOW,
    contracts.UNREGISTER_ACCOUNT_WORKFLOW,
    contracts.LIST_ACCOUNTS_WORKFLOW,
    contracts.LIST_KEY_CLAIMS_WORKFLOW,
    contracts.GET_EXTERNAL_ID_WORKFLOW,
    contracts.ENVIRONMENT_RECORD_WORKFLOW,
    contracts.REBUILD_RECORDS_WORKFLOW,
    contracts.DELIVER_NOTIFICATION_WORKFLOW,
}


def test_every_workflow_type_is_in_one_table() -> None:
    types = {value for name, value in vars(contracts).items() if name.endswith("_WORKFLOW")}

    assert types == USES_KEYS | STARTED_AFTER_THE_LOOKUP | OF_EXISTING_ENVIRONMENTS | REMOVES | WITHOUT_KEYS


@pytest.fixture
def own_id() -> str:
    return f"acme-{uuid.uuid4().hex[:8]}"


async def check(harness: WorkflowHarness, **changes: object) -> KeyCheckResult:
    values = {"organisation": "acme", "region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    answer: KeyCheckResult = await harness.client.execute_workflow(
        CHECK_KEYS_WORKFLOW,
        CheckKeysRequest.model_validate({**values, "prove_aurora_key": True, **changes}),
        id=f"keys/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
        result_type=KeyCheckResult,
    )
    return answer


@UNREGISTERED
async def test_environment_stops_before_byok_uses_a_key(
    harness: WorkflowHarness, own_id: str, accounts: dict[str, str]
) -> None:
    harness.activities.accounts = dict(accounts)
    request = build_provision_request(own_id, organisation="acme")

    await wait_for_failure(await harness.start_provision(request))

    progress = await harness.read_progress(own_id)
    assert [problem.code for problem in progress.problems] == ["byok.AccountNotRegistered"] * 2  # contract 146
    assert harness.activities.calls == ["plan_environment", "find_exceeded_quota", "find_unregistered_accounts"]


@UNREGISTERED
async def test_key_check_refuses_both_keys_without_using_them(
    harness: WorkflowHarness, accounts: dict[str, str]
) -> None:
    harness.activities.accounts = dict(accounts)

    answer = await check(harness)

    assert [one.verdict for one in answer.keys.both] == [KeyVerdict.REFUSED] * 2  # contract 146
    assert harness.activities.calls == ["find_exceeded_quota", "plan_key_check", "find_unregistered_accounts"]


async def test_neither_key_is_used_if_one_is_in_an_unregistered_account(harness: WorkflowHarness) -> None:
    """The accounts of both keys are checked before byok uses either key.

    Without this check, byok would use another organisation's Aurora key, because byok tries the Aurora key even if the
    S3 key is refused.
    """
    harness.activities.accounts = {ACCOUNT: "acme"}

    answer = await check(harness, rds_key_arn=OTHER_ACCOUNT_KEY)

    assert [one.verdict for one in answer.keys.both] == [KeyVerdict.NOT_PROVED, KeyVerdict.REFUSED]
    assert "byok uses neither key" in str(answer.keys.s3.reason)
    assert harness.activities.calls == ["find_exceeded_quota", "plan_key_check", "find_unregistered_accounts"]


async def test_neither_key_is_used_if_the_registry_cannot_be_read(harness: WorkflowHarness, own_id: str) -> None:
    denied = build_aws_failure("s3", "AccessDenied", "not authorized to perform: s3:GetObject", Phase.VALIDATING_KEYS)
    harness.activities.script["find_unregistered_accounts"] = [denied] * 2

    answer = await check(harness)
    await wait_for_failure(await harness.start_provision(build_provision_request(own_id, organisation="acme")))

    assert [one.verdict for one in answer.keys.both] == [KeyVerdict.NOT_PROVED] * 2
    assert set(harness.activities.calls) - {
        "plan_key_check",
        "plan_environment",
        "find_exceeded_quota",
        "record_stop",
    } == {"find_unregistered_accounts"}


@UNREGISTERED
async def test_tenant_name_is_not_put_on_keys_of_an_unregistered_account(
    harness: WorkflowHarness, own_id: str, accounts: dict[str, str]
) -> None:
    harness.activities.accounts = dict(accounts)
    request = ReconcileTenantRequest(
        organisation="acme",
        environment_id=own_id,
        region=REGION,
        s3_key_arn=S3_KEY,
        rds_key_arn=RDS_KEY,
        tenant="acme",
    )

    await wait_for_failure(await harness.start_reconcile_tenant(request))

    assert harness.activities.calls == ["plan_tenant", "find_unregistered_accounts"]  # contract 146


async def test_registered_account_is_used(harness: WorkflowHarness, own_id: str) -> None:
    harness.activities.accounts = {ACCOUNT: "acme"}

    await (await harness.start_provision(build_provision_request(own_id, organisation="acme"))).result()

    assert (await harness.read_progress(own_id)).phase is Phase.READY
    assert harness.activities.calls.count("find_unregistered_accounts") == 1


async def test_the_vendors_own_environment_asks_for_no_registration(harness: WorkflowHarness, own_id: str) -> None:
    await (await harness.start_provision(build_provision_request(own_id))).result()

    assert "find_unregistered_accounts" not in harness.activities.calls
