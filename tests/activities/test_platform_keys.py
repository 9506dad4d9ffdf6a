"""Environments with platform-managed keys: resources, evidence, problems and refused changes (contract 9, 132)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError

from activities.tenant import TenantActivities
from byok.domain.arns import AWS_MANAGED_KEYS, KeyPair, KeyPurpose, parse_key_arn
from byok.domain.encryption import PlatformKeys, find_encryption_of_key
from byok.domain.models import EnvironmentPlan, Evidence, OwnedResources, Problem, ProvisionRequest
from byok.domain.phases import Encryption
from byok.domain.planning import plan_environment
from localaws.state import PLATFORM_ACCOUNT
from tests.activities.conftest import OTHER_REGION, PLATFORM, ActivityHarness, parse_stop_problem
from tests.activities.test_adoption import list_claimed_key_ids, run_until_problem
from tests.localaws.server import REGION
from tests.remedy_text import text_of
from tests.requested_keys import ON_PLATFORM_KEYS

CODE = "byok.EncryptionCannotChange"


def create_platform_keys(harness: ActivityHarness) -> KeyPair:
    """Create two keys in the platform's account, with KMS's default key policy."""
    kms = harness.aws.operator_client("kms")
    return KeyPair(*(kms.create_key()["KeyMetadata"]["Arn"] for _ in KeyPurpose))


def build_plan_on(keys: KeyPair, environment_id: str = "on-our-keys") -> EnvironmentPlan:
    """Plan an environment that uses the given keys as the platform's keys."""
    chosen = PlatformKeys(s3_key_arn=keys.s3_key_arn, rds_key_arn=keys.rds_key_arn)
    values = {"environment_id": environment_id, "region": REGION, "key_grace_seconds": 0, **ON_PLATFORM_KEYS}
    request = ProvisionRequest.model_validate(values)
    return plan_environment(request, replace(PLATFORM, keys={REGION: chosen}), datetime.now(UTC), "this-run")


def collect_evidence(harness: ActivityHarness) -> Evidence:
    harness.provision_environment()
    found: Evidence = harness.run_with_retries(harness.evidence.collect_evidence, harness.plan)
    return found


def list_key_arns(evidence: Evidence) -> tuple[set[str], set[str]]:
    """Return the keys that AWS reports for the objects and for the database."""
    objects = {item.key_arn for bucket in evidence.buckets for item in bucket.objects}
    return objects, {evidence.database.key_arn, evidence.database.writer_key_arn}


def test_evidence_names_the_keys_of_the_settings(harness: ActivityHarness) -> None:
    keys = create_platform_keys(harness)
    harness.plan = build_plan_on(keys)

    evidence = collect_evidence(harness)

    assert evidence.encryption is Encryption.PLATFORM_MANAGED  # contract 132
    assert list_key_arns(evidence) == ({keys.s3_key_arn}, {keys.rds_key_arn})
    assert {bucket.key_arn for bucket in evidence.buckets} == {keys.s3_key_arn}
    # There is no probe bucket, so there are no probes and no claims.
    assert not any("key-probes" in bucket["Name"] for bucket in list_buckets(harness))


def list_buckets(harness: ActivityHarness) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = harness.aws.operator_client("s3").list_buckets()["Buckets"]
    return found


def test_evidence_names_the_aws_managed_keys_of_the_platform_account(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)

    evidence = collect_evidence(harness)

    objects, database = list_key_arns(evidence)
    (s3_key,), (rds_key,) = objects, database
    assert {parse_key_arn(arn).account for arn in (s3_key, rds_key)} == {PLATFORM_ACCOUNT}  # contract 132
    assert s3_key != rds_key
    assert evidence.database.storage_encryption_type == "sse-kms"
    assert {(one.algorithm, one.key_arn) for one in evidence.buckets} == {("aws:kms", AWS_MANAGED_KEYS.s3_key_arn)}


def test_key_of_another_account_is_no_evidence_for_an_aws_managed_key(harness: ActivityHarness) -> None:
    customer = harness.plan.environment
    harness.provision_environment()
    plan = harness.build_plan(environment_id=customer.environment_id, **ON_PLATFORM_KEYS)
    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.evidence.collect_evidence, plan)
    problem = parse_stop_problem(caught.value)
    assert problem.code == "byok.VerificationFailed"  # contract 98
    assert customer.rds_key_arn in problem.message


@pytest.mark.parametrize(
    "headers",
    [
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "{key}"},
        {"ServerSideEncryption": "aws:kms:dsse"},
    ],
    ids=["s3-managed", "named-key", "two-layers"],
)
def test_bucket_on_the_aws_managed_key_denies_any_other_encryption(
    harness: ActivityHarness, headers: dict[str, str]
) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)
    key = create_platform_keys(harness).s3_key_arn
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    s3, name = harness.aws.operator_client("s3"), harness.plan.buckets[0].name
    for allowed in ({}, {"ServerSideEncryption": "aws:kms"}):
        s3.put_object(Bucket=name, Key="mine", **allowed)
    with pytest.raises(ClientError, match="explicit deny"):  # contract 99
        s3.put_object(Bucket=name, Key="mine", **{field: value.format(key=key) for field, value in headers.items()})


@pytest.mark.parametrize("which", KeyPurpose)
def test_disabled_platform_key_is_the_platforms_own_fault(harness: ActivityHarness, which: KeyPurpose) -> None:
    keys = create_platform_keys(harness)
    harness.plan = build_plan_on(keys)
    broken = dict(keys.items())[which]
    harness.aws.operator_client("kms").disable_key(KeyId=broken)

    storage = which is KeyPurpose.S3
    activity = harness.storage.ensure_bucket if storage else harness.database.ensure_cluster
    problem = run_until_problem(harness, activity, harness.bucket_task() if storage else harness.database_task)

    assert problem.code == ("s3.KMS.DisabledException" if storage else "rds.KMSKeyNotAccessibleFault")
    assert (problem.key, problem.key_arn) == (None, broken)  # contract 132: the problem is not about a customer key
    assert "The customer does not need to do anything" in text_of(problem.remediation)
    assert f"{broken} is a key in the platform's account {PLATFORM_ACCOUNT}" in text_of(problem.remediation)
    assert "Statement array" not in text_of(problem.remediation)


def test_lost_platform_key_is_the_platforms_own_fault(harness: ActivityHarness) -> None:
    keys = create_platform_keys(harness)
    harness.plan = build_plan_on(keys)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.wait_until_cluster_available()
    harness.aws.operator_client("kms").disable_key(KeyId=keys.rds_key_arn)
    problem = run_until_problem(harness, harness.database.ensure_writer, harness.database_task)
    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"
    assert problem.key is None
    assert "StartDBCluster" in text_of(problem.remediation)


def test_setting_that_names_another_key_later_stops_with_a_task_for_the_operator(harness: ActivityHarness) -> None:
    harness.plan = build_plan_on(create_platform_keys(harness))
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.plan = build_plan_on(create_platform_keys(harness))
    problem = run_until_problem(harness, harness.database.ensure_cluster, harness.database_task)
    assert (problem.code, problem.key) == ("byok.OtherKey", None)
    assert "BYOK_PLATFORM_KEYS" in text_of(problem.remediation)


@pytest.mark.parametrize("settings", [True, False], ids=["keys-of-the-settings", "aws-managed-keys"])
def test_customer_keys_are_refused_on_a_platform_managed_environment(harness: ActivityHarness, settings: bool) -> None:
    name = harness.plan.environment.environment_id
    harness.plan = (
        build_plan_on(create_platform_keys(harness), name)
        if settings
        else harness.build_plan(environment_id=name, **ON_PLATFORM_KEYS)
    )
    harness.provision_environment()
    harness.plan = plan = harness.build_plan(environment_id=name)

    harness.run_with_retries(harness.keys.probe_s3_key, plan.environment)

    problems = [run_until_problem(harness, harness.database.ensure_cluster, harness.database_task)]
    problems.append(run_until_problem(harness, harness.storage.ensure_bucket, harness.bucket_task()))
    harness.run_with_retries(harness.claims.release_unused_claims, plan.environment)  # as a workflow does when it stops

    for problem in problems:  # contract 9, 132
        assert (problem.code, problem.key) == (CODE, None)
        assert f"Environment {name} uses platform-managed keys" in problem.message
        assert "create an environment with a different id" in text_of(problem.remediation)
    assert list_claimed_key_ids(harness) == set()  # contract 123: the refused attempt has no claims


def test_platform_keys_are_refused_on_a_customer_managed_environment(harness: ActivityHarness) -> None:
    name = harness.plan.environment.environment_id
    harness.provision_environment()
    claimed = list_claimed_key_ids(harness)
    harness.plan = harness.build_plan(environment_id=name, **ON_PLATFORM_KEYS)

    for activity, task in (
        (harness.database.ensure_cluster, harness.database_task),
        (harness.storage.ensure_bucket, harness.bucket_task()),
    ):
        problem = run_until_problem(harness, activity, task)
        assert problem.code == CODE  # contract 9, 132
        assert f"Environment {name} uses customer-managed keys" in problem.message
    assert list_claimed_key_ids(harness) == claimed


def test_check_for_a_platform_managed_environment_refuses_both_keys(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    plan = harness.build_plan(environment_id=harness.plan.environment.environment_id)
    found = harness.run_with_retries(harness.keys.probe_key_claims, plan.environment).problems
    assert [(one.code, one.key) for one in found] == [(CODE, which) for which in KeyPurpose]  # contract 9, 126


def test_no_tenant_name_is_put_on_keys_that_the_environment_does_not_use(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)
    harness.provision_environment()
    plan = harness.build_plan(environment_id=harness.plan.environment.environment_id)
    tenant = TenantActivities(harness.clients, PLATFORM)
    found: tuple[Problem, ...] = harness.run_with_retries(tenant.probe_environment, plan.environment).findings
    assert {one.code for one in found} == {CODE}  # contract 9


def test_platform_managed_environment_is_removed_without_touching_claims(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)
    harness.provision_environment()
    for activity in (harness.database.remove_writer, harness.database.remove_cluster):
        assert harness.run_with_retries(activity, harness.database_removal()).removed
    for index in range(len(harness.plan.buckets)):
        assert harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal(index)).removed
    assert find_resources(harness).names == ()
    assert list_buckets(harness) == []


def find_resources(harness: ActivityHarness) -> OwnedResources:
    found: OwnedResources = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())
    return found


@pytest.mark.parametrize("region", [REGION, OTHER_REGION])
def test_inventory_finds_platform_managed_resources_and_their_keys(harness: ActivityHarness, region: str) -> None:
    harness.plan = plan = harness.build_plan(region=region, **ON_PLATFORM_KEYS)
    harness.provision_environment()
    harness.plan = harness.build_plan(environment_id=plan.environment.environment_id)  # with the customer's keys

    found = find_resources(harness)

    assert {one.region for one in found.all_resources} == {region}  # contract 137
    assert found.s3_key_arns == (AWS_MANAGED_KEYS.s3_key_arn,)  # S3 reports no ARN for this key
    account = plan.environment.platform_account
    owners = {find_encryption_of_key(key, account) for key in (*found.s3_key_arns, *found.rds_key_arns)}
    assert owners == {Encryption.PLATFORM_MANAGED}  # contract 132


def test_platform_managed_environment_neither_holds_nor_gives_back_a_claim(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(**ON_PLATFORM_KEYS)
    harness.provision_environment()
    harness.run_id = "a-replay"
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    harness.aws.call_control("DELETE", "calls")
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)
    assert harness.aws.list_calls() == []
    assert not any("key-probes" in bucket["Name"] for bucket in list_buckets(harness))  # contract 123, 132
