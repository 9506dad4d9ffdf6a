"""The platform's bucket in a Region, for key probes and, in the home Region, for key claims.

The first write creates the bucket.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome
from activities.bucket_settings import (
    BUCKET_OWNER_ENFORCED,
    PUBLIC_ACCESS_BLOCK,
    build_bucket_arn,
    create_bucket_if_absent,
)
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.iam.bucket_policy import build_probe_bucket_policy
from byok.domain.problems.aws_errors import ErrorOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROBES: Final = "probes/"
CLAIMS: Final = "claims/"
_UNFINISHED: Final = "probe-bucket"

_T = TypeVar("_T")


@dataclass(frozen=True)
class ProbeBucket:
    """The probe bucket of one Region."""

    s3: "S3Client"
    name: str
    region: str

    def write(self, put: Callable[[], _T]) -> _T:
        """Make a call that writes to the bucket. If the bucket does not exist, create and protect it first.

        Raises:
            ClientError: S3 refused a call.
        """
        if load_from_previous_attempt(_UNFINISHED) != self.name:
            try:
                return put()
            except ClientError as error:
                if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
                    raise
            # If this attempt fails after creating the bucket, the bucket may be unprotected. The saved value tells the
            # next attempt to repeat the setup.
            save_for_retry(_UNFINISHED, self.name)
        create_bucket_if_absent(self.s3, self.name, self.region, {})
        self._protect()
        save_for_retry(_UNFINISHED, "")
        return put()

    def _protect(self) -> None:
        self.s3.put_public_access_block(Bucket=self.name, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK)
        self.s3.put_bucket_ownership_controls(Bucket=self.name, OwnershipControls=BUCKET_OWNER_ENFORCED)
        policy = build_probe_bucket_policy(build_bucket_arn(self.name, self.region))
        self.s3.put_bucket_policy(Bucket=self.name, Policy=json.dumps(policy))
        self.s3.put_bucket_lifecycle_configuration(
            Bucket=self.name,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "forget-probes",
                        "Status": "Enabled",
                        "Filter": {"Prefix": PROBES},
                        "Expiration": {"Days": 1},
                    }
                ]
            },
        )
