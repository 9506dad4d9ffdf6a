"""The external ids for the tenant roles: random, one per organisation, and generated only once (contract D11)."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

from activities.external_ids import ExternalIdActivities
from activities.tenant import TenantActivities
from byok.domain.arns import KeyPurpose
from byok.domain.models import ExternalIdRequest, TenantCommandsTask, TenantOutcome
from byok.domain.tenant import EXTERNAL_ID_PATTERN
from tests.activities.conftest import PLATFORM, ActivityHarness


def read_external_id(harness: ActivityHarness, organisation: str | None) -> str:
    activities = ExternalIdActivities(harness.clients, PLATFORM)
    found: str = harness.run_with_retries(activities.get_external_id, ExternalIdRequest(organisation=organisation))
    return found


def test_each_organisation_and_the_vendor_keep_their_own_external_id(harness: ActivityHarness) -> None:
    owners = ("acme", "globex", "vendor", None)

    first = [read_external_id(harness, owner) for owner in owners]

    assert len(set(first)) == len(owners)
    assert all(re.fullmatch(EXTERNAL_ID_PATTERN, one) and len(one) == 32 for one in first)
    assert [read_external_id(harness, owner) for owner in owners] == first


def test_external_id_is_not_derived_from_anything(harness: ActivityHarness) -> None:
    first = read_external_id(harness, "acme")
    harness.aws.operator_client("s3").delete_object(
        Bucket=PLATFORM.claims_bucket, Key="external-ids/organisations/acme"
    )
    assert read_external_id(harness, "acme") != first


def test_workers_that_make_it_at_the_same_time_agree_on_one(harness: ActivityHarness) -> None:
    read_external_id(harness, "globex")  # creates the bucket
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: read_external_id(harness, "acme"), range(16)))) == 1


def test_lost_answers_and_throttling_do_not_make_another_one(harness: ActivityHarness) -> None:
    read_external_id(harness, None)
    harness.inject_every_fault_kind("s3:PutObject")

    made = read_external_id(harness, "acme")

    stored = harness.clients.s3(PLATFORM.home_region).get_object(
        Bucket=PLATFORM.claims_bucket, Key="external-ids/organisations/acme"
    )
    assert json.loads(stored["Body"].read()) == {"external_id": made}


def test_commands_for_the_customer_contain_the_external_id_of_the_environments_organisation(
    harness: ActivityHarness,
) -> None:
    environment = harness.plan.environment.model_copy(update={"organisation": "acme", "profile": "mine"})
    task = TenantCommandsTask(environment=environment, tenant="acme", stack_name="our-keys")

    told: TenantOutcome = harness.run_with_retries(
        TenantActivities(harness.clients, PLATFORM).build_tenant_commands, task
    )

    deploy, by_hand, _, role = told.commands
    assert f"ExternalId={read_external_id(harness, 'acme')} " in role
    assert f"{PLATFORM.vendor.role_parameter_name}={PLATFORM.role_arn} " in deploy
    assert "--stack-name our-keys " in deploy  # contract 130
    assert all("--profile mine " in command for command in (deploy, by_hand, role))
    assert all(environment.key_arn(which) in by_hand for which in KeyPurpose)
