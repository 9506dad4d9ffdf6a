"""The one table that decides what an error of AWS means. No other place decides.

A row is found by service and wire code (`error.response["Error"]["Code"]`, never boto's class name), and by the message
only where AWS's code is too broad. HTTP statuses do not decide: KMS answers 400 to nearly everything, RDS quotas are
403 and S3 conflicts 409. Sources: S3 API reference "Error responses", botocore's RDS and KMS models, KMS developer
guide "Key states".
"""

import re
from typing import Final

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
        "PutBucketEncryption",
        "PutBucketLifecycleConfiguration",
        "PutBucketOwnershipControls",
        "PutBucketPolicy",
        "PutBucketVersioning",
        "PutObject",
        "PutPublicAccessBlock",
    ),
    "sts": ("AssumeRole",),
}
"""Every operation the activities call: the table is proved complete for these, and the platform role needs no other."""


def classify_error(service: str, code: str, message: str, key_arn: str | None = None) -> ErrorRule:
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
