"""The platform's bucket in a Region, for key probes and, in the home Region, for the platform's own records.

The platform's records are the key claims, the registered accounts and the external ids. The first write creates the
bucket.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome, none_if_absent
from activities.bucket_settings import (
    BUCKET_OWNER_ENFORCED,
    PUBLIC_ACCESS_BLOCK,
    build_bucket_arn,
    create_bucket_if_absent,
)
from activities.clients import AwsClients
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.iam.bucket_policy import build_probe_bucket_policy
from byok.domain.planning import Platform
from byok.domain.problems.aws_errors import ErrorOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

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

    @classmethod
    def of_home_region(cls, clients: AwsClients, platform: Platform) -> "ProbeBucket":
        """Return the bucket that contains the platform's records."""
        return cls(clients.s3(platform.home_region), platform.claims_bucket, platform.home_region)

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

    def read_record(self, key: str) -> dict[str, Any] | None:
        """Return the record that an object contains; None if the object does not exist.

        Raises:
            ClientError: S3 refused the call.
        """
        found = none_if_absent(lambda: self.s3.get_object(Bucket=self.name, Key=key))
        return None if found is None else json.loads(found["Body"].read())

    def write_record_once(self, key: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Store a record as JSON, unless the object already exists.

        The write is conditional: S3 rejects the write if the object already exists. If several workers write the same
        object at the same moment, only one of them succeeds.

        Returns:
            The record that the object contains after the call.

        Raises:
            ClientError: S3 refused a call.
        """
        body = json.dumps(record).encode()
        try:
            self.write(
                lambda: self.s3.put_object(
                    Bucket=self.name, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            )
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                raise
            # If the object no longer exists, it was deleted between the two calls.
            return self.read_record(key) or self.write_record_once(key, record)
        return dict(record)

    def write_index_entry(self, key: str) -> None:
        """Write an index entry: an empty object with this key. An existing entry stays unchanged.

        Raises:
            ClientError: S3 refused a call.
        """
        try:
            self.write(lambda: self.s3.put_object(Bucket=self.name, Key=key, Body=b"", IfNoneMatch="*"))
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                raise

    def delete_objects(self, *keys: str) -> None:
        """Delete objects one after the other, in the given order. Objects that do not exist are skipped.

        Raises:
            ClientError: S3 refused a call.
        """
        for key in keys:
            none_if_absent(partial(self.s3.delete_object, Bucket=self.name, Key=key))

    def list_objects(self, prefix: str, after: str) -> "Iterator[ObjectTypeDef]":
        """Yield the objects with a prefix, ordered by key; none if the bucket does not exist yet.

        Args:
            prefix: The beginning of the objects' keys.
            after: The key after which the list begins. To begin with the first object, pass the prefix.

        Raises:
            ClientError: S3 refused a call.
        """
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=prefix, StartAfter=after)
        try:
            for page in pages:
                yield from page.get("Contents", [])
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
                raise

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
