"""Rules for S3 errors (source: S3 API reference, "Error responses")."""

from typing import Final

from byok.domain.problems.aws_errors.rule import (
    HOLD,
    RETRY,
    STOP,
    STOP_AFTER_GRACE,
    ErrorOutcome,
    error_rules,
    key_error_rule,
)
from byok.domain.problems.remediation import Remedy

# S3 forwards KMS's error codes with the prefix `KMS.`, but reports a denial by a policy as AccessDenied (S3 API
# reference, "Error responses"). KMS.NotFoundException is ambiguous: KMS is eventually consistent, and KMS does not
# reveal to other accounts which keys exist. The prefixed codes for throttling and internal errors are undocumented;
# they are listed in case S3 returns them.
S3_KEY_ERROR_RULES: Final = (
    key_error_rule("s3", "KMS.DisabledException", STOP, Remedy.ENABLE_KEY),
    key_error_rule("s3", "KMS.InvalidKeyUsageException", STOP, Remedy.SYMMETRIC_KEY),
    key_error_rule("s3", "KMS.NotFoundException", STOP, Remedy.CHECK_ARN, r"Invalid (arn|keyId)"),
    key_error_rule("s3", "KMS.NotFoundException", STOP_AFTER_GRACE, Remedy.CHECK_ARN),
    key_error_rule("s3", "KMS.KMSInvalidStateException", STOP, Remedy.CANCEL_DELETION, r"pending (replica )?deletion"),
    key_error_rule("s3", "KMS.KMSInvalidStateException", STOP, Remedy.IMPORT_MATERIAL, r"pending import"),
    key_error_rule("s3", "KMS.KMSInvalidStateException", STOP_AFTER_GRACE, Remedy.KEY_STATE),
    # These messages show that one of the platform's policies, not the customer's key policy, denies access (IAM user
    # guide, "Access denied error messages"). byok still retries, because a policy change may be propagating.
    key_error_rule(
        "s3",
        "AccessDenied",
        STOP_AFTER_GRACE,
        Remedy.PLATFORM_PERMISSION,
        r"no (identity-based|session) policy allows the kms:|deny in an? (identity-based|session|service control)",
        customer=False,
    ),
    key_error_rule("s3", "AccessDenied", STOP_AFTER_GRACE, Remedy.S3_KEY_POLICY, r"\bkms:[A-Z]\w+"),
    *error_rules(
        "s3",
        HOLD,
        Remedy.WAIT,
        "KMS.ThrottlingException",
        "KMS.KMSInternalException",
        "KMS.DependencyTimeoutException",
    ),
    # The key's custom key store is disconnected. Only the customer can reconnect the key store.
    *error_rules("s3", RETRY, Remedy.WAIT, "KMS.KeyUnavailableException"),
)

# The response to a HEAD request has no body, so botocore uses the HTTP status as the error code (S3, HeadObject).
S3_ERROR_RULES: Final = (
    *error_rules("s3", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN, "BucketAlreadyOwnedByYou", "PreconditionFailed"),
    *error_rules(
        "s3",
        ErrorOutcome.ABSENT,
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
    *error_rules(
        "s3",
        RETRY,
        Remedy.WAIT,
        "BadDigest",
        "ConditionalRequestConflict",
        "IncompleteBody",
        "OperationAborted",
    ),
    *error_rules(
        "s3",
        HOLD,
        Remedy.WAIT,
        "500",
        "502",
        "503",
        "504",
        "InternalError",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
    ),
    *error_rules("s3", STOP, Remedy.BUCKET_OF_ANOTHER_ACCOUNT, "BucketAlreadyExists"),
    *error_rules("s3", STOP_AFTER_GRACE, Remedy.PLATFORM_OPERATOR, "400", "MalformedPolicy"),
    *error_rules("s3", STOP, Remedy.PLATFORM_PERMISSION, "403", "AccessDenied", "AllAccessDisabled", "AccountProblem"),
    *error_rules(
        "s3",
        HOLD,
        Remedy.PLATFORM_CREDENTIALS,
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
    ),
    *error_rules("s3", STOP, Remedy.QUOTA, "TooManyBuckets"),
    *error_rules(
        "s3",
        STOP,
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
