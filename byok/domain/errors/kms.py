"""What KMS and STS answer where a tenant's name is put on a key (botocore's models)."""

from typing import Final

from byok.domain.errors.row import GRACE, RETRY, STOP, Outcome, key_row, rows
from byok.domain.remediation import Remedy

# KMS itself is called for a tenant's name alone, through a role in the customer's own account: from another account a
# key can be given neither aliases nor tags (botocore's KMS model, "Cross-account use: No").
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
        "DependencyTimeoutException",
        "ExpiredTokenException",
        "KMSInternalException",
        "ThrottlingException",
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
    *rows("sts", RETRY, Remedy.WAIT, "ExpiredTokenException", "InternalFailure", "ServiceUnavailable", "Throttling"),
    *rows(
        "sts",
        STOP,
        Remedy.PLATFORM_CREDENTIALS,
        "ExpiredToken",
        "InvalidClientTokenId",
        "SignatureDoesNotMatch",
    ),
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
