"""Clusters from creation to deletion, and the behaviour of a cluster that has lost access to its key."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.accounts import build_platform_role_policy
from tests.localaws.server import AwsHarness

NAME = "env-acme"
LOST = "inaccessible-encryption-credentials-recoverable"


def build_cluster_params(key_arn: str | None, **changed: Any) -> dict[str, Any]:
    """Build the parameters of a `CreateDBCluster` call."""
    asked: dict[str, Any] = {
        "DBClusterIdentifier": NAME,
        "Engine": "aurora-postgresql",
        "MasterUsername": "byok",
        "MasterUserAuthenticationType": "iam-db-auth",
        "EnableIAMDatabaseAuthentication": True,
        "ServerlessV2ScalingConfiguration": {"MinCapacity": 0.5, "MaxCapacity": 2},
        **({"StorageEncrypted": True, "KmsKeyId": key_arn} if key_arn else {}),
        **changed,
    }
    return {name: value for name, value in asked.items() if value is not None}


def get_status(rds: Any) -> str:
    """Return the current status of the cluster."""
    found: str = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["Status"]
    return found


def catch_error(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    """Make a call that must fail, and return the code and message of the error."""
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture
def instant(aws: AwsHarness) -> AwsHarness:
    """The local AWS emulator, with databases that change their status immediately."""
    aws.call_control("POST", "settings", database_seconds=0)
    return aws


def test_cluster_takes_the_configured_time(aws: AwsHarness) -> None:
    rds, key = aws.platform_client("rds"), aws.create_rds_key()
    aws.call_control("POST", "settings", database_seconds=3600)
    assert rds.create_db_cluster(**build_cluster_params(key))["DBCluster"]["Status"] == "creating"
    assert get_status(rds) == "creating"
    aws.call_control("POST", "settings", database_seconds=0)
    rds.create_db_cluster(**build_cluster_params(key, DBClusterIdentifier="other"))
    assert rds.describe_db_clusters(DBClusterIdentifier="other")["DBClusters"][0]["Status"] == "available"


def test_cluster_is_described_as_requested(instant: AwsHarness) -> None:
    rds, key = instant.platform_client("rds"), instant.create_rds_key()
    asked = build_cluster_params(
        key,
        DatabaseName="app",
        BackupRetentionPeriod=7,
        CopyTagsToSnapshot=True,
        DeletionProtection=True,
        EnableCloudwatchLogsExports=["postgresql"],
        EngineVersion="16.6",
        Tags=[{"Key": "environment", "Value": "acme"}],
    )
    rds.create_db_cluster(**asked)
    found = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]
    same = (
        "DatabaseName",
        "BackupRetentionPeriod",
        "CopyTagsToSnapshot",
        "DeletionProtection",
        "EngineVersion",
        "KmsKeyId",
    )
    assert {name: found[name] for name in same} == {name: asked[name] for name in same}
    assert found["TagList"] == asked["Tags"]
    assert found["EnabledCloudwatchLogsExports"] == ["postgresql"]
    assert found["IAMDatabaseAuthenticationEnabled"] is True
    assert found["PerformanceInsightsEnabled"] is False
    assert found["ServerlessV2ScalingConfiguration"]["MaxCapacity"] == 2


def test_cluster_without_a_key_reports_an_aws_key(instant: AwsHarness) -> None:
    rds = instant.platform_client("rds")
    rds.create_db_cluster(**build_cluster_params(None))
    found = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]
    assert (found["StorageEncrypted"], found["StorageEncryptionType"]) == (False, "sse-rds")
    assert "KmsKeyId" not in found


def test_alias_arn_is_resolved_to_its_key(instant: AwsHarness) -> None:
    key = instant.create_rds_key()
    instant.customer_client("kms").create_alias(AliasName="alias/mine", TargetKeyId=key)
    alias = f"{key.rpartition(':')[0]}:alias/mine"
    assert (
        instant.platform_client("rds").create_db_cluster(**build_cluster_params(alias))["DBCluster"]["KmsKeyId"] == key
    )


def test_refused_key_leaves_no_grant(instant: AwsHarness) -> None:
    key = instant.create_rds_key()
    instant.customer_client("kms").disable_key(KeyId=key)
    assert (
        catch_error(instant.platform_client("rds").create_db_cluster, **build_cluster_params(key))[0]
        == "KMSKeyNotAccessibleFault"
    )
    assert instant.customer_client("kms").list_grants(KeyId=key)["Grants"] == []


# contract 121
def test_grant_lives_as_long_as_the_cluster(instant: AwsHarness) -> None:
    rds, kms, key = instant.platform_client("rds"), instant.customer_client("kms"), instant.create_rds_key()
    rds.create_db_cluster(**build_cluster_params(key))
    assert [grant["GranteePrincipal"] for grant in kms.list_grants(KeyId=key)["Grants"]] == [
        "rds.eu-central-1.amazonaws.com"
    ]
    rds.delete_db_cluster(DBClusterIdentifier=NAME, SkipFinalSnapshot=True)
    assert catch_error(rds.describe_db_clusters, DBClusterIdentifier=NAME) == (
        "DBClusterNotFoundFault",
        f"DBCluster {NAME} not found.",
    )
    assert kms.list_grants(KeyId=key)["Grants"] == []


# contract 89, 111
def test_cluster_with_a_disabled_key_is_inaccessible_until_it_is_started(instant: AwsHarness) -> None:
    rds, kms, key = instant.platform_client("rds"), instant.customer_client("kms"), instant.create_rds_key()
    admin = instant.operator_client("rds")
    rds.create_db_cluster(**build_cluster_params(key))
    assert get_status(rds) == "available"
    kms.disable_key(KeyId=key)
    assert get_status(rds) == LOST
    assert catch_error(admin.start_db_cluster, DBClusterIdentifier=NAME)[0] == "KMSKeyNotAccessibleFault"
    kms.enable_key(KeyId=key)
    assert get_status(rds) == LOST, "enabling the key alone does not recover the cluster"
    admin.start_db_cluster(DBClusterIdentifier=NAME)
    assert get_status(rds) == "available"


def test_key_pending_deletion_makes_the_cluster_inaccessible(instant: AwsHarness) -> None:
    rds, key = instant.platform_client("rds"), instant.create_rds_key()
    rds.create_db_cluster(**build_cluster_params(key))
    instant.customer_client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert get_status(rds) == LOST


def test_revoked_grant_makes_the_cluster_inaccessible(instant: AwsHarness) -> None:
    rds, kms, key = instant.platform_client("rds"), instant.customer_client("kms"), instant.create_rds_key()
    rds.create_db_cluster(**build_cluster_params(key))
    kms.revoke_grant(KeyId=key, GrantId=kms.list_grants(KeyId=key)["Grants"][0]["GrantId"])
    assert get_status(rds) == LOST


def test_cluster_outlives_the_roles_permission_on_its_key(instant: AwsHarness) -> None:
    rds, kms, key = instant.platform_client("rds"), instant.customer_client("kms"), instant.create_rds_key()
    rds.create_db_cluster(**build_cluster_params(key))
    kms.put_key_policy(KeyId=key, Policy=kms.get_key_policy(KeyId=instant.create_key())["Policy"])
    assert get_status(rds) == "available"
    assert (
        catch_error(rds.create_db_cluster, **build_cluster_params(key, DBClusterIdentifier="b"))[0]
        == "KMSKeyNotAccessibleFault"
    )


def test_protected_cluster_is_not_deleted(instant: AwsHarness) -> None:
    rds = instant.platform_client("rds")
    rds.create_db_cluster(**build_cluster_params(instant.create_rds_key(), DeletionProtection=True))
    assert catch_error(rds.delete_db_cluster, DBClusterIdentifier=NAME, SkipFinalSnapshot=True) == (
        "InvalidParameterCombination",
        "Cannot delete protected Cluster, please disable deletion protection and try again.",
    )
    rds.modify_db_cluster(DBClusterIdentifier=NAME, DeletionProtection=False, ApplyImmediately=True)
    deleted = rds.delete_db_cluster(DBClusterIdentifier=NAME, SkipFinalSnapshot=True)["DBCluster"]
    assert deleted["DBClusterIdentifier"] == NAME


@pytest.mark.parametrize(
    "how", [{}, {"SkipFinalSnapshot": True, "FinalDBSnapshotIdentifier": "last"}], ids=["neither", "both"]
)
def test_deletion_requires_exactly_one_snapshot_option(instant: AwsHarness, how: dict[str, Any]) -> None:
    rds = instant.platform_client("rds")
    rds.create_db_cluster(**build_cluster_params(instant.create_rds_key()))
    assert catch_error(rds.delete_db_cluster, DBClusterIdentifier=NAME, **how)[0] == "InvalidParameterCombination"
    assert get_status(rds) == "available"


# contract 122
def test_final_snapshot_uses_the_clusters_key(instant: AwsHarness) -> None:
    rds, key = instant.operator_client("rds"), instant.create_rds_key()
    instant.platform_client("rds").create_db_cluster(**build_cluster_params(key))
    rds.delete_db_cluster(DBClusterIdentifier=NAME, FinalDBSnapshotIdentifier="last")
    found = rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier="last")["DBClusterSnapshots"][0]
    assert (found["KmsKeyId"], found["StorageEncrypted"], found["Status"]) == (key, True, "available")


def test_stopped_cluster_does_not_lose_its_key(instant: AwsHarness) -> None:
    rds, key = instant.operator_client("rds"), instant.create_rds_key()
    instant.platform_client("rds").create_db_cluster(**build_cluster_params(key))
    rds.stop_db_cluster(DBClusterIdentifier=NAME)
    instant.customer_client("kms").disable_key(KeyId=key)
    assert get_status(rds) == "stopped"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"DBClusterIdentifier": "1abc"}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "a--b"}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "a-"}, "InvalidParameterValue"),
        ({"DBClusterIdentifier": "a" * 64}, "InvalidParameterValue"),
        ({"Engine": "oracle"}, "InvalidParameterValue"),
        ({"MasterUsername": None}, "InvalidParameterValue"),
        ({"MasterUsername": "admin"}, "InvalidParameterValue"),
        ({"MasterUserAuthenticationType": None}, "InvalidParameterValue"),
        ({"MasterUserPassword": "long-enough"}, "InvalidParameterCombination"),
        ({"EnableIAMDatabaseAuthentication": False}, "InvalidParameterCombination"),
        ({"BackupRetentionPeriod": 0}, "InvalidParameterValue"),
        ({"BackupRetentionPeriod": 36}, "InvalidParameterValue"),
        ({"StorageEncrypted": False}, "InvalidParameterCombination"),
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 1}}, "InvalidParameterValue"),
        ({"ServerlessV2ScalingConfiguration": {"MinCapacity": 4, "MaxCapacity": 2}}, "InvalidParameterValue"),
        ({"DBSubnetGroupName": "nowhere"}, "DBSubnetGroupNotFoundFault"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidParameterValue"),
        ({"ReplicationSourceIdentifier": "other"}, "NotImplemented"),
        ({"GlobalClusterIdentifier": "g"}, "NotImplemented"),
    ],
)
def test_invalid_input_is_refused_and_leaves_nothing(instant: AwsHarness, changed: dict[str, Any], code: str) -> None:
    rds = instant.platform_client("rds")
    assert catch_error(rds.create_db_cluster, **build_cluster_params(instant.create_rds_key(), **changed))[0] == code
    assert rds.describe_db_clusters()["DBClusters"] == []


def test_identifier_is_lower_cased(instant: AwsHarness) -> None:
    rds = instant.platform_client("rds")
    made = rds.create_db_cluster(**build_cluster_params(instant.create_rds_key(), DBClusterIdentifier="Env-ACME"))[
        "DBCluster"
    ]
    assert made["DBClusterIdentifier"] == NAME
    assert (
        rds.describe_db_clusters(DBClusterIdentifier="ENV-acme")["DBClusters"][0]["DBClusterArn"]
        == made["DBClusterArn"]
    )


# contract 78: the key policies allow the use of the key only for storage (D15)
def test_customers_key_cannot_encrypt_secret_or_insights(instant: AwsHarness) -> None:
    rds, key = instant.platform_client("rds"), instant.create_rds_key()
    secret = build_cluster_params(
        key, MasterUserAuthenticationType=None, ManageMasterUserPassword=True, MasterUserSecretKmsKeyId=key
    )
    insights = build_cluster_params(key, EnablePerformanceInsights=True, PerformanceInsightsKMSKeyId=key)
    for asked in (secret, insights):
        code, message = catch_error(rds.create_db_cluster, **asked)
        assert (code, f"[{key}]" in message) == ("KMSKeyNotAccessibleFault", True)
    assert rds.describe_db_clusters()["DBClusters"] == []


def test_managed_secret_is_reported_with_its_key(instant: AwsHarness) -> None:
    rds = instant.platform_client("rds")
    asked = build_cluster_params(
        instant.create_rds_key(), MasterUserAuthenticationType=None, ManageMasterUserPassword=True
    )
    secret = rds.create_db_cluster(**asked)["DBCluster"]["MasterUserSecret"]
    assert secret["SecretStatus"] == "active"
    assert ":secret:rds!cluster-" in secret["SecretArn"]
    assert secret["KmsKeyId"].startswith("arn:aws:kms:eu-central-1:111122223333:key/")


def test_secret_and_insights_use_a_platform_key(instant: AwsHarness) -> None:
    own = instant.operator_client("kms").create_key()["KeyMetadata"]["Arn"]  # D15
    asked = build_cluster_params(
        instant.create_rds_key(),
        MasterUserAuthenticationType=None,
        ManageMasterUserPassword=True,
        MasterUserSecretKmsKeyId=own,
        EnablePerformanceInsights=True,
        PerformanceInsightsKMSKeyId=own,
    )
    made = instant.platform_client("rds").create_db_cluster(**asked)["DBCluster"]
    assert made["MasterUserSecret"]["KmsKeyId"] == made["PerformanceInsightsKMSKeyId"] == own
    instant.operator_client("kms").disable_key(KeyId=own)
    code, message = catch_error(
        instant.platform_client("rds").create_db_cluster, **asked | {"DBClusterIdentifier": "b"}
    )
    assert (code, f"[{own}]" in message) == ("KMSKeyNotAccessibleFault", True)


def test_inaccessible_default_key_is_reported_as_null(instant: AwsHarness) -> None:
    document = json.loads(json.dumps(build_platform_role_policy()))
    document["Statement"] = [one for one in document["Statement"] if one["Sid"] == "Operations"]
    instant.operator_client("iam").put_role_policy(
        RoleName="AtaccamaPlatform", PolicyName="platform", PolicyDocument=json.dumps(document)
    )
    rds = instant.platform_client("rds")
    managed = build_cluster_params(None, MasterUserAuthenticationType=None, ManageMasterUserPassword=True)
    for asked, bracket in ((managed, "[null]"), (build_cluster_params(None, StorageEncrypted=True), "[alias/aws/rds]")):
        code, message = catch_error(rds.create_db_cluster, **asked)
        assert (code, bracket in message) == ("KMSKeyNotAccessibleFault", True)


def test_encryption_without_a_key_uses_the_accounts_default_key(instant: AwsHarness) -> None:
    made = instant.platform_client("rds").create_db_cluster(**build_cluster_params(None, StorageEncrypted=True))[
        "DBCluster"
    ]
    assert (made["StorageEncrypted"], made["StorageEncryptionType"]) == (True, "sse-kms")
    assert made["KmsKeyId"].startswith("arn:aws:kms:eu-central-1:111122223333:key/")


def test_describe_filters_and_separates_accounts(instant: AwsHarness) -> None:
    rds, key = instant.platform_client("rds"), instant.create_rds_key()
    for name in ("a", "b"):
        rds.create_db_cluster(**build_cluster_params(key, DBClusterIdentifier=name))
    chosen = rds.describe_db_clusters(Filters=[{"Name": "db-cluster-id", "Values": ["b"]}])["DBClusters"]
    assert [cluster["DBClusterIdentifier"] for cluster in chosen] == ["b"]
    assert instant.customer_client("rds").describe_db_clusters()["DBClusters"] == []
    assert instant.operator_client("rds", "eu-west-1").describe_db_clusters()["DBClusters"] == []
    assert catch_error(rds.describe_db_clusters, Filters=[{"Name": "x", "Values": ["y"]}])[0] == "InvalidParameterValue"


def test_role_is_limited_to_its_policy(instant: AwsHarness) -> None:
    rds = instant.platform_client("rds")
    rds.create_db_cluster(**build_cluster_params(instant.create_rds_key()))
    code, message = catch_error(rds.stop_db_cluster, DBClusterIdentifier=NAME)
    assert code == "AccessDenied"
    assert "is not authorized to perform: rds:StopDBCluster on resource: arn:aws:rds:" in message


def test_unmodelled_operation_is_refused_by_name(instant: AwsHarness) -> None:
    code, message = catch_error(instant.operator_client("rds").failover_db_cluster, DBClusterIdentifier=NAME)
    assert (code, "rds:FailoverDBCluster" in message) == ("NotImplemented", True)
