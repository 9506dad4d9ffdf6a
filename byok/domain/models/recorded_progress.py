"""A run's request and progress, as stored in the record of an environment."""

from typing import Self

from pydantic import ValidationError

from byok.domain.arns import KeyPurpose
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.models.base import RecordModel
from byok.domain.models.progress import EnvironmentProgress, Progress
from byok.domain.models.requests import DeleteRequest, ProvisionRequest
from byok.domain.phases import Encryption, OnFailure


class RecordedRequest(RecordModel):
    """A request as stored in a record: the values of the request, without validation.

    A record can be older or newer than the running version of byok. Every record must therefore remain readable when
    the rules for requests change, even after byok is rolled back to an earlier version.

    Attributes:
        deletion: Whether the request was to delete the environment.
    """

    deletion: bool
    environment_id: str
    region: str
    organisation: str | None = None
    encryption: Encryption | None = None
    s3_key_arn: str | None = None
    rds_key_arn: str | None = None
    key_grace_seconds: int | None = None
    on_failure: OnFailure = OnFailure.KEEP
    tenant: str | None = None
    tenant_role_arn: str | None = None
    profile: str = DEFAULT_PROFILE
    stack_name: str | None = None

    def get_key_arn(self, key: KeyPurpose) -> str | None:
        """Return the ARN of one of the customer's keys."""
        return self.s3_key_arn if key is KeyPurpose.S3 else self.rds_key_arn

    @classmethod
    def from_request(cls, request: ProvisionRequest | DeleteRequest) -> Self:
        """Build the record of a request."""
        return cls(deletion=isinstance(request, DeleteRequest), **request.model_dump(include=set(cls.model_fields)))

    def to_provision_request(self) -> ProvisionRequest | None:
        """Return the request to provision the environment; None if the request was a deletion or is no longer valid."""
        if self.deletion:
            return None
        values = self.model_dump(exclude={"deletion"}, exclude_none=True)
        try:
            return ProvisionRequest.model_validate(values)
        except ValidationError:
            return None


class RecordedProgress(Progress):
    """The progress of an environment, as stored in a record."""

    request: RecordedRequest

    @classmethod
    def from_progress(cls, progress: EnvironmentProgress) -> Self:
        """Build the record of a run's progress."""
        fields = {name: getattr(progress, name) for name in Progress.model_fields}
        return cls(request=RecordedRequest.from_request(progress.request), **fields)
