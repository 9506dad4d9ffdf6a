"""What KMS and STS answer where a tenant's name is put on a key.

Sources: botocore's models of the operations; "Common errors" of the KMS and STS API references; for what may be tried
again `botocore.retries.standard`, which takes 500, 502, 503 and 504 for passing whatever the code is. An answer whose
body botocore cannot read has its status in the place of the code (`botocore.parsers`).
"""

from typing import Final

from byok.domain.problems.aws_errors.rule import (
    RETRY,
    STOP,
    STOP_AFTER_GRACE,
    ErrorOutcome,
    error_rules,
    key_error_rule,
)
from byok.domain.problems.remediation import Remedy

# KMS itself is called for a tenant's name alone, through a role in the customer's own account: from another account a
# key can be given neither aliases nor tags (botocore's KMS model, "Cross-account use: No").
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

# A session that KMS does not know any more, or not yet: every attempt takes on the role anew, and has another one.
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
        RETRY,
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

# A role made a moment ago is not seen everywhere at once, so a refusal may be on its way out.
STS_ERROR_RULES: Final = (
    key_error_rule("sts", "AccessDenied", STOP_AFTER_GRACE, Remedy.TENANT_ROLE, customer=False),
    *error_rules(
        "sts", RETRY, Remedy.WAIT, *_PASSING, "ExpiredToken", "ExpiredTokenException", "IDPCommunicationError"
    ),
    *error_rules("sts", STOP, Remedy.PLATFORM_CREDENTIALS, "InvalidClientTokenId", "SignatureDoesNotMatch"),
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
