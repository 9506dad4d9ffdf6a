"""Every way in which a key can be broken, with the function that breaks a key in this way and AWS's error."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement, build_rds_key_statements, build_s3_key_statements
from localaws.accounts import PLATFORM_ROLE_ARN
from localaws.state import CUSTOMER_ACCOUNT
from tests.localaws.server import REGION, VENDOR, AwsHarness

OTHER_REGION: Final = "eu-west-1"
NOT_ACCESSIBLE_CODE: Final = "rds.KMSKeyNotAccessibleFault"


@dataclass(frozen=True)
class KeyFault:
    """One way in which a key can be broken.

    Attributes:
        name: A short description of the fault.
        make: The function that creates a key with this fault, and returns the ARN that the customer pastes.
        s3_code: The problem code that byok reports for an S3 key with this fault.
        rds_code: The problem code that byok reports for an Aurora key with this fault.
        words: Words that the problem's message must contain.
        definite: Whether AWS's error is unambiguous, so that byok calls S3 only once and skips the grace period.
        s3_operation: The S3 operation that fails if the S3 key has the fault.
    """

    name: str
    make: Callable[[AwsHarness, KeyPurpose], str]
    s3_code: str
    rds_code: str = NOT_ACCESSIBLE_CODE
    words: str = ""
    definite: bool = False
    s3_operation: str = "PutObject"

    def code_for(self, which: KeyPurpose) -> str:
        """Return the problem code that byok reports for a key with this purpose and this fault."""
        return self.s3_code if which is KeyPurpose.S3 else self.rds_code

    @property
    def is_found_by_rule(self) -> bool:
        """Whether the ARN rules find this fault, without a call to AWS."""
        return self.s3_code.startswith("arn.")


def build_key_statements(which: KeyPurpose, role: str = PLATFORM_ROLE_ARN, region: str = REGION) -> list[Statement]:
    """Build the statements that the key policy of an S3 key or an Aurora key needs."""
    render = build_s3_key_statements if which is KeyPurpose.S3 else build_rds_key_statements
    return render(role, region, VENDOR)


def create_valid_key(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key whose policy has all the statements that its purpose needs."""
    return aws.create_key(*build_key_statements(which))


def _nonexistent(_: AwsHarness, __: KeyPurpose) -> str:
    return f"arn:aws:kms:{REGION}:{CUSTOMER_ACCOUNT}:key/{uuid.uuid4()}"


def _alias(aws: AwsHarness, which: KeyPurpose) -> str:
    name = f"alias/{uuid.uuid4()}"
    aws.customer_client("kms").create_alias(AliasName=name, TargetKeyId=create_valid_key(aws, which))
    return f"arn:aws:kms:{REGION}:{CUSTOMER_ACCOUNT}:{name}"


def _of_other_region(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which, region=OTHER_REGION), region=OTHER_REGION)


def _replica_of_other_region(aws: AwsHarness, which: KeyPurpose) -> str:
    primary = aws.create_key(*build_key_statements(which), MultiRegion=True)
    replica = aws.customer_client("kms").replicate_key(KeyId=primary, ReplicaRegion=OTHER_REGION)
    arn: str = replica["ReplicaKeyMetadata"]["Arn"]
    return arn


def _disable(aws: AwsHarness, which: KeyPurpose) -> str:
    arn = create_valid_key(aws, which)
    aws.customer_client("kms").disable_key(KeyId=arn)
    return arn


def _pending_deletion(aws: AwsHarness, which: KeyPurpose) -> str:
    arn = create_valid_key(aws, which)
    aws.customer_client("kms").schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    return arn


def _pending_import(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which), Origin="EXTERNAL")


def _rsa(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which), KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")


def _hmac(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which), KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")


def _ecc(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which), KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")


def _no_statement(aws: AwsHarness, _: KeyPurpose) -> str:
    return aws.create_key()


def _wrong_principal(aws: AwsHarness, which: KeyPurpose) -> str:
    # This is not the platform role. The local AWS emulator accepts this role as a principal, because it does not
    # model the role's account.
    return aws.create_key(*build_key_statements(which, role="arn:aws:iam::999988887777:role/Stranger"))


def _wrong_region_in_via_service(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(which, region=OTHER_REGION))


def _without_last_statement(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key without the last statement of its policy.

    In an Aurora key's policy, it is the grant statement. In an S3 key's policy, it is the platform's only statement.
    """
    return aws.create_key(*build_key_statements(which)[:-1])


def _statement_of_the_other_key(aws: AwsHarness, which: KeyPurpose) -> str:
    return aws.create_key(*build_key_statements(KeyPurpose.RDS if which is KeyPurpose.S3 else KeyPurpose.S3))


def _explicit_deny(aws: AwsHarness, which: KeyPurpose) -> str:
    deny = {
        "Sid": "NobodyFromOutside",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "kms:*",
        "Resource": "*",
        "Condition": {"StringNotEquals": {"aws:PrincipalAccount": CUSTOMER_ACCOUNT}},
    }
    return aws.create_key(*build_key_statements(which), deny)


def _deny_without_mfa(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key whose policy denies requests without MFA; a service's role never authenticates with MFA."""
    deny = {"Sid": "RequireMfa", "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    human = {"ArnNotLike": {"aws:PrincipalArn": f"arn:aws:iam::{CUSTOMER_ACCOUNT}:*"}}
    condition = human | {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
    return aws.create_key(*build_key_statements(which), deny | {"Condition": condition})


def _create_with_changed_conditions(aws: AwsHarness, which: KeyPurpose, **operators: dict[str, str]) -> str:
    """Create a key, and add conditions to its policy statements or replace the values of existing conditions."""
    statements = build_key_statements(which)
    for statement in statements:
        for operator, values in operators.items():
            statement["Condition"][operator] = statement["Condition"].get(operator, {}) | values
    return aws.create_key(*statements)


def _expired(aws: AwsHarness, which: KeyPurpose) -> str:
    until = {"aws:CurrentTime": "2026-01-31T00:00:00Z"}
    return _create_with_changed_conditions(aws, which, DateLessThan=until)


def _own_account_in_condition(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key whose policy conditions require the customer's account instead of the platform's account."""
    return _create_with_changed_conditions(aws, which, StringEquals={"aws:PrincipalAccount": CUSTOMER_ACCOUNT})


def _resource_of_another_key(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key whose policy statements have another key's ARN as their resource."""
    other = create_valid_key(aws, which)
    return aws.create_key(*(statement | {"Resource": other} for statement in build_key_statements(which)))


def _without_one_action(aws: AwsHarness, which: KeyPurpose) -> str:
    """Create a key whose policy lacks one action: kms:Decrypt for an S3 key, or kms:CreateGrant for an Aurora key."""
    missing = "kms:Decrypt" if which is KeyPurpose.S3 else "kms:CreateGrant"
    statements = build_key_statements(which)
    for statement in statements:
        statement["Action"] = [action for action in statement["Action"] if action != missing]
    return aws.create_key(*statements)


def create_s3_key_with_pinned_context(aws: AwsHarness, pattern: str) -> str:
    """Create an S3 key whose policy allows only encryption contexts that match the pattern."""
    pin = {"kms:EncryptionContext:aws:s3:arn": pattern}
    return _create_with_changed_conditions(aws, KeyPurpose.S3, StringLike=pin)


def _of_platform_account(aws: AwsHarness, _: KeyPurpose) -> str:
    arn: str = aws.operator_client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


KEY_FAULTS: Final = (
    KeyFault("nonexistent", _nonexistent, "s3.AccessDenied", words="does not exist"),
    KeyFault("alias", _alias, "arn.AliasNotAllowed", "arn.AliasNotAllowed", words="alias"),
    KeyFault("of another Region", _of_other_region, "arn.OtherRegion", "arn.OtherRegion", words=OTHER_REGION),
    KeyFault(
        "replica of another Region",
        _replica_of_other_region,
        "arn.ReplicaOfOtherRegion",
        "arn.ReplicaOfOtherRegion",
        words="multi-Region",
    ),
    KeyFault("disabled", _disable, "s3.KMS.DisabledException", words="isabled", definite=True),
    KeyFault("pending deletion", _pending_deletion, "s3.KMS.KMSInvalidStateException", definite=True),
    KeyFault("pending import", _pending_import, "s3.KMS.KMSInvalidStateException", definite=True),
    KeyFault("RSA", _rsa, "s3.KMS.InvalidKeyUsageException", definite=True),
    KeyFault("HMAC", _hmac, "s3.KMS.InvalidKeyUsageException", definite=True),
    KeyFault("ECC", _ecc, "s3.KMS.InvalidKeyUsageException", definite=True),
    KeyFault("no statement", _no_statement, "s3.AccessDenied"),
    KeyFault("wrong principal", _wrong_principal, "s3.AccessDenied"),
    KeyFault("wrong Region in ViaService", _wrong_region_in_via_service, "s3.AccessDenied"),
    KeyFault("without its last statement", _without_last_statement, "s3.AccessDenied"),
    KeyFault("statement of the other key", _statement_of_the_other_key, "s3.AccessDenied"),
    KeyFault("explicit Deny", _explicit_deny, "s3.AccessDenied"),
    KeyFault("Deny without MFA", _deny_without_mfa, "s3.AccessDenied"),
    KeyFault("expired condition", _expired, "s3.AccessDenied"),
    KeyFault("own account in the condition", _own_account_in_condition, "s3.AccessDenied"),
    KeyFault("resource of another key", _resource_of_another_key, "s3.AccessDenied"),
    KeyFault("without one action", _without_one_action, "s3.AccessDenied", s3_operation="GetObject"),
    KeyFault("of the platform's account", _of_platform_account, "arn.PlatformAccount", "arn.PlatformAccount"),
)
