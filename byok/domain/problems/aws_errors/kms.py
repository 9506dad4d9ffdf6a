"""What KMS and STS answer where a tenant's name is put on a key.

Sources: botocore's models of the operations; "Common errors" of the KMS and STS API references; for what may be tried
again `botocore.retries.standard`, which takes 500, 502, 503 and 504 for passing whatever the code is. An answer whose
body botocore cannot read has its status in the place of the code (`botocore.parsers`).
"""

from typing import Final

from byok.domain.problems.aws_errors.rule import GRACE, RETRY, STOP, Outcome, key_row, rows
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

KMS_ROWS: Final = (
    key_row("kms", "AccessDeniedException", GRACE, Remedy.TENANT_ROLE),
    key_row("kms", "NotFoundException", GRACE, Remedy.CHECK_ARN),
    key_row("kms", "InvalidArnException", STOP, Remedy.CHECK_ARN),
    key_row("kms", "KMSInvalidStateException", STOP, Remedy.CANCEL_DELETION, r"pending (replica )?deletion"),
    key_row("kms", "KMSInvalidStateException", GRACE, Remedy.KEY_STATE),
    key_row("kms", "LimitExceededException", STOP, Remedy.KEY_LIMIT),
    key_row("kms", "TagException", STOP, Remedy.KEY_LIMIT),
    *rows("kms", Outcome.EXISTS, Remedy.NAME_TAKEN, "AlreadyExistsException"),
    *rows(
        "kms",
        RETRY,
        Remedy.WAIT,
        *_PASSING,
        *_OF_THE_SESSION,
        "DependencyTimeoutException",
        "KMSInternalException",
    ),
    *rows(
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
STS_ROWS: Final = (
    key_row("sts", "AccessDenied", GRACE, Remedy.TENANT_ROLE, customer=False),
    *rows("sts", RETRY, Remedy.WAIT, *_PASSING, "ExpiredToken", "ExpiredTokenException", "IDPCommunicationError"),
    *rows("sts", STOP, Remedy.PLATFORM_CREDENTIALS, "InvalidClientTokenId", "SignatureDoesNotMatch"),
    *rows(
        "sts",
        STOP,
        Remedy.PLATFORM_OPERATOR,
        "MalformedPolicyDocument",
        "PackedPolicyTooLarge",
        "RegionDisabledException",
        "ValidationError",
    ),
)
