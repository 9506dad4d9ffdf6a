"""KMS parameters that change what a call does: grant constraints, dry runs, rotation, replicas and pagination."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_kms_permissions import TAG, allow_statement
from tests.localaws.test_s3_recorded import catch_error_with_status

DRY_RUN = ("DryRunOperationException", 400, "The request would have succeeded, but the DryRun option is set.")
OTHER_REGION = "eu-west-1"


def create_grant(aws: AwsHarness, key: str, *operations: str, **params: Any) -> str:
    """Create a grant that lets the platform role use a customer key, and return the grant's id."""
    made = aws.customer_client("kms").create_grant(
        KeyId=key, GranteePrincipal=PLATFORM_ROLE_ARN, Operations=list(operations), **params
    )
    return str(made["GrantId"])


def may_generate(aws: AwsHarness, key: str, **context: str) -> bool:
    """Return whether the platform role gets a data key with this encryption context."""
    try:
        aws.platform_client("kms").generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=context)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDeniedException":
            raise
        return False
    return True


def test_grant_holds_only_for_the_encryption_context_of_its_constraint(aws: AwsHarness) -> None:
    equal, subset = aws.create_key(), aws.create_key()
    create_grant(aws, equal, "GenerateDataKey", Constraints={"EncryptionContextEquals": {"tenant": "a"}})
    create_grant(aws, subset, "GenerateDataKey", Constraints={"EncryptionContextSubset": {"tenant": "a"}})

    contexts: list[dict[str, str]] = [{"tenant": "a"}, {"TENANT": "a"}, {"tenant": "A"}, {"tenant": "b"}, {}]
    for context in contexts:
        expected = context in contexts[:2]
        assert may_generate(aws, equal, **context) is may_generate(aws, subset, **context) is expected
    assert not may_generate(aws, equal, tenant="a", more="x")
    assert may_generate(aws, subset, tenant="a", more="x")


def test_constraint_does_not_limit_management_operations(aws: AwsHarness) -> None:
    key = aws.create_key()
    constraints = {"EncryptionContextEquals": {"tenant": "a"}}
    create_grant(aws, key, "DescribeKey", "Decrypt", Constraints=constraints)

    assert aws.platform_client("kms").describe_key(KeyId=key)["KeyMetadata"]["Arn"] == key
    (grant,) = aws.customer_client("kms").list_grants(KeyId=key)["Grants"]
    assert grant["Constraints"] == constraints


@pytest.mark.parametrize(
    ("operations", "constraints", "what"),
    [
        (["Decrypt"], {"SourceArn": "arn:aws:s3:::a-bucket"}, "Constraints.SourceArn"),
        (
            ["CreateGrant"],
            {"EncryptionContextEquals": {"a": "b"}},
            "Constraints together with the operation CreateGrant",
        ),
    ],
    ids=["SourceArn", "further grants"],
)
def test_other_constraints_are_refused_by_name(
    aws: AwsHarness, operations: list[str], constraints: dict[str, Any], what: str
) -> None:
    refused = catch_error_with_status(
        aws.customer_client("kms").create_grant,
        KeyId=aws.create_key(),
        GranteePrincipal=PLATFORM_ROLE_ARN,
        Operations=operations,
        Constraints=constraints,
    )

    assert refused == ("NotImplemented", 501, f"The local AWS emulator does not model {what} of kms:CreateGrant.")


def test_named_grant_is_created_once(aws: AwsHarness) -> None:
    key = aws.create_key()
    first = create_grant(aws, key, "Decrypt", "Encrypt", Name="mine")

    assert create_grant(aws, key, "Encrypt", "Decrypt", Name="mine") == first
    assert create_grant(aws, key, "Decrypt", Name="mine") != first
    assert create_grant(aws, key, "Decrypt") != create_grant(aws, key, "Decrypt")


def test_grants_are_listed_by_grantee(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    mine = create_grant(aws, key, "Decrypt")
    kms.create_grant(KeyId=key, GranteePrincipal="arn:aws:iam::444455556666:role/Other", Operations=["Decrypt"])

    listed = kms.list_grants(KeyId=key, GranteePrincipal=PLATFORM_ROLE_ARN)["Grants"]

    assert [grant["GrantId"] for grant in listed] == [mine]


def test_dry_run_changes_nothing(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    grant = create_grant(aws, key, "Decrypt")
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]

    dry_runs: list[tuple[Any, dict[str, Any]]] = [
        (kms.create_grant, {"KeyId": key, "GranteePrincipal": PLATFORM_ROLE_ARN, "Operations": ["Encrypt"]}),
        (kms.revoke_grant, {"KeyId": key, "GrantId": grant}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.encrypt, {"KeyId": key, "Plaintext": b"secret"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
    ]

    assert [catch_error_with_status(call, DryRun=True, **given) for call, given in dry_runs] == [DRY_RUN] * 6
    assert [one["GrantId"] for one in kms.list_grants(KeyId=key)["Grants"]] == [grant]


def test_dry_run_reports_what_would_refuse_the_call(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    request = {"KeyId": key, "KeySpec": "AES_256", "DryRun": True}

    assert (
        catch_error_with_status(aws.platform_client("kms").generate_data_key, **request)[0] == "AccessDeniedException"
    )
    kms.disable_key(KeyId=key)
    assert catch_error_with_status(kms.generate_data_key, **request)[0] == "DisabledException"


def test_decrypt_refuses_another_key_than_the_ciphertexts(aws: AwsHarness) -> None:
    kms, key, other = aws.customer_client("kms"), aws.create_key(), aws.create_key()
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]

    for reference in (key, key.rpartition("/")[2], "alias/mine"):
        assert kms.decrypt(CiphertextBlob=blob, KeyId=reference)["Plaintext"] == b"secret"
    assert catch_error_with_status(kms.decrypt, CiphertextBlob=blob, KeyId=other)[0] == "IncorrectKeyException"


@pytest.mark.parametrize("size", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}], ids=["neither", "both"])
def test_data_key_needs_its_spec_or_its_size(aws: AwsHarness, size: dict[str, Any]) -> None:
    kms = aws.customer_client("kms")

    assert catch_error_with_status(kms.generate_data_key, KeyId=aws.create_key(), **size)[0] == "ValidationException"


@pytest.mark.parametrize(("params", "days"), [({}, 365), ({"RotationPeriodInDays": 90}, 90)])
def test_rotation_has_a_period(aws: AwsHarness, params: dict[str, int], days: int) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    assert "RotationPeriodInDays" not in kms.get_key_rotation_status(KeyId=key)

    kms.enable_key_rotation(KeyId=key, **params)

    status = kms.get_key_rotation_status(KeyId=key)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, days)
    assert abs(status["NextRotationDate"] - datetime.now(UTC) - timedelta(days=days)) < timedelta(minutes=1)
    kms.disable_key_rotation(KeyId=key)
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_rotation_period_has_bounds(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()

    refused = catch_error_with_status(kms.enable_key_rotation, KeyId=key, RotationPeriodInDays=2561)

    assert refused[0] == "ValidationException"


def test_related_multi_region_keys_know_each_other(aws: AwsHarness) -> None:
    kms, primary = aws.customer_client("kms"), aws.create_key(MultiRegion=True, Description="primary", Tags=[TAG])
    replica = kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION, Description="replica")["ReplicaKeyMetadata"]

    for region, arn, kind in ((REGION, primary, "PRIMARY"), (OTHER_REGION, replica["Arn"], "REPLICA")):
        metadata = aws.customer_client("kms", region).describe_key(KeyId=arn)["KeyMetadata"]
        assert metadata["MultiRegionConfiguration"] == {
            "MultiRegionKeyType": kind,
            "PrimaryKey": {"Arn": primary, "Region": REGION},
            "ReplicaKeys": [{"Arn": replica["Arn"], "Region": OTHER_REGION}],
        }
        assert metadata["Description"] == kind.lower()
    single = kms.describe_key(KeyId=aws.create_key())["KeyMetadata"]
    assert (single["MultiRegion"], "MultiRegionConfiguration" in single) == (False, False)


def test_replica_has_its_own_tags(aws: AwsHarness) -> None:
    kms, there = aws.customer_client("kms"), aws.customer_client("kms", OTHER_REGION)
    primary = aws.create_key(MultiRegion=True, Tags=[TAG])
    own = [{"TagKey": "cost", "TagValue": "0"}]

    replica = kms.replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION, Tags=own)["ReplicaKeyMetadata"]["Arn"]

    assert there.list_resource_tags(KeyId=replica)["Tags"] == own
    assert catch_error_with_status(there.replicate_key, KeyId=replica, ReplicaRegion="eu-north-1")[0] == (
        "UnsupportedOperationException"
    )


def test_former_name_of_the_key_spec_still_works(aws: AwsHarness) -> None:
    key = aws.create_key(CustomerMasterKeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")

    assert aws.customer_client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeySpec"] == "HMAC_256"


@pytest.mark.parametrize(
    ("operation", "params", "what"),
    [
        ("create_key", {"Origin": "AWS_CLOUDHSM"}, "Origin AWS_CLOUDHSM of kms:CreateKey"),
        ("get_key_policy", {"PolicyName": "AWS_RAM"}, "PolicyName AWS_RAM of kms:GetKeyPolicy"),
    ],
)
def test_values_beyond_the_model_are_refused_by_name(
    aws: AwsHarness, operation: str, params: dict[str, str], what: str
) -> None:
    given = params if operation == "create_key" else {"KeyId": aws.create_key(), **params}

    refused = catch_error_with_status(getattr(aws.customer_client("kms"), operation), **given)

    assert refused == ("NotImplemented", 501, f"The local AWS emulator does not model {what}.")


def test_replica_with_tags_needs_permission_to_tag(aws: AwsHarness) -> None:
    primary = aws.create_key(MultiRegion=True)
    role = aws.create_customer_role(allow_statement(["kms:ReplicateKey", "kms:CreateKey"], "*"))
    kms = aws.assumed_role_client("kms", role)

    refused = catch_error_with_status(kms.replicate_key, KeyId=primary, ReplicaRegion=OTHER_REGION, Tags=[TAG])

    assert refused[0] == "AccessDeniedException"
    assert "kms:TagResource" in refused[2]
