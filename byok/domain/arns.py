"""ARNs of keys and roles: functions that parse them, and the rules for the keys that an environment may use.

The rules do not depend on AWS's responses (contract 81-84, 115-117, 123-124, D6-D8), so this module never calls AWS.
byok determines later, with the key probe and the CreateDBCluster call, whether a key exists and is enabled, and whether
the platform role may use the key.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class KeyPurpose(StrEnum):
    """Identifies one of an environment's two keys: the S3 key or the Aurora key."""

    S3 = "s3"
    RDS = "rds"

    @property
    def field_label(self) -> str:
        """The label of the input field for the key's ARN (contract 28)."""
        return "S3 key ARN" if self is KeyPurpose.S3 else "RDS key ARN"

    @property
    def display_name(self) -> str:
        """The key's name in messages."""
        return "S3 key" if self is KeyPurpose.S3 else "Aurora key"

    @property
    def service_name(self) -> str:
        """Name of the service that uses the key."""
        return "S3" if self is KeyPurpose.S3 else "RDS"

    @property
    def encrypted_data(self) -> str:
        """What the key encrypts, as text for the description of a new key."""
        return "objects in S3" if self is KeyPurpose.S3 else "the Aurora cluster"

    @property
    def other(self) -> "KeyPurpose":
        """The purpose of the other key in the pair."""
        return KeyPurpose.RDS if self is KeyPurpose.S3 else KeyPurpose.S3


@dataclass(frozen=True)
class KeyPair:
    """The ARNs of an environment's two keys, as entered."""

    s3_key_arn: str
    rds_key_arn: str

    @property
    def arns(self) -> tuple[str, str]:
        """Both ARNs. The ARN of the S3 key comes first."""
        return self.s3_key_arn, self.rds_key_arn

    def items(self) -> tuple[tuple[KeyPurpose, str], ...]:
        """Return both ARNs with their purposes. The S3 key comes first."""
        return (KeyPurpose.S3, self.s3_key_arn), (KeyPurpose.RDS, self.rds_key_arn)


_AWS_MANAGED: Final = "alias/aws/"
AWS_MANAGED_KEYS: Final = KeyPair(f"{_AWS_MANAGED}s3", f"{_AWS_MANAGED}rds")
"""The aliases of the AWS managed keys for S3 and RDS in the platform's account. byok uses the aliases because it does
not know the ARNs of these keys."""

# The prefix of a Region's name determines its partition (botocore's partitions.json, `regionRegex`).
_PARTITION_BY_REGION_PREFIX: Final = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-isob-", "aws-iso-b"),
    ("us-isof-", "aws-iso-f"),
    ("us-iso-", "aws-iso"),
    ("eu-isoe-", "aws-iso-e"),
)

KEY_ARN_MAX_LENGTH: Final = 2048
"""Maximum length of a key identifier in KMS (KeyIdType in botocore's KMS model)."""

REGION_PATTERN: Final = r"^[a-z]{2,4}(-[a-z]{2,10}){1,2}-[1-9][0-9]?$"
"""Matches the name of every AWS Region. The pattern limits the length of a Region's name, because a bucket name that
contains a Region must have at most 63 characters."""

_ARN: Final = re.compile(
    r"arn:(?P<partition>aws(-[a-z]+)*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>[0-9]*):(?P<resource>[!-~]+)"
)
_ALIAS_NAME: Final = re.compile(r"alias/[A-Za-z0-9/_-]{1,250}")
_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_KEY_ID: Final = re.compile(rf"{_UUID}|mrk-[0-9a-f]{{32}}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_SESSION: Final = re.compile(
    r"arn:(?P<partition>aws(-[a-z]+)*):sts::(?P<account>[0-9]{12}):assumed-role/(?P<role>[\w+=,.@-]{1,64})/[\w+=,.@-]+",
    re.ASCII,
)
# IAM allows a path of up to 512 characters, including slashes, and a name of up to 64 characters (IAM, CreateRole).
_ROLE: Final = re.compile(
    r"arn:aws(-[a-z]+)*:iam::(?P<account>[0-9]{12}):role/([\w+=,.@/-]{1,510}/)?[\w+=,.@-]{1,64}", re.ASCII
)
ROLE_ARN_PATTERN: Final = (
    r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:role/([A-Za-z0-9_+=,.@/-]{1,510}/)?[A-Za-z0-9_+=,.@-]{1,64}$"
)
"""A regular expression for an IAM role ARN, as text, for use in request fields."""


class KeyArnErrorCode(StrEnum):
    """The errors in a key ARN that byok detects without calling AWS. Each value is an error code."""

    MALFORMED = "arn.Malformed"
    NOT_AN_ARN = "arn.NotAnArn"
    ALIAS = "arn.AliasNotAllowed"
    NOT_A_KEY = "arn.NotAKmsKey"
    OTHER_PARTITION = "arn.OtherPartition"
    OTHER_REGION = "arn.OtherRegion"
    OTHER_REGION_REPLICA = "arn.ReplicaOfOtherRegion"
    PLATFORM_ACCOUNT = "arn.PlatformAccount"
    SAME_KEY = "arn.SameKeyTwice"
    OTHER_ACCOUNT = "arn.KeysOfTwoAccounts"


class InvalidKeyArnError(ValueError):
    """Raised for text that is not a valid key ARN. `fault` is the error code."""

    def __init__(self, fault: KeyArnErrorCode, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True)
class KeyArn:
    """The parts of a full KMS key ARN."""

    partition: str
    region: str
    account: str
    key_id: str

    @property
    def is_multi_region(self) -> bool:
        """Whether the key is a multi-Region key, either the primary key or a replica."""
        return self.key_id.startswith("mrk-")

    @property
    def global_id(self) -> str:
        """`<account>/<key id>`, which identifies a key in all Regions: the replicas of a multi-Region key share it."""
        return f"{self.account}/{self.key_id}"

    def __str__(self) -> str:
        return f"arn:{self.partition}:kms:{self.region}:{self.account}:key/{self.key_id}"


@dataclass(frozen=True)
class KeyArnFinding:
    """A violation of a rule: the key and its ARN, the error code, and a message for the user who entered the ARN."""

    which: KeyPurpose
    arn: str
    fault: KeyArnErrorCode
    message: str


def partition_of_region(region: str) -> str:
    """Return the AWS partition that a Region belongs to."""
    return next((partition for prefix, partition in _PARTITION_BY_REGION_PREFIX if region.startswith(prefix)), "aws")


def account_id_of_role(role_arn: str) -> str:
    """Return the 12-digit account id in an IAM role ARN (contract 37, D3).

    Raises:
        ValueError: The text is not the ARN of an IAM role.
    """
    match = _ROLE.fullmatch(role_arn)
    if match is None:
        raise ValueError(f"not the ARN of an IAM role: {role_arn!r}")
    return match["account"]


def role_arn_of_session(caller_arn: str) -> str | None:
    """Return the ARN of the role if a caller is a role session, or None for any other caller.

    GetCallerIdentity returns `caller_arn`.

    STS omits the role's path from a session's ARN, so the returned ARN has no path (IAM user guide, "IAM identifiers").
    """
    match = _SESSION.fullmatch(caller_arn)
    return f"arn:{match['partition']}:iam::{match['account']}:role/{match['role']}" if match else None


def is_session_of_role(caller_arn: str, role_arn: str) -> bool:
    """Return whether a caller is a session of a role.

    This function compares only the account and the role's name, because the ARN of a session does not contain the
    role's path.
    """
    own = role_arn_of_session(caller_arn)
    return (
        own is not None
        and account_id_of_role(own) == account_id_of_role(role_arn)
        and own.rpartition("/")[2] == role_arn.rpartition("/")[2]
    )


def parse_key_arn(text: str) -> KeyArn:
    """Parse a full key ARN (contract 81-84).

    Raises:
        InvalidKeyArnError: The text is an alias, a key id, a different kind of ARN, or malformed.
    """
    match = _ARN.fullmatch(text)
    if match is None:
        raise InvalidKeyArnError(*_explain_malformed(text))
    resource = match["resource"]
    if match["service"] != "kms":
        raise InvalidKeyArnError(
            KeyArnErrorCode.NOT_A_KEY, f"{text} is not a KMS key ARN: its service is {match['service']}."
        )
    if resource.startswith("alias/"):
        raise InvalidKeyArnError(KeyArnErrorCode.ALIAS, f"{text} is an alias ARN. {_WHY_NO_ALIAS}")
    kind, _, key_id = resource.partition("/")
    if kind != "key" or not _KEY_ID.fullmatch(key_id) or not _ACCOUNT.fullmatch(match["account"]):
        raise InvalidKeyArnError(KeyArnErrorCode.MALFORMED, f"{text} is not a full key ARN. {_SHAPE}")
    if not re.fullmatch(REGION_PATTERN, match["region"]):
        raise InvalidKeyArnError(KeyArnErrorCode.MALFORMED, f"{text} does not contain a valid Region. {_SHAPE}")
    return KeyArn(match["partition"], match["region"], match["account"], key_id)


def is_key_arn(text: str | None) -> bool:
    """Return whether a string is a full key ARN."""
    try:
        return text is not None and str(parse_key_arn(text)) == text
    except InvalidKeyArnError:
        return False


def is_aws_managed(key: str) -> bool:
    """Return whether `key` is the alias of an AWS managed key.

    KMS reserves aliases that begin with `alias/aws/` for these keys (KMS, CreateAlias).
    """
    return key.startswith(_AWS_MANAGED)


def check_key_arns(given: KeyPair, region: str, platform_account: str | None) -> list[KeyArnFinding]:
    """Apply every rule to both ARNs and return all findings: first those for each key, then those for the pair.

    Args:
        given: The two ARNs, as entered.
        region: The environment's Region.
        platform_account: The vendor's account, or None if it is unknown. Keys in this account are rejected.
    """
    findings: list[KeyArnFinding] = []
    keys: dict[KeyPurpose, KeyArn] = {}
    for which, text in given.items():
        try:
            keys[which] = parse_key_arn(text)
        except InvalidKeyArnError as error:
            findings.append(KeyArnFinding(which, text, error.fault, str(error)))
            continue
        findings += (
            KeyArnFinding(which, text, fault, message)
            for fault, message in _location_faults(keys[which], region, platform_account)
        )
    return findings + list(_pair_faults(keys, platform_account))


def _explain_malformed(text: str) -> tuple[KeyArnErrorCode, str]:
    shown = text if len(text) <= 120 else f"{text[:120]}…"  # noqa: PLR2004 - long enough for any ARN
    if not text.strip():
        return KeyArnErrorCode.NOT_AN_ARN, f"The key ARN is empty. {_SHAPE}"
    if _ALIAS_NAME.fullmatch(text):
        return KeyArnErrorCode.ALIAS, f"{shown} is an alias name. {_WHY_NO_ALIAS}"
    if _KEY_ID.fullmatch(text):
        return KeyArnErrorCode.NOT_AN_ARN, f"{shown} is a key id, not an ARN. {_SHAPE}"
    if text.strip() != text and _ARN.fullmatch(text.strip()):
        return KeyArnErrorCode.MALFORMED, "The key ARN is surrounded by white space. Remove the white space."
    return KeyArnErrorCode.MALFORMED, f"{shown!r} is not an ARN. {_SHAPE}"


def _location_faults(key: KeyArn, region: str, platform_account: str | None) -> Iterator[tuple[KeyArnErrorCode, str]]:
    if key.partition != partition_of_region(region):
        yield (
            KeyArnErrorCode.OTHER_PARTITION,
            f"{key} is in partition {key.partition}, but the environment's Region {region} is in partition "
            f"{partition_of_region(region)}.",
        )
    elif key.region != region and key.is_multi_region:
        yield (
            KeyArnErrorCode.OTHER_REGION_REPLICA,
            f"{key} is a multi-Region key in {key.region}, but the environment is in {region}. "
            f"S3 and Aurora can only use keys in their own Region.",
        )
    elif key.region != region:
        yield (
            KeyArnErrorCode.OTHER_REGION,
            f"{key} is in {key.region}, but the environment is in {region}. "
            f"S3 and Aurora can only use keys in their own Region.",
        )
    if key.account == platform_account:
        yield (
            KeyArnErrorCode.PLATFORM_ACCOUNT,
            f"{key} is in the platform's account {platform_account}. Both keys must be in the customer's own account.",
        )


def _pair_faults(keys: dict[KeyPurpose, KeyArn], platform_account: str | None) -> Iterator[KeyArnFinding]:
    if len(keys) < len(KeyPurpose):
        return
    s3, rds = keys[KeyPurpose.S3], keys[KeyPurpose.RDS]
    # The replicas of a multi-Region key have the same key id and key material, so byok treats them as one key.
    one_replicated = s3.is_multi_region and (s3.account, s3.key_id) == (rds.account, rds.key_id)
    if s3 == rds or one_replicated:
        message = f"{rds} is used for both S3 and Aurora. S3 and Aurora must have different keys."
        yield KeyArnFinding(KeyPurpose.RDS, str(rds), KeyArnErrorCode.SAME_KEY, message)
    # If a key is in the platform's account, a finding about that key already exists. Once the user replaces that key,
    # both keys are in the customer's account, so this finding would be superfluous.
    elif s3.account != rds.account and platform_account not in (s3.account, rds.account):
        message = (
            f"The S3 key is in account {s3.account}, but the Aurora key is in {rds.account}. "
            f"Both keys must be in the same account."
        )
        yield KeyArnFinding(KeyPurpose.RDS, str(rds), KeyArnErrorCode.OTHER_ACCOUNT, message)


_SHAPE: Final = "A key ARN looks like arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab."
_WHY_NO_ALIAS: Final = (
    "An alias can be repointed to another key, which would silently change the key that encrypts the data. "
    "Use the key's own ARN."
)
