"""Checks that the caller may use a cluster's keys (at most three), and creates RDS's grant on the storage key.

Every problem with a key causes the same fault with the same message, because RDS never passes on KMS's error. Only the
bracketed text in the message identifies the key: the key as specified in the call, or `null` or `alias/aws/…` for a
default key of the caller's account.
"""

from collections.abc import Iterable
from typing import Final

from localaws.accounts import evaluate_identity_access
from localaws.call import AwsError, Call
from localaws.kms.authorization import KeyUse, KmsError, authorize_key_use, find_propagated_revision, resolve_key_arn
from localaws.kms.aws_managed_keys import build_aws_managed_key_arn
from localaws.kms.grants import add_grant
from localaws.state import STATE

# The operations that RDS's grant allows (KMS developer guide, "How Amazon RDS uses AWS KMS" and "Grant operations").
STORAGE_GRANT_OPERATIONS: Final = (
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
    "CreateGrant",
    "DescribeKey",
    "RetireGrant",
)


def key_not_accessible_error(named: str) -> AwsError:
    """Return `KMSKeyNotAccessibleFault` with the message recorded in 2026, and with `named` in the brackets."""
    sentence = "either doesn't exist, isn't enabled, or isn't accessible by the current user."
    return AwsError("KMSKeyNotAccessibleFault", f"The specified KMS key [{named}] {sentence}")


def authorize_storage_key(call: Call) -> str | None:
    """Return the ARN of the cluster's storage key, or None if AWS uses an AWS owned key (no `StorageEncrypted`).

    With `StorageEncrypted`, the caller needs kms:DescribeKey, and kms:CreateGrant for an AWS resource, both through RDS
    (Aurora user guide, page "AWS KMS key management").

    Raises:
        AwsError: `KMSKeyNotAccessibleFault`.
    """
    if not call.params.get("StorageEncrypted"):
        return None
    reference = call.params.get("KmsKeyId")
    if not reference or reference == "alias/aws/rds":
        return _default_key(call, "rds", "alias/aws/rds")
    return _customer_key(call, reference, "rds", ("DescribeKey", "CreateGrant"))


def authorize_master_secret_key(call: Call) -> str | None:
    """Return the ARN of the managed master user secret's key, or None if RDS manages no secret.

    For a customer managed key, the caller also needs kms:Decrypt, kms:GenerateDataKey and kms:CreateGrant. The calls to
    KMS come from Secrets Manager (Aurora user guide, "Password management with Amazon Aurora and AWS Secrets Manager").

    Raises:
        AwsError: `KMSKeyNotAccessibleFault`.
    """
    if not call.params.get("ManageMasterUserPassword"):
        return None
    reference = call.params.get("MasterUserSecretKmsKeyId")
    if not reference or reference == "alias/aws/secretsmanager":
        return _default_key(call, "secretsmanager", "null")
    needed = ("DescribeKey", "Decrypt", "GenerateDataKey", "CreateGrant")
    return _customer_key(call, reference, "secretsmanager", needed)


def authorize_insights_key(call: Call, switch: str = "EnablePerformanceInsights") -> str | None:
    """Return the ARN of the Performance Insights key, or None if Performance Insights is turned off.

    The caller needs kms:Decrypt and kms:GenerateDataKey through RDS (Aurora user guide, "Configuring access policies
    for Performance Insights"). If the call does not specify a key, RDS uses the account's default key.

    Raises:
        AwsError: `KMSKeyNotAccessibleFault`.
    """
    if not call.params.get(switch):
        return None
    reference = call.params.get("PerformanceInsightsKMSKeyId")
    if not reference or reference == "alias/aws/rds":
        return _default_key(call, "rds", "null")
    return _customer_key(call, reference, "rds", ("Decrypt", "GenerateDataKey"))


def create_storage_grant(call: Call, key_arn: str | None) -> str | None:
    """Create RDS's grant on a customer's key. The grant exists for as long as the cluster does (contract 92, 121)."""
    key = STATE.keys.get(key_arn or "")
    if key is None:
        return None
    grant = add_grant(key, f"rds.{call.region}.amazonaws.com", list(STORAGE_GRANT_OPERATIONS), call.caller.account)
    return grant.grant_id


def require_key_enabled(key_arn: str) -> None:
    """Check that a cluster's key is enabled before the cluster starts again.

    Raises:
        AwsError: `KMSKeyNotAccessibleFault`.
    """
    key = STATE.keys.get(key_arn)
    if key is None or (find_propagated_revision(key) or key.latest).state != "Enabled":
        raise key_not_accessible_error(key_arn)


def _customer_key(call: Call, reference: str, service: str, actions: Iterable[str]) -> str:
    via = f"{service}.{call.region}.amazonaws.com"
    try:
        arn = resolve_key_arn(reference, call.caller.account, call.region)
        for action in actions:
            for_grant = action == "CreateGrant"
            authorize_key_use(arn, KeyUse(call.caller, f"kms:{action}", call.region, via, for_aws_resource=for_grant))
    except KmsError as refused:
        raise key_not_accessible_error(reference) from refused
    key = STATE.keys[arn]
    # RDS supports only symmetric encryption keys (KMS developer guide, "How Amazon RDS uses AWS KMS").
    if key.spec != "SYMMETRIC_DEFAULT" or key.usage != "ENCRYPT_DECRYPT":
        raise key_not_accessible_error(reference)
    return key.arn


def _default_key(call: Call, service: str, bracket: str) -> str:
    """Return the AWS managed key of a service in the caller's account.

    The key's policy lets every principal in the account use the key through the service, but the caller still needs
    kms:DescribeKey. A role without this permission gets the fault with `null` or the alias in the brackets (recorded
    from AWS).
    """
    arn = build_aws_managed_key_arn(service, call.caller.account, call.region)
    via = {"kms:ViaService": f"{service}.{call.region}.amazonaws.com"}
    if not evaluate_identity_access(call.caller, "kms:DescribeKey", arn, via).allowed:
        raise key_not_accessible_error(bracket)
    return arn
