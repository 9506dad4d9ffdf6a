"""The external ids that the platform passes when it assumes the tenant roles of its customers (D11)."""

import secrets
from dataclasses import dataclass
from typing import Final

from temporalio import activity

from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.probe_bucket import ProbeBucket
from byok.domain.arns import KeyPurpose
from byok.domain.models import ExternalIdRequest
from byok.domain.phases import Phase
from byok.domain.planning import Platform, plan_no_environment

_EXTERNAL_IDS: Final = "external-ids/"
_RANDOM_BYTES: Final = 24
"""192 random bits, which no attacker can guess. An external id has 32 characters: letters, digits, `-` and `_`."""


@dataclass(frozen=True)
class ExternalIds:
    """Stores one random external id per organisation, and one for the vendor's own environments.

    The vendor generates the external id, which is unique per customer. If customers chose their external ids, a
    customer could enter another customer's role together with the external id that this role requires (IAM user guide,
    "The confused deputy problem"). The external id cannot be derived from ARNs. It never changes, because the
    customers' trust policies contain it. byok stores each organisation's external id in an object. The object is
    created by a conditional write, which fails if the object already exists, so all workers use the same external id
    for an organisation.

    Attributes:
        bucket: The home Region's probe bucket.
    """

    bucket: ProbeBucket

    @classmethod
    def of_platform(cls, clients: AwsClients, platform: Platform) -> "ExternalIds":
        """Return an instance that stores the external ids in the platform's home Region."""
        return cls(ProbeBucket.of_home_region(clients, platform))

    def get(self, organisation: str | None) -> str:
        """Return the external id of an organisation. The first call generates and stores the external id.

        Args:
            organisation: The organisation; None for the vendor's own environments.

        Raises:
            ClientError: S3 refused a call.
        """
        name = f"{_EXTERNAL_IDS}organisations/{organisation}" if organisation else f"{_EXTERNAL_IDS}vendor"
        record = self.bucket.read_record(name) or self.bucket.write_record_once(
            name, {"external_id": secrets.token_urlsafe(_RANDOM_BYTES)}
        )
        return str(record["external_id"])


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
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = ActivityContext(
            plan_no_environment(self.platform), self.platform.vendor, Phase.RECONCILING_TENANT, KeyPurpose.S3
        )
        ids = ExternalIds.of_platform(self.clients, self.platform)
        with step.translate_aws_errors(), refuse_foreign_bucket(step, ids.bucket.s3, ids.bucket.name):
            return ids.get(request.organisation)
