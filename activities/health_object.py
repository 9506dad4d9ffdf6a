"""Proves the S3 key of an environment with a small object that S3 encrypts with the key.

Every read makes S3 call KMS, because the object has no bucket key. byok also rewrites the object from time to time,
because a key policy can allow reads but deny writes.
"""

from dataclasses import dataclass
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from activities.aws_errors import none_if_absent
from activities.probe_bucket import PROBES, ProbeBucket
from byok.domain.models import Environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

REWRITE_AFTER: Final = timedelta(hours=1)
"""The age at which byok rewrites the object. A lifecycle rule of the probe bucket deletes probes after a day."""


@dataclass(frozen=True)
class HealthObject:
    """The object of one environment, in the probe bucket of the environment's Region."""

    s3: "S3Client"
    environment: Environment

    def prove_key(self, *, write: bool) -> str | None:
        """Read the object, but write it first if it is missing, old, or encrypted with another key.

        Args:
            write: Whether to write the object first, even if it is recent and encrypted with the right key.

        Returns:
            None if S3 used the environment's key; otherwise a message that states what S3 reported.

        Raises:
            ClientError: S3 refused one of the calls.
        """
        found = None if write else self._read()
        if found is None or found["SSEKMSKeyId"] != self.environment.s3_key_arn or _is_old(found):
            self._write()
            found = self._read()
        if found is None:
            return "S3 did not return the object that was just written."
        if found["SSEKMSKeyId"] != self.environment.s3_key_arn:
            return f"The object was written with {self.environment.s3_key_arn}, but S3 reports {found['SSEKMSKeyId']}."
        return None

    @property
    def _key(self) -> str:
        return f"{PROBES}{self.environment.environment_id}/health"

    def _read(self) -> "GetObjectOutputTypeDef | None":
        found = none_if_absent(lambda: self.s3.get_object(Bucket=self.environment.probe_bucket, Key=self._key))
        if found is not None:
            found["Body"].read()  # otherwise, the connection could not be reused
        return found

    def _write(self) -> None:
        bucket = self.environment.probe_bucket
        ProbeBucket(self.s3, bucket, self.environment.region).write(
            lambda: self.s3.put_object(
                Bucket=bucket,
                Key=self._key,
                Body=b"byok reads this object to find out whether S3 can use the key.\n",
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=self.environment.s3_key_arn,
                BucketKeyEnabled=False,
            )
        )


def _is_old(found: "GetObjectOutputTypeDef") -> bool:
    """Return whether the object is old enough to be rewritten, according to S3's clock."""
    now = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
    return now - found["LastModified"] >= REWRITE_AFTER
