"""Direct KMS calls that involve key states, accounts, aliases and tags, in the local AWS emulator or in real AWS."""

import json
import uuid

import pytest

from tests.localaws.parity import OTHER_REGION, TwoAccounts
from tests.localaws.test_s3_recorded import HIDDEN, catch_error_with_status


def test_key_states_forbid_their_operations(accounts: TwoAccounts) -> None:
    kms = accounts.customer_client("kms")
    disabled, deleted, imported = accounts.create_key(), accounts.create_key(), accounts.create_key(Origin="EXTERNAL")
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=deleted, PendingWindowInDays=7)

    def encrypt(key: str) -> tuple[str, int, str]:
        return catch_error_with_status(kms.encrypt, KeyId=key, Plaintext=b"x")

    assert encrypt(disabled) == ("DisabledException", 400, f"{disabled} is disabled.")
    assert encrypt(deleted) == ("KMSInvalidStateException", 400, f"{deleted} is pending deletion.")
    assert encrypt(imported) == ("KMSInvalidStateException", 400, f"{imported} is pending import.")
    states = [kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in (disabled, deleted, imported)]
    assert states == ["Disabled", "PendingDeletion", "PendingImport"]
    tag = {"TagKey": "a", "TagValue": "b"}
    kms.tag_resource(KeyId=disabled, Tags=[tag])
    assert catch_error_with_status(kms.tag_resource, KeyId=deleted, Tags=[tag])[0] == "KMSInvalidStateException"


def test_cancelled_deletion_leaves_the_key_disabled(accounts: TwoAccounts) -> None:
    kms, key = accounts.customer_client("kms"), accounts.create_key()
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)  # contract 112

    kms.cancel_key_deletion(KeyId=key)

    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert kms.encrypt(KeyId=key, Plaintext=b"x")["KeyId"] == key


def test_hmac_key_does_not_encrypt(accounts: TwoAccounts) -> None:
    key = accounts.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")

    code, status, _ = catch_error_with_status(
        accounts.customer_client("kms").generate_data_key, KeyId=key, KeySpec="AES_256"
    )

    assert (code, status) == ("InvalidKeyUsageException", 400)  # contract 52


def test_missing_key_is_reported_only_to_its_owner(accounts: TwoAccounts) -> None:
    arn = f"arn:aws:kms:{accounts.region}:{accounts.customer_account}:key/{uuid.uuid4()}"
    elsewhere = f"arn:aws:kms:{OTHER_REGION}:{accounts.customer_account}:key/{uuid.uuid4()}"

    own = catch_error_with_status(accounts.customer_client("kms").describe_key, KeyId=arn)
    foreign = catch_error_with_status(accounts.platform_client("kms").describe_key, KeyId=arn)

    assert own == ("NotFoundException", 400, f"Key '{arn}' does not exist")
    assert foreign[:2] == ("AccessDeniedException", 400)
    assert foreign[2].endswith(f"is not authorized to perform: kms:DescribeKey {HIDDEN}")
    wrong = catch_error_with_status(accounts.customer_client("kms").describe_key, KeyId=elsewhere)
    assert wrong == ("NotFoundException", 400, f"Invalid arn {OTHER_REGION}")


def test_platform_role_may_call_nothing_directly_on_valid_keys(accounts: TwoAccounts) -> None:
    kms = accounts.platform_client("kms")
    for key in (
        accounts.create_key(*accounts.build_s3_statements()),
        accounts.create_key(*accounts.build_rds_statements()),
    ):
        assert catch_error_with_status(kms.describe_key, KeyId=key)[0] == "AccessDeniedException"  # contract 74
        assert catch_error_with_status(kms.encrypt, KeyId=key, Plaintext=b"x")[0] == "AccessDeniedException"
        grant = {"GranteePrincipal": accounts.role_arn, "Operations": ["Decrypt"]}
        assert (
            catch_error_with_status(kms.create_grant, KeyId=key, **grant)[0] == "AccessDeniedException"
        )  # contract 79


def test_aliases_and_tags_cannot_be_written_across_accounts(accounts: TwoAccounts) -> None:
    everything = {
        "Sid": "Everything",
        "Effect": "Allow",
        "Principal": {"AWS": accounts.role_arn},
        "Action": "kms:*",
        "Resource": "*",
    }
    key, kms = accounts.create_key(everything), accounts.platform_client("kms")

    # D11: KMS refuses both calls, regardless of the key policy. The error codes are not asserted, because we found no
    # recording of these errors.
    with pytest.raises(kms.exceptions.ClientError):
        kms.create_alias(AliasName=f"alias/byok-parity-{uuid.uuid4()}", TargetKeyId=key)
    with pytest.raises(kms.exceptions.ClientError):
        kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])


def test_aliases_are_unique_and_need_their_prefix(accounts: TwoAccounts) -> None:
    kms, key = accounts.customer_client("kms"), accounts.create_key()
    name = f"alias/byok-parity-{uuid.uuid4()}"
    kms.create_alias(AliasName=name, TargetKeyId=key)

    assert catch_error_with_status(kms.create_alias, AliasName=name, TargetKeyId=key)[0] == "AlreadyExistsException"
    assert catch_error_with_status(kms.create_alias, AliasName="no-prefix", TargetKeyId=key)[0] == "ValidationException"
    assert catch_error_with_status(kms.delete_alias, AliasName=f"{name}-x")[0] == "NotFoundException"
    kms.delete_alias(AliasName=name)


def test_invalid_tags_are_refused(accounts: TwoAccounts) -> None:
    kms, key = accounts.customer_client("kms"), accounts.create_key()
    twice = [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]
    reserved = [{"TagKey": "aws:a", "TagValue": "1"}]
    many = [{"TagKey": f"t{number}", "TagValue": "x"} for number in range(51)]

    assert catch_error_with_status(kms.tag_resource, KeyId=key, Tags=twice) == (
        "TagException",
        400,
        "Duplicate tag keys",
    )
    assert catch_error_with_status(kms.tag_resource, KeyId=key, Tags=many) == ("TagException", 400, "Too many tags")
    code, _, message = catch_error_with_status(kms.tag_resource, KeyId=key, Tags=reserved)
    assert (code, message) == ("TagException", "Tags beginning with aws: are reserved")


def test_replica_is_a_separate_key(accounts: TwoAccounts) -> None:
    primary = accounts.create_key(*accounts.build_s3_statements(), MultiRegion=True)
    made = accounts.customer_client("kms").replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
    replica = made["ReplicaKeyMetadata"]["Arn"]
    accounts.keys.insert(0, (OTHER_REGION, replica))

    assert replica == primary.replace(accounts.region, OTHER_REGION)  # contract 116
    statements = accounts.customer_client("kms", OTHER_REGION).get_key_policy(KeyId=replica)["Policy"]
    assert "AllowAtaccamaPlatformS3Access" not in statements


def test_owner_cannot_lock_themselves_out(accounts: TwoAccounts) -> None:
    kms, key = accounts.customer_client("kms"), accounts.create_key()
    policy = json.dumps({"Version": "2012-10-17", "Statement": accounts.build_s3_statements()})

    answer = catch_error_with_status(kms.put_key_policy, KeyId=key, Policy=policy)

    assert answer[0] == "MalformedPolicyDocumentException"  # contract 56
