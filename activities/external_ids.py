"""The external ids that the platform passes when it assumes the tenant roles of its customers (D11)."""

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws_errors import decide_error_outcome, none_if_absent
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.probe_bucket import ProbeBucket
from byok.domain.arns import KeyPurpose
from byok.domain.models import ExternalIdRequest
from byok.domain.phases import Phase
from byok.domain.planning import Platform, plan_no_environment
from byok.domain.problems.aws_errors import ErrorOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_EXTERNAL_IDS: Final = "external-ids/"
_RANDOM_BYTES: Final = 24
"""192 random bits, which no attacker can guess. The external id then consists of 32 characters: letters, digits,
`-` and `_`."""


@dataclass(frozen=True)
class ExternalIds:
    """Stores one random external id per organisation, and one for the vendor's own environments.

    The vendor generates the external id, which is unique per customer. Otherwise, a customer could enter another
    customer's role together with the external id that this role requires (IAM user guide, "The confused deputy
    problem"). The external id cannot be derived from ARNs, and it never changes, because the customers' trust policies
    contain it. S3 writes the object that contains an external id only if this object does not exist yet, so two workers
    always use the same external id.

    Attributes:
        s3: The S3 client of the home Region.
        bucket: The home Region's probe bucket.
        region: The home Region.
    """

    s3: "S3Client"
    bucket: str
    region: str

    @classmethod
    def of_platform(cls, clients: AwsClients, platform: Platform) -> "ExternalIds":
        """Return an instance that stores the external ids in the platform's home Region."""
        return cls(clients.s3(platform.home_region), platform.claims_bucket, platform.home_region)

    def get(self, organisation: str | None) -> str:
        """Return the external id of an organisation. If there is none yet, generate and store one.

        Args:
            organisation: The organisation; None for the vendor's own environments.

        Raises:
            ClientError: S3 refused a call.
        """
        name = f"{_EXTERNAL_IDS}organisations/{organisation}" if organisation else f"{_EXTERNAL_IDS}vendor"
        return self._find(name) or self._make(name)

    def _find(self, name: str) -> str | None:
        found = none_if_absent(lambda: self.s3.get_object(Bucket=self.bucket, Key=name))
        return None if found is None else str(json.loads(found["Body"].read())["external_id"])

    def _make(self, name: str) -> str:
        made = secrets.token_urlsafe(_RANDOM_BYTES)
        body = json.dumps({"external_id": made}).encode()
        try:
            ProbeBucket(self.s3, self.bucket, self.region).write(
                lambda: self.s3.put_object(
                    Bucket=self.bucket, Key=name, Body=body, ContentType="application/json", IfNoneMatch="*"
                )
            )
        except ClientError as error:
            found = self._find(name) if decide_error_outcome(error) is ErrorOutcome.EXISTS else None
            if found is None:
                raise
            return found
        return made


@dataclass(frozen=True)
class ExternalIdActivities:
    """The activity that returns an external id, so that a customer can put it into the tenant role's trust policy."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def get_external_id(self, request: ExternalIdRequest) -> str:
        """Return the external id of an organisation, or of the vendor's own environments.

        The first call generates the external id.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether it stops the activity.
        """
        step = ActivityContext(
            plan_no_environment(self.platform), self.platform.vendor, Phase.RECONCILING_TENANT, KeyPurpose.S3
        )
        ids = ExternalIds.of_platform(self.clients, self.platform)
        with step.translate_aws_errors(), refuse_foreign_bucket(step, ids.s3, ids.bucket):
            return ids.get(request.organisation)
