"""Reconcile aliases and tags in the local AWS emulator, through the tenant role that the real template creates."""

import json
import shlex
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.iam.statements import build_s3_key_statements
from byok.domain.phases import AliasOutcome, RequestKind
from byok.domain.problems.remediation import Remedy
from tests.activities.conftest import PLATFORM, ActivityHarness, parse_stop_problem
from tests.activities.tenant_keys import TenantHarness, tenant_alias
from tests.localaws.server import VENDOR, AwsHarness
from tests.remedy_text import text_of


@pytest.fixture
def tenant(harness: ActivityHarness) -> TenantHarness:
    return TenantHarness(harness)


@pytest.mark.parametrize("which", KeyPurpose)
def test_key_gets_its_alias_and_both_tags(tenant: TenantHarness, which: KeyPurpose) -> None:
    found = tenant.reconcile(which)

    assert (found.alias_state, set(found.tags_written)) == (AliasOutcome.CREATED, set(VENDOR.tenant_tags))
    tags, aliases = tenant.get_tags_and_aliases(which)
    assert tags == {"ataccama:automation:TenantName": "acme", "aatn": "acme"}  # contract 101, 102
    assert aliases == [tenant_alias(which)]  # contract 103, 104


@pytest.mark.parametrize("which", KeyPurpose)
def test_second_reconciliation_writes_nothing(tenant: TenantHarness, which: KeyPurpose) -> None:
    tenant.reconcile(which)
    tenant.forget_calls()

    again = tenant.reconcile(which)

    assert tenant.list_writes() == []
    assert (again.alias_state, again.tags_written) == (AliasOutcome.IN_PLACE, ())


def test_only_differences_are_written(tenant: TenantHarness) -> None:
    arn = tenant.keys[KeyPurpose.S3]
    mine = [{"TagKey": "cost", "TagValue": "7"}, {"TagKey": "aatn", "TagValue": "acme"}]
    tenant.kms.tag_resource(KeyId=arn, Tags=mine)
    tenant.kms.create_alias(AliasName="alias/mine", TargetKeyId=arn)

    found = tenant.reconcile(KeyPurpose.S3)

    assert found.tags_written == ("ataccama:automation:TenantName",)
    tags, aliases = tenant.get_tags_and_aliases(KeyPurpose.S3)
    assert tags == {"cost": "7", "aatn": "acme", "ataccama:automation:TenantName": "acme"}
    assert sorted(aliases) == sorted(["alias/mine", tenant_alias(KeyPurpose.S3)])


def test_new_name_keeps_and_reports_the_old_alias(tenant: TenantHarness) -> None:
    tenant.reconcile(KeyPurpose.RDS, "old")

    found = tenant.reconcile(KeyPurpose.RDS, "new")

    assert found.other_aliases == (tenant_alias(KeyPurpose.RDS, "old"),)
    tags, aliases = tenant.get_tags_and_aliases(KeyPurpose.RDS)
    assert set(tags.values()) == {"new"}
    assert set(aliases) == {tenant_alias(KeyPurpose.RDS, "old"), tenant_alias(KeyPurpose.RDS, "new")}


def test_alias_of_another_key_is_a_conflict_and_stays(tenant: TenantHarness) -> None:
    other = tenant.aws.create_key()
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=other)
    tenant.forget_calls()

    found = tenant.reconcile(KeyPurpose.S3)

    assert (found.alias_state, found.points_at) == (AliasOutcome.CONFLICT, parse_key_arn(other).key_id)
    assert set(tenant.list_writes()) == {"CreateAlias"}, "CreateAlias was refused, and no tag was written"
    assert tenant.get_tags_and_aliases(KeyPurpose.S3) == ({}, [])
    assert tenant.kms.describe_key(KeyId=tenant_alias(KeyPurpose.S3))["KeyMetadata"]["Arn"] == other


def test_alias_on_the_environments_other_key_is_a_conflict_that_repoint_resolves(tenant: TenantHarness) -> None:
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=tenant.keys[KeyPurpose.RDS])

    conflict = tenant.reconcile(KeyPurpose.S3)
    found = tenant.reconcile(KeyPurpose.S3, repoint=True)

    assert conflict.alias_state is AliasOutcome.CONFLICT
    assert conflict.remediation is not None
    ask_again = f"byok tenant {tenant.harness.plan.environment.environment_id} acme --repoint"
    assert conflict.remediation.steps[-1].command == ask_again
    assert found.alias_state is AliasOutcome.REPOINTED
    assert found.remediation is None
    assert tenant.get_tags_and_aliases(KeyPurpose.S3) == (
        dict.fromkeys(VENDOR.tenant_tags, "acme"),
        [tenant_alias(KeyPurpose.S3)],
    )


@pytest.mark.parametrize("repoint", [False, True])
def test_alias_of_a_third_key_is_reported_with_its_owners_command(tenant: TenantHarness, repoint: bool) -> None:
    third = tenant.aws.create_key()
    tenant.kms.create_alias(AliasName=tenant_alias(KeyPurpose.S3), TargetKeyId=third)

    found = tenant.reconcile(KeyPurpose.S3, repoint=repoint)

    assert (found.alias_state, found.tags_written) == (AliasOutcome.CONFLICT, ())
    assert "UpdateAlias" not in tenant.aws.list_calls("kms"), "the role may not, so byok does not try"
    assert found.remediation is not None
    (command,) = [one for one in found.remediation.commands if "update-alias" in one]
    options = dict(pairwise(shlex.split(command)))
    assert options["--alias-name"] == tenant_alias(KeyPurpose.S3)
    assert options["--target-key-id"] == tenant.keys[KeyPurpose.S3]
    tenant.kms.update_alias(AliasName=options["--alias-name"], TargetKeyId=options["--target-key-id"])
    assert tenant.reconcile(KeyPurpose.S3).alias_state is AliasOutcome.IN_PLACE


def test_replaced_tag_values_are_reported(tenant: TenantHarness) -> None:
    tenant.kms.tag_resource(KeyId=tenant.keys[KeyPurpose.S3], Tags=[{"TagKey": "aatn", "TagValue": "old"}])

    found = tenant.reconcile(KeyPurpose.S3)

    assert set(found.tags_written) == set(VENDOR.tenant_tags)
    assert found.tags_replaced == {"aatn": "old"}


@pytest.mark.parametrize(
    "role",
    [
        {"organisation": "globex"},
        {"role_arn": "arn:aws:iam::444455556666:role/absent"},
    ],
)
def test_unassumable_role_stops_with_the_values_to_compare(tenant: TenantHarness, role: dict[str, str]) -> None:
    """For another organisation, byok passes a different external id, so AWS does not let byok assume the role."""
    with pytest.raises(ApplicationError) as caught:
        tenant.reconcile(KeyPurpose.S3, **role)

    problem = parse_stop_problem(caught.value)
    assert (problem.code, problem.operation, problem.key) == ("sts.AccessDenied", "AssumeRole", None)
    assert "byok template tenant-role" in text_of(problem.remediation)
    assert "external id" in text_of(problem.remediation)


@pytest.mark.parametrize("request_kind", RequestKind)
def test_remedy_ends_with_the_retry_of_its_request(tenant: TenantHarness, request_kind: RequestKind) -> None:
    task = tenant.build_task(KeyPurpose.S3, organisation="globex").model_copy(update={"request_kind": request_kind})

    with pytest.raises(ApplicationError) as caught:
        tenant.harness.run_with_retries(tenant.activities.reconcile_key, task)

    retries = {
        RequestKind.ENVIRONMENT: "provisioning resumes where it stopped.",
        RequestKind.TENANT: "byok skips a key that already has the name.",
        RequestKind.DELETION: "byok skips resources that are already deleted.",
        RequestKind.HEALTH: "within five minutes.",
        RequestKind.KEY_CHECK: "Retry the check of the keys.",
    }
    assert text_of(parse_stop_problem(caught.value).remediation).endswith(retries[request_kind])


def test_role_has_no_other_permissions(tenant: TenantHarness) -> None:
    kms = tenant.aws.assumed_role_client("kms", tenant.role_arn, tenant.external_id)
    arn = tenant.keys[KeyPurpose.S3]
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: kms.disable_key(KeyId=arn),
        lambda: kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7),
        lambda: kms.get_key_policy(KeyId=arn, PolicyName="default"),
        lambda: kms.encrypt(KeyId=arn, Plaintext=b"x"),
        lambda: kms.tag_resource(KeyId=tenant.aws.create_key(), Tags=[{"TagKey": "aatn", "TagValue": "b"}]),
        lambda: kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "team", "TagValue": "admin"}]),
        lambda: kms.tag_resource(
            KeyId=arn, Tags=[{"TagKey": "aatn", "TagValue": "b"}, {"TagKey": "team", "TagValue": "admin"}]
        ),
        lambda: kms.untag_resource(KeyId=arn, TagKeys=["aatn"]),
        lambda: kms.create_alias(AliasName="alias/mine", TargetKeyId=arn),
    )
    for attempt in attempts:
        with pytest.raises(kms.exceptions.ClientError) as caught:
            attempt()
        assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


def test_key_pending_deletion_stops_with_the_kms_message(tenant: TenantHarness) -> None:
    tenant.kms.schedule_key_deletion(KeyId=tenant.keys[KeyPurpose.S3], PendingWindowInDays=7)

    with pytest.raises(ApplicationError) as caught:
        tenant.reconcile(KeyPurpose.S3)

    problem = parse_stop_problem(caught.value)
    assert problem.code == "kms.KMSInvalidStateException"
    assert "pending deletion" in problem.message
    assert problem.key is KeyPurpose.S3
    assert Remedy.CANCEL_DELETION.value.split("-")[0] in text_of(problem.remediation).lower()


def test_disabled_key_can_get_a_tenant_name(tenant: TenantHarness) -> None:
    tenant.kms.disable_key(KeyId=tenant.keys[KeyPurpose.S3])

    assert tenant.reconcile(KeyPurpose.S3).alias_state is AliasOutcome.CREATED


def test_key_policy_without_its_account_says_who_must_act(tenant: TenantHarness) -> None:
    owner = tenant.aws.customer_client("sts").get_caller_identity()["Arn"]
    alone = {"Sid": "Me", "Effect": "Allow", "Principal": {"AWS": owner}, "Action": "kms:*", "Resource": "*"}
    policy = {
        "Version": "2012-10-17",
        "Statement": [alone, *build_s3_key_statements(PLATFORM.role_arn, "eu-central-1", VENDOR)],
    }
    tenant.kms.put_key_policy(KeyId=tenant.keys[KeyPurpose.S3], PolicyName="default", Policy=json.dumps(policy))

    with pytest.raises(ApplicationError) as caught:
        tenant.reconcile(KeyPurpose.S3)

    problem = parse_stop_problem(caught.value)
    assert problem.code == "kms.AccessDeniedException"
    assert "the default statement, which AWS adds for the account" in text_of(problem.remediation)


@pytest.mark.parametrize("kind", ["lose_answer", "error500", "throttle"])
@pytest.mark.parametrize(("service", "calls_before"), [("sts", 0), *(("kms", number) for number in range(4))])
def test_interruption_at_any_call_ends_in_the_same_state(
    tenant: TenantHarness, aws: AwsHarness, kind: str, service: str, calls_before: int
) -> None:
    aws.call_control("POST", "faults", service=service, operation="*", kind=kind, after_calls=calls_before)

    tenant.reconcile(KeyPurpose.RDS)

    assert tenant.get_tags_and_aliases(KeyPurpose.RDS) == (
        dict.fromkeys(VENDOR.tenant_tags, "acme"),
        [tenant_alias(KeyPurpose.RDS)],
    )
    tenant.forget_calls()
    assert tenant.reconcile(KeyPurpose.RDS).alias_state is AliasOutcome.IN_PLACE
    assert tenant.list_writes() == []
