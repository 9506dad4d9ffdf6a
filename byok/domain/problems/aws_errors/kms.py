"""Rules for the KMS and STS errors that can occur while byok sets a tenant name on a key.

The sources are botocore's models of the operations and "Common errors" in the KMS and STS API references. The source
for retryable errors is `botocore.retries.standard`, which treats the HTTP statuses 500, 502, 503 and 504 as transient
regardless of the error code. If botocore cannot parse a response body, it uses the HTTP status as the error code
(`botocore.parsers`).
"""

from typing import Final

from byok.domain.problems.aws_errors.rule import (
    HOLD,
    STOP,
    STOP_AFTER_GRACE,
    ErrorOutcome,
    error_rules,
    key_error_rule,
)
from byok.domain.problems.remediation import Remedy

# byok calls KMS directly only for tenant names, and does so through a role in the customer's account, because a key's
# aliases and tags cannot be changed from another account (botocore's KMS model, "Cross-account use: No"). The following
# error codes indicate transient errors.
_PASSING: Final = (
    "500",
    "502",
    "503",
    "504",
    "InternalFailure",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
)

# KMS returns these errors if the role's session has expired, or if KMS does not know the session yet. A retry helps,
# because every attempt assumes the role again and gets a new session.
_OF_THE_SESSION: Final = ("ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException")

KMS_ERROR_RULES: Final = (
    key_error_rule("kms", "AccessDeniedException", STOP_AFTER_GRACE, Remedy.TENANT_ROLE),
    key_error_rule("kms", "NotFoundException", STOP_AFTER_GRACE, Remedy.CHECK_ARN),
    key_error_rule("kms", "InvalidArnException", STOP, Remedy.CHECK_ARN),
    key_error_rule("kms", "KMSInvalidStateException", STOP, Remedy.CANCEL_DELETION, r"pending (replica )?deletion"),
    key_error_rule("kms", "KMSInvalidStateException", STOP_AFTER_GRACE, Remedy.KEY_STATE),
    key_error_rule("kms", "LimitExceededException", STOP, Remedy.KEY_LIMIT),
    key_error_rule("kms", "TagException", STOP, Remedy.KEY_LIMIT),
    *error_rules("kms", ErrorOutcome.EXISTS, Remedy.NAME_TAKEN, "AlreadyExistsException"),
    *error_rules(
        "kms",
        HOLD,
        Remedy.WAIT,
        *_PASSING,
        *_OF_THE_SESSION,
        "DependencyTimeoutException",
        "KMSInternalException",
    ),
    *error_rules(
        "kms",
        STOP,
        Remedy.PLATFORM_OPERATOR,
        "InvalidAliasNameException",
        "InvalidMarkerException",
        "UnsupportedOperationException",
        "ValidationException",
    ),
)

# A new role takes time to propagate, so an access-denied error may be temporary.
STS_ERROR_RULES: Final = (
    key_error_rule("sts", "AccessDenied", STOP_AFTER_GRACE, Remedy.TENANT_ROLE, customer=False),
    *error_rules("sts", HOLD, Remedy.WAIT, *_PASSING, "IDPCommunicationError"),
    *error_rules(
        "sts",
        HOLD,
        Remedy.PLATFORM_CREDENTIALS,
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
    ),
    *error_rules(
        "sts",
        STOP,
        Remedy.PLATFORM_OPERATOR,
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
        "ValidationError",
    ),
)
