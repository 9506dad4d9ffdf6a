"""Diagnose keys from KMS's responses: a fault that would stop provisioning is always the first finding."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.arns import KeyPurpose
from byok.domain.diagnosis.diagnose import diagnose_collected_keys
from byok.domain.diagnosis.key_facts import COLLECTION_FORMAT, CollectedKeys
from byok.domain.iam.findings import Finding, Severity
from localaws.accounts import PLATFORM_ROLE_ARN
from tests.key_faults import KEY_FAULTS, KeyFault, create_valid_key
from tests.localaws.server import REGION, VENDOR, AwsHarness
from tests.remedy_text import text_of

FIRST = {
    "nonexistent": "key.NotFound",
    "alias": "arn.AliasNotAllowed",
    "of another Region": "arn.OtherRegion",
    "replica of another Region": "arn.ReplicaOfOtherRegion",
    "disabled": "key.Disabled",
    "pending deletion": "key.PendingDeletion",
    "pending import": "key.PendingImport",
    "RSA": "key.WrongKind",
    "HMAC": "key.WrongKind",
    "ECC": "key.WrongKind",
    "no statement": "policy.StatementMissing",
    "wrong principal": "policy.RoleOfAnotherAccount",
    "wrong Region in ViaService": "policy.WrongRegionInViaService",
    "without its last statement": "policy.StatementMissing",
    "statement of the other key": "policy.StatementOfTheOtherKey",
    "explicit Deny": "policy.ExplicitDeny",
    "Deny without MFA": "policy.DenyCannotBeSaid",
    "expired condition": "policy.Tightened",
    "own account in the condition": "policy.WrongAccount",
    "resource of another key": "policy.ResourceNotStar",
    "without one action": "policy.ActionMissing",
    "of the platform's account": "arn.PlatformAccount",
}
UNDECIDED = {"policy.DenyCannotBeSaid"}
"""Findings that leave the result undecided, because the result depends on values that only AWS knows during a call."""


def collect_key(aws: AwsHarness, arn: str) -> dict[str, Any]:
    """Return the facts that the collection script would collect about a key."""
    kms = aws.customer_client("kms")

    def ask(call: Callable[..., Any], **more: str) -> dict[str, Any]:
        try:
            return {key: value for key, value in call(KeyId=arn, **more).items() if key != "ResponseMetadata"}
        except ClientError as error:
            return {"error": str(error)}

    described = ask(kms.describe_key)
    for moment in ("CreationDate", "DeletionDate"):
        if moment in described.get("KeyMetadata", {}):
            described["KeyMetadata"][moment] = str(described["KeyMetadata"][moment])
    return {
        "arn": arn,
        "describe_key": described,
        "key_policy": ask(kms.get_key_policy),
        "rotation": ask(kms.get_key_rotation_status),
        "aliases": ask(kms.list_aliases),
        "tags": ask(kms.list_resource_tags),
    }


def diagnose_keys(aws: AwsHarness, **arns: str) -> tuple[Finding, ...]:
    keys = {
        which.value: collect_key(aws, arns.get(which.value) or create_valid_key(aws, which)) for which in KeyPurpose
    }
    found = {"format": COLLECTION_FORMAT, "platform_role_arn": PLATFORM_ROLE_ARN, "region": REGION, **keys}
    return diagnose_collected_keys(CollectedKeys.model_validate(found), VENDOR, datetime.now(UTC))


def test_valid_keys_have_no_blocking_findings(aws: AwsHarness) -> None:
    assert {finding.severity for finding in diagnose_keys(aws)} <= {Severity.NOTE}


@pytest.mark.parametrize("which", KeyPurpose)
@pytest.mark.parametrize("breakage", KEY_FAULTS, ids=lambda breakage: breakage.name)
def test_broken_key_is_reported_first(aws: AwsHarness, breakage: KeyFault, which: KeyPurpose) -> None:
    first = diagnose_keys(aws, **{which.value: breakage.make(aws, which)})[0]

    severity = Severity.UNKNOWN if first.code in UNDECIDED else Severity.STOPS
    assert (first.code, first.key, first.severity) == (FIRST[breakage.name], which, severity)
    assert text_of(first.remediation)
