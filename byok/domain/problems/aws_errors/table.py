"""The error table, which alone decides how byok handles an AWS error.

A rule matches an error by service and error code (`error.response["Error"]["Code"]`, never boto's class name). If the
code alone is too broad, the rule also matches AWS's message. Rules ignore the HTTP status, which is not specific
enough: KMS returns 400 for nearly every error, RDS returns 403 for exceeded quotas, and S3 returns 409 for conflicts.
Sources: S3 API reference "Error responses", botocore's RDS and KMS models, KMS developer guide "Key states".
"""

import re
from typing import Final

from byok.domain.arns import is_session_of_role
from byok.domain.problems.aws_errors import kms, rds, s3
from byok.domain.problems.aws_errors.rule import ErrorOutcome, ErrorRule
from byok.domain.problems.remediation import Remedy

ERROR_RULES: Final[tuple[ErrorRule, ...]] = (
    *s3.S3_KEY_ERROR_RULES,
    *s3.S3_ERROR_RULES,
    *rds.RDS_KEY_ERROR_RULES,
    *rds.RDS_ERROR_RULES,
    *kms.KMS_ERROR_RULES,
    *kms.STS_ERROR_RULES,
)

OPERATIONS_BY_SERVICE: Final[dict[str, tuple[str, ...]]] = {
    "kms": ("CreateAlias", "ListAliases", "ListResourceTags", "TagResource", "UpdateAlias"),
    "rds": (
        "CreateDBCluster",
        "CreateDBInstance",
        "DeleteDBCluster",
        "DeleteDBInstance",
        "DescribeDBClusterSnapshots",
        "DescribeDBClusters",
        "DescribeDBInstances",
        "ModifyDBCluster",
        "StartDBCluster",
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
        "GetObjectTagging",
        "GetPublicAccessBlock",
        "HeadBucket",
        "HeadObject",
        "ListBuckets",
        "ListObjectVersions",
        "ListObjectsV2",
        "PutBucketEncryption",
        "PutBucketLifecycleConfiguration",
        "PutBucketOwnershipControls",
        "PutBucketPolicy",
        "PutBucketVersioning",
        "PutObject",
        "PutPublicAccessBlock",
    ),
    "sts": ("AssumeRole", "GetCallerIdentity"),
}
"""Every AWS operation that activities call. Tests prove that the error table covers all errors of these operations. The
platform role calls no other operation; `SECURITY.md` lists the permissions that it needs."""


_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_CALLER: Final = re.compile(r"^User: (arn:\S+) is not authorized to perform")
"""Finds the caller's ARN in an access-denied error (IAM user guide, "Access denied error messages")."""

_TENANT_ROLE_SERVICE: Final = "kms"
"""The service that byok calls with the customer's tenant role. byok calls all other services with the platform role."""


def classify_error(
    service: str, code: str, message: str, key_arn: str | None = None, platform_role_arn: str | None = None
) -> ErrorRule:
    """Return the rule for an AWS error.

    If no rule matches, byok retries the call during the grace period, and then stops.

    Args:
        service: botocore's name for the service.
        code: The error code in AWS's response.
        message: AWS's message.
        key_arn: The customer's key that the call used. An RDS call can involve up to three keys, and RDS's message
            contains the affected key in brackets. If that key is not `key_arn`, it is one of the platform's keys.
        platform_role_arn: The role that the worker must use. If AWS denies a call by another principal, the worker has
            the wrong credentials, and the cause is neither a key policy nor a missing permission.
    """
    if platform_role_arn is not None and _is_other_caller(service, code, message, platform_role_arn):
        return ErrorRule(service, code, ErrorOutcome.HOLD, Remedy.PLATFORM_CREDENTIALS)
    row = next(
        (
            row
            for row in ERROR_RULES
            if row.service == service
            and row.code == code
            and (row.message is None or row.message.search(message) is not None)
        ),
        ErrorRule(service, code, ErrorOutcome.STOP_AFTER_GRACE, Remedy.PLATFORM_OPERATOR),
    )
    if row.remedy is Remedy.RDS_KEY and key_arn is not None:
        named = re.search(r"\[(arn:[^\]]+)\]", message)
        if named is not None and named[1] != key_arn:
            return ErrorRule(service, code, ErrorOutcome.STOP, Remedy.PLATFORM_KEY)
    return row


def _is_other_caller(service: str, code: str, message: str, platform_role_arn: str) -> bool:
    """Return whether AWS denied a call because the caller is not the platform role."""
    if code not in _DENIED or service == _TENANT_ROLE_SERVICE:
        return False
    caller = _CALLER.match(message)
    return caller is not None and not is_session_of_role(caller[1], platform_role_arn)
