"""The one table that decides what an error of AWS means. No other place decides.

A row is found by service and wire code (`error.response["Error"]["Code"]`, never boto's class name), and by the message
only where AWS's code is too broad. HTTP statuses do not decide: KMS answers 400 to nearly everything, RDS quotas are
403 and S3 conflicts 409. Sources: S3 API reference "Error responses", botocore's RDS and KMS models, KMS developer
guide "Key states".
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.domain.remediation import Remedy


class Outcome(StrEnum):
    """What to do about an error."""

    STOP = "stop"
    STOP_AFTER_GRACE = "stop_after_grace"
    RETRY = "retry"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        service: botocore's name of the service.
        code: The wire code.
        outcome: What to do.
        remedy: Which advice a person gets.
        customer_key: Whether it is a customer's key that AWS refused.
        message: What the message has to contain, where the code alone is too broad.
    """

    service: str
    code: str
    outcome: Outcome
    remedy: Remedy = Remedy.PLATFORM_OPERATOR
    customer_key: bool = False
    message: re.Pattern[str] | None = None


def _rows(service: str, outcome: Outcome, remedy: Remedy, *codes: str) -> tuple[Row, ...]:
    return tuple(Row(service, code, outcome, remedy) for code in codes)


def _key(
    service: str, code: str, outcome: Outcome, remedy: Remedy, message: str | None = None, *, customer: bool = True
) -> Row:
    return Row(service, code, outcome, remedy, customer, re.compile(message) if message else None)


_STOP, _GRACE, _RETRY = Outcome.STOP, Outcome.STOP_AFTER_GRACE, Outcome.RETRY

# S3 speaks KMS's own codes with a prefix, and hides a refusal by policy in AccessDenied (S3 API reference, "Error
# responses"). A key that is not found is ambiguous: KMS is eventually consistent, and across accounts it hides what
# exists. Throttling and internal codes with the prefix are not documented, but cost nothing to know.
_S3_KEY: Final = (
    _key("s3", "KMS.DisabledException", _STOP, Remedy.ENABLE_KEY),
    _key("s3", "KMS.InvalidKeyUsageException", _STOP, Remedy.SYMMETRIC_KEY),
    _key("s3", "KMS.NotFoundException", _STOP, Remedy.CHECK_ARN, r"Invalid (arn|keyId)"),
    _key("s3", "KMS.NotFoundException", _GRACE, Remedy.CHECK_ARN),
    _key("s3", "KMS.KMSInvalidStateException", _STOP, Remedy.CANCEL_DELETION, r"pending (replica )?deletion"),
    _key("s3", "KMS.KMSInvalidStateException", _STOP, Remedy.IMPORT_MATERIAL, r"pending import"),
    _key("s3", "KMS.KMSInvalidStateException", _GRACE, Remedy.KEY_STATE),
    # The platform's own IAM policy refuses, and not the customer's key policy (IAM user guide, "Access denied error
    # messages"); a policy made a moment ago may be on its way, too.
    _key(
        "s3",
        "AccessDenied",
        _GRACE,
        Remedy.PLATFORM_PERMISSION,
        r"no (identity-based|session) policy allows the kms:|deny in an? (identity-based|session|service control)",
        customer=False,
    ),
    _key("s3", "AccessDenied", _GRACE, Remedy.S3_KEY_POLICY, r"\bkms:[A-Z]\w+"),
    *_rows(
        "s3",
        _RETRY,
        Remedy.WAIT,
        "KMS.ThrottlingException",
        "KMS.KMSInternalException",
        "KMS.DependencyTimeoutException",
        "KMS.KeyUnavailableException",
    ),
)

# HEAD answers carry no body: botocore puts the bare HTTP status where the code would stand (S3, HeadObject).
_S3: Final = (
    *_rows("s3", Outcome.EXISTS, Remedy.NAME_TAKEN, "BucketAlreadyOwnedByYou", "PreconditionFailed"),
    *_rows(
        "s3",
        Outcome.ABSENT,
        Remedy.WAIT,
        "404",
        "NoSuchBucket",
        "NoSuchBucketPolicy",
        "NoSuchKey",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchTagSet",
        "OwnershipControlsNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    *_rows(
        "s3",
        _RETRY,
        Remedy.WAIT,
        "500",
        "502",
        "503",
        "504",
        "BadDigest",
        "ConditionalRequestConflict",
        "ExpiredToken",
        "IncompleteBody",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
    ),
    *_rows("s3", _STOP, Remedy.NAME_TAKEN, "BucketAlreadyExists"),
    *_rows("s3", _GRACE, Remedy.PLATFORM_OPERATOR, "400", "MalformedPolicy"),
    *_rows("s3", _STOP, Remedy.PLATFORM_PERMISSION, "403", "AccessDenied", "AllAccessDisabled", "AccountProblem"),
    *_rows(
        "s3",
        _STOP,
        Remedy.PLATFORM_CREDENTIALS,
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    ),
    *_rows("s3", _STOP, Remedy.QUOTA, "TooManyBuckets"),
    *_rows(
        "s3",
        _STOP,
        Remedy.PLATFORM_OPERATOR,
        "301",
        "AuthorizationHeaderMalformed",
        "BucketNotEmpty",
        "EncryptionTypeMismatch",
        "IllegalLocationConstraintException",
        "InvalidArgument",
        "InvalidBucketName",
        "InvalidBucketState",
        "InvalidLocationConstraint",
        "InvalidObjectState",
        "InvalidRequest",
        "InvalidTag",
        "InvalidWriteOffset",
        "MalformedXML",
        "MethodNotAllowed",
        "NotImplemented",
        "PermanentRedirect",
        "TooManyParts",
    ),
)

# RDS has one fault for everything that can be wrong with a key. Brackets in its message name the key: `[null]` and
# `[alias/aws/…]` are default keys of the platform's account, and no customer's fault (recorded answers).
_RDS_KEY: Final = (
    _key(
        "rds",
        "KMSKeyNotAccessibleFault",
        _STOP,
        Remedy.PLATFORM_KEY,
        r"\[(null|[^\]]*alias/aws/[^\]]*)\]",
        customer=False,
    ),
    _key("rds", "KMSKeyNotAccessibleFault", _GRACE, Remedy.RDS_KEY),
)

_RDS: Final = (
    *_rows("rds", Outcome.EXISTS, Remedy.NAME_TAKEN, "DBClusterAlreadyExistsFault", "DBInstanceAlreadyExists"),
    *_rows("rds", Outcome.ABSENT, Remedy.WAIT, "DBClusterNotFoundFault", "DBInstanceNotFound"),
    # A role made a moment ago is not yet seen by RDS (Terraform's AWS provider waits on the same text).
    Row("rds", "InvalidParameterValue", _GRACE, Remedy.PLATFORM_PERMISSION, message=re.compile(r"IAM role ARN value")),
    *_rows(
        "rds",
        _RETRY,
        Remedy.WAIT,
        "ExpiredToken",
        "InsufficientDBInstanceCapacity",
        "InsufficientStorageClusterCapacity",
        "InternalFailure",
        "InvalidDBCapacityReservationState",
        "InvalidDBClusterSnapshotStateFault",
        "InvalidDBClusterStateFault",
        "InvalidDBInstanceState",
        "InvalidDBSubnetGroupStateFault",
        "InvalidGlobalClusterStateFault",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
    ),
    *_rows(
        "rds",
        _STOP,
        Remedy.QUOTA,
        "DBClusterAutomatedBackupQuotaExceededFault",
        "DBClusterQuotaExceededFault",
        "DBClusterRoleQuotaExceeded",
        "DBInstanceAutomatedBackupQuotaExceeded",
        "InstanceQuotaExceeded",
        "SnapshotQuotaExceeded",
        "StorageQuotaExceeded",
        "TenantDatabaseQuotaExceeded",
    ),
    *_rows("rds", _STOP, Remedy.PLATFORM_PERMISSION, "AccessDenied", "AccessDeniedException", "AuthorizationNotFound"),
    *_rows(
        "rds",
        _STOP,
        Remedy.PLATFORM_CREDENTIALS,
        "IncompleteSignature",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "SignatureDoesNotMatch",
    ),
    *_rows(
        "rds",
        _STOP,
        Remedy.PLATFORM_OPERATOR,
        "BackupPolicyNotFoundFault",
        "CertificateNotFound",
        "DBCapacityReservationNotFound",
        "DBClusterParameterGroupNotFound",
        "DBClusterSnapshotAlreadyExistsFault",
        "DBParameterGroupNotFound",
        "DBSecurityGroupNotFound",
        "DBSnapshotAlreadyExists",
        "DBSubnetGroupDoesNotCoverEnoughAZs",
        "DBSubnetGroupNotFoundFault",
        "DomainNotFoundFault",
        "GlobalClusterNotFoundFault",
        "InvalidDBSecurityGroupState",
        "InvalidDBSubnetGroupFault",
        "InvalidParameterCombination",
        "InvalidParameterValue",
        "InvalidSubnet",
        "InvalidVPCNetworkStateFault",
        "MissingParameter",
        "NetworkTypeNotSupported",
        "OptionGroupNotFoundFault",
        "ProvisionedIopsNotAvailableInAZFault",
        "StorageTypeNotAvailableFault",
        "StorageTypeNotSupported",
        "ValidationError",
        "VpcEncryptionControlViolationException",
    ),
)

TABLE: Final[tuple[Row, ...]] = (*_S3_KEY, *_S3, *_RDS_KEY, *_RDS)

OPERATIONS: Final[dict[str, tuple[str, ...]]] = {
    "rds": (
        "CreateDBCluster",
        "CreateDBInstance",
        "DeleteDBCluster",
        "DeleteDBInstance",
        "DescribeDBClusters",
        "DescribeDBInstances",
        "ModifyDBCluster",
    ),
    "s3": (
        "CreateBucket",
        "DeleteBucket",
        "DeleteObject",
        "GetBucketEncryption",
        "GetBucketOwnershipControls",
        "GetBucketPolicy",
        "GetBucketTagging",
        "GetBucketVersioning",
        "GetObject",
        "GetPublicAccessBlock",
        "HeadBucket",
        "HeadObject",
        "ListObjectVersions",
        "PutBucketEncryption",
        "PutBucketLifecycleConfiguration",
        "PutBucketOwnershipControls",
        "PutBucketPolicy",
        "PutBucketVersioning",
        "PutObject",
        "PutPublicAccessBlock",
    ),
}
"""Every operation the activities call: the table is proved complete for these, and the platform role needs no other."""


def classify(service: str, code: str, message: str, key_arn: str | None = None) -> Row:
    """What an error of AWS means.

    An unknown code counts as ambiguous: tried again for the grace, then a stop, never without end.

    Args:
        service: botocore's name of the service.
        code: The wire code.
        message: AWS's message.
        key_arn: The customer's key that the call used. RDS takes up to three keys and names the one at fault in
            brackets; any other than this one is the platform's.
    """
    row = next(
        (
            row
            for row in TABLE
            if row.service == service
            and row.code == code
            and (row.message is None or row.message.search(message) is not None)
        ),
        Row(service, code, Outcome.STOP_AFTER_GRACE, Remedy.PLATFORM_OPERATOR),
    )
    if row.remedy is Remedy.RDS_KEY and key_arn is not None:
        named = re.search(r"\[(arn:[^\]]+)\]", message)
        if named is not None and named[1] != key_arn:
            return Row(service, code, Outcome.STOP, Remedy.PLATFORM_KEY)
    return row
