"""An environment's plan: the same request always gives the same plan, and an invalid key becomes a finding."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from byok.domain import naming
from byok.domain.arns import KeyPurpose
from byok.domain.blueprint import Blueprint, BucketBlueprint, DatabaseBlueprint, InitialObject, MasterAuthentication
from byok.domain.models import (
    AuroraProofTask,
    CheckKeysRequest,
    DeleteRequest,
    EnvironmentPlan,
    ProvisionRequest,
    ReconcileTenantRequest,
)
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, proof_cluster_identifiers
from byok.domain.phases import RequestKind
from byok.domain.planning import (
    KEY_CHECK_ENVIRONMENT_ID,
    Platform,
    plan_aurora_proof,
    plan_deletion,
    plan_environment,
    plan_key_pair_check,
    plan_no_environment,
    plan_tenant,
)
from byok.domain.vendor import VendorProfile
from tests.remedy_text import text_of

RUN = "0198a2c4-run"
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
S3 = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"
RDS = "arn:aws:kms:eu-central-1:444455556666:key/0987dcba-09fe-87dc-65ba-ab0987654321"
BLUEPRINT = Blueprint(
    buckets=(
        BucketBlueprint(purpose="catalog", objects=(InitialObject(key="catalog.json", content="{}"),)),
        BucketBlueprint(purpose="exports"),
    )
)
PLATFORM = Platform("arn:aws:iam::111122223333:role/platform", VendorProfile(), BLUEPRINT)


def request(environment_id: str = "acme", s3: str = S3, rds: str = RDS) -> ProvisionRequest:
    return ProvisionRequest(
        environment_id=environment_id, region="eu-central-1", s3_key_arn=s3, rds_key_arn=rds, key_grace_seconds=7
    )


def test_same_request_gives_the_same_plan() -> None:
    assert plan_environment(request(), PLATFORM, AT, RUN) == plan_environment(request(), PLATFORM, AT, RUN)


def test_plan_has_every_bucket_of_the_blueprint_with_its_objects() -> None:
    plan = plan_environment(request(), PLATFORM, AT, RUN)  # contract 94, 95
    assert [(bucket.purpose, bucket.objects) for bucket in plan.buckets] == [
        (bucket.purpose, bucket.objects) for bucket in BLUEPRINT.buckets
    ]
    assert len({bucket.name for bucket in plan.buckets}) == 2
    assert plan.cluster.settings == BLUEPRINT.database


def test_two_environments_share_no_names() -> None:
    one, other = (plan_environment(request(name), PLATFORM, AT, RUN) for name in ("acme", "bacme"))

    def names(plan: EnvironmentPlan) -> set[str]:
        return {plan.cluster.identifier, plan.cluster.writer_identifier, *(bucket.name for bucket in plan.buckets)}

    assert names(one).isdisjoint(names(other))


def test_plan_carries_the_request_values_that_activities_need() -> None:
    environment = plan_environment(request(), PLATFORM, AT, RUN).environment
    assert (environment.s3_key_arn, environment.rds_key_arn) == (S3, RDS)  # contract 84
    assert (environment.key_arn(KeyPurpose.S3), environment.key_arn(KeyPurpose.RDS)) == (S3, RDS)
    assert environment.key_grace_seconds == 7  # contract D14
    assert environment.tags[naming.environment_tag_key(PLATFORM.vendor)] == "acme"
    assert environment.tags[environment.run_tag] == environment.run_id == RUN
    assert environment.platform_role_arn == PLATFORM.role_arn


def test_valid_keys_have_no_findings() -> None:
    assert plan_environment(request(), PLATFORM, AT, RUN).findings == ()


@pytest.mark.parametrize(
    ("s3", "rds", "codes"),
    [
        (S3, S3, ["arn.SameKeyTwice"]),  # contract D7
        (S3.replace("444455556666", "111122223333"), RDS, ["arn.PlatformAccount"]),  # contract 124
        (S3, RDS.replace("444455556666", "777788889999"), ["arn.KeysOfTwoAccounts"]),  # contract D8
        ("alias/x", "alias/y", ["arn.AliasNotAllowed", "arn.AliasNotAllowed"]),  # contract 7, 82
    ],
)
def test_invalid_keys_are_findings_in_both_plans(s3: str, rds: str, codes: list[str]) -> None:
    asked = request(s3=s3, rds=rds)
    check = CheckKeysRequest(region=asked.region, s3_key_arn=s3, rds_key_arn=rds)
    for plan in (plan_environment(asked, PLATFORM, AT, RUN), plan_key_pair_check(check, PLATFORM, AT)):
        assert [finding.code for finding in plan.findings] == codes
        assert {finding.at for finding in plan.findings} == {AT}


def test_key_check_plans_only_the_probe() -> None:
    asked = CheckKeysRequest(region="eu-central-1", s3_key_arn=S3, rds_key_arn=RDS)
    plan = plan_key_pair_check(asked, PLATFORM, AT)
    assert set(type(plan).model_fields) == {"environment", "findings", "allows_aurora_proof"}
    assert plan.environment.probe_bucket == "byok-key-probes-111122223333-eu-central-1"
    assert plan.environment.key_grace_seconds == 30  # contract D14: the default


def test_tenant_commands_use_the_profile_and_the_stack_of_the_environment() -> None:
    named = request().model_copy(update={"tenant": "acme"})
    chosen = named.model_copy(update={"profile": "keys-admin", "stack_name": "our-keys"})

    for asked, profile, stack in ((named, "byok", "byok-kms-keys-acme"), (chosen, "keys-admin", "our-keys")):
        plan = plan_environment(asked, PLATFORM, AT, RUN)
        assert plan.tenant is not None
        assert (plan.tenant.stack_name, plan.environment.profile) == (stack, profile)  # contract 130


def test_remedies_use_the_profile_of_the_environment() -> None:
    asked = request(s3="alias/mine").model_copy(update={"profile": "keys-admin"})
    (finding, *_) = plan_environment(asked, PLATFORM, AT, RUN).findings
    assert "--profile keys-admin " in text_of(finding.remediation)  # contract 130
    assert "keys-admin is your AWS CLI profile" in text_of(finding.remediation)


def test_platform_account_comes_from_its_role() -> None:
    assert PLATFORM.account == "111122223333"  # contract 37, D3


def test_cluster_that_proves_a_key_is_like_an_environments_but_leaves_nothing_to_keep() -> None:
    check = CheckKeysRequest(region="eu-central-1", s3_key_arn=S3, rds_key_arn=RDS)
    environment = plan_key_pair_check(check, PLATFORM, AT).environment
    task = plan_aurora_proof(AuroraProofTask(environment=environment, proof_id="proof-1"), PLATFORM)

    assert task.environment.tags == {
        "byok:key-proof": RDS,
        "byok:created-by-run": "proof-1",
        "byok:managed-by": "byok",
    }  # without an environment tag, so that the deletion of an environment never removes this cluster
    settings = task.cluster.settings
    assert (settings.deletion_protection, settings.backup_retention_days, settings.master_secret_key_arn) == (
        *(False, 1, None),
    )
    assert task.cluster.identifier == "byok-key-proof-cluster-without-instances-1"
    assert len(task.cluster.identifier.removeprefix("byok-")) > ENVIRONMENT_ID_MAX_LENGTH, "no environment's name"
    assert all(len(name) <= 63 for name in proof_cluster_identifiers(VendorProfile(resource_prefix="longest")))


def test_cluster_that_proves_a_key_has_no_managed_secret() -> None:
    database = DatabaseBlueprint(authentication=MasterAuthentication.MANAGED_SECRET, master_secret_key_arn=RDS)
    platform = replace(PLATFORM, blueprint=BLUEPRINT.model_copy(update={"database": database}))
    environment = plan_environment(request(), platform, AT, RUN).environment
    settings = plan_aurora_proof(AuroraProofTask(environment=environment, proof_id="p"), platform).cluster.settings

    assert settings.authentication is MasterAuthentication.IAM
    assert settings.master_secret_key_arn is None


ROLE = "arn:aws:iam::444455556666:role/namer"


def tenant_request(**changed: Any) -> ReconcileTenantRequest:
    values: dict[str, Any] = {
        "environment_id": "acme",
        "region": "eu-central-1",
        "tenant": "acme",
        "tenant_role_arn": ROLE,
    }
    return ReconcileTenantRequest(**values | {"s3_key_arn": S3, "rds_key_arn": RDS, "profile": "mine"} | changed)


def test_plan_for_a_tenant_name_has_the_labels_of_both_keys() -> None:
    plan = plan_tenant(tenant_request(repoint=True), PLATFORM, AT)
    assert (plan.findings, plan.environment.environment_id) == ((), "acme")
    assert plan.tenant is not None
    assert (plan.tenant.tenant, plan.tenant.role_arn, plan.tenant.repoint) == ("acme", ROLE, True)
    assert plan.tenant.request_kind is RequestKind.TENANT
    assert [(mark.key, mark.key_arn, mark.tenant, mark.alias, mark.tags) for mark in plan.tenant.marks] == [
        (which, arn, "acme", alias, {"ataccama:automation:TenantName": "acme", "aatn": "acme"})  # contract 101, 102
        for which, arn, alias in (
            (KeyPurpose.S3, S3, "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme"),  # contract 103
            (KeyPurpose.RDS, RDS, "alias/ataccama-database-byok-db-key-alias-acme"),  # contract 104
        )
    ]
    assert (plan.tenant.stack_name, plan.environment.profile) == ("byok-kms-keys-acme", "mine")  # contract 130


def test_plan_for_an_environment_with_a_tenant_name_has_the_role_that_sets_it() -> None:
    plan = plan_environment(request().model_copy(update={"tenant": "acme", "tenant_role_arn": ROLE}), PLATFORM, AT, RUN)
    assert plan.tenant is not None
    assert (plan.tenant.role_arn, plan.tenant.request_kind, plan.tenant.repoint) == (
        ROLE,
        RequestKind.ENVIRONMENT,
        False,
    )
    assert plan.tenant_name == "acme"


def test_plan_that_returns_only_commands_uses_no_role() -> None:
    foreign = "arn:aws:iam::999988887777:role/namer"
    plan = plan_tenant(tenant_request(commands_only=True, tenant_role_arn=foreign), PLATFORM, AT)
    assert plan.findings == (), "a role that byok does not use cannot be wrong"
    assert plan.tenant is not None
    assert plan.tenant.role_arn is None


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"tenant": "no spaces"}, "tenant.IllegalName"),  # contract 105
        ({"tenant_role_arn": "arn:aws:iam::999988887777:role/namer"}, "tenant.RoleOfAnotherAccount"),
        ({"tenant_role_arn": "arn:aws-cn:iam::444455556666:role/namer"}, "tenant.RoleOfAnotherPartition"),
        ({"rds_key_arn": S3}, "arn.SameKeyTwice"),
    ],
)
def test_invalid_tenant_request_has_a_finding_and_no_plan(changed: dict[str, Any], code: str) -> None:
    plan = plan_tenant(tenant_request(**changed), PLATFORM, AT)
    assert [(finding.code, finding.at) for finding in plan.findings] == [(code, AT)]
    assert plan.tenant is None
    (finding,) = plan.findings
    assert "provisioning resumes" not in text_of(finding.remediation), "the remedy retries the tenant request"


def test_plan_of_a_deletion_names_what_the_environment_has() -> None:
    asked = DeleteRequest(
        environment_id="acme",
        confirm="acme",
        region="eu-central-1",
        s3_key_arn=S3,
        rds_key_arn=RDS,
        key_grace_seconds=7,
    )
    made, removed = plan_environment(request(), PLATFORM, AT, RUN), plan_deletion(asked, PLATFORM, AT)
    assert (removed.cluster, removed.buckets) == (made.cluster, made.buckets)
    assert removed.environment == made.environment.model_copy(
        update={"run_id": "", "tags": {**made.environment.tags, "byok:created-by-run": ""}}
    )


def test_calls_without_an_environment_use_the_home_region_and_no_customer_key() -> None:
    platform = replace(PLATFORM, home_region="eu-west-1")

    environment = plan_no_environment(platform)

    assert (environment.region, environment.environment_id) == ("eu-west-1", KEY_CHECK_ENVIRONMENT_ID)
    assert (environment.encryption, environment.s3_key_arn, environment.rds_key_arn) == ("customer-managed", "", "")
    assert "eu-west-1" in environment.probe_bucket
