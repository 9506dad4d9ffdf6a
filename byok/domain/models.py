"""What crosses Temporal: requests, the plan of an environment, what was made, and the proof.

One frozen model per input and result. Requests refuse unknown fields, because people type them; everything else ignores
them, so that a worker of yesterday can read what a worker of tomorrow wrote.
"""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from byok.domain.arns import REGION_PATTERN, WhichKey
from byok.domain.blueprint import DatabaseBlueprint, InitialObject
from byok.domain.naming import ENVIRONMENT_ID_MAX, ENVIRONMENT_ID_PATTERN
from byok.domain.payload import with_payload_expanded
from byok.domain.statuses import OnFailure, Phase


class Request(BaseModel):
    """Base of what people type: strict about names, silent about values."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Record(BaseModel):
    """Base of what the product writes and reads itself."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class CheckKeysRequest(Request):
    """Input of `CheckKeys`.

    The ARNs are not validated here: a bad one is a finding with a remedy, not a malformed request. The onboarding
    payload is taken in the place of either ARN, or with its own two names beside the other fields (contract 50).

    Attributes:
        region: The environment's AWS Region.
        s3_key_arn: Full ARN of the customer's key for S3.
        rds_key_arn: Full ARN of the customer's key for Aurora.
        key_grace_seconds: How long an ambiguous refusal may still turn out to be a policy on its way (D14).
    """

    region: str = Field(pattern=REGION_PATTERN)
    s3_key_arn: str = Field(min_length=1, max_length=2048)
    rds_key_arn: str = Field(min_length=1, max_length=2048)
    key_grace_seconds: int = Field(default=30, ge=0, le=300)

    @model_validator(mode="before")
    @classmethod
    def _take_the_payload_too(cls, values: Any) -> Any:
        return with_payload_expanded(values) if isinstance(values, dict) else values


class ProvisionRequest(CheckKeysRequest):
    """Input of `ProvisionEnvironment`.

    Attributes:
        environment_id: Lower-case letters, digits and single hyphens; part of every name.
        on_failure: Whether a stop keeps what was made or removes it (D9).
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX)
    on_failure: OnFailure = OnFailure.KEEP


class Problem(Record):
    """Why something stopped, the same for Temporal's UI, the CLI and whoever else asks.

    Attributes:
        code: `service.WireCode` as AWS sent it, or one of ours (`arn.…`, `byok.…`).
        message: AWS's message, unchanged, or our own sentence.
        operation: The AWS operation that was refused, None for a pure rule.
        key: Which of the two keys, None where no customer's key is at fault.
        key_arn: That key's ARN as it was given.
        phase: Where the provisioning was.
        request_id: AWS's request id, for a support case.
        region: The environment's Region.
        at: When AWS answered.
        remediation: What to do, with the customer's own values filled in.
    """

    code: str
    message: str
    operation: str | None = None
    key: WhichKey | None = None
    key_arn: str | None = None
    phase: Phase
    request_id: str | None = None
    region: str
    at: datetime
    remediation: str


class Environment(Record):
    """Who an environment is: what every activity needs to know of it.

    Attributes:
        platform_role_arn: The vendor's role that the key policies name.
        tags: The tags on everything the environment owns.
        environment_tag: Key of the tag that decides ownership.
        probe_bucket: The platform's bucket for key probes and claims in this Region.
    """

    environment_id: str
    region: str
    s3_key_arn: str
    rds_key_arn: str
    key_grace_seconds: int
    platform_role_arn: str
    environment_tag: str
    tags: dict[str, str]
    probe_bucket: str

    def key_arn(self, which: WhichKey) -> str:
        """The ARN given for one of the two keys."""
        return self.s3_key_arn if which is WhichKey.S3 else self.rds_key_arn


class ClusterPlan(Record):
    """The cluster and writer to be made."""

    identifier: str
    writer_identifier: str
    settings: DatabaseBlueprint


class BucketPlan(Record):
    """A bucket to be made, with the objects to be written into it."""

    purpose: str
    name: str
    objects: tuple[InitialObject, ...]


class KeyCheckPlan(Record):
    """What is known of two keys before AWS is asked.

    Attributes:
        findings: What is wrong with the ARNs by the pure rules alone; nothing is made while there are any.
    """

    environment: Environment
    findings: tuple[Problem, ...] = ()


class EnvironmentPlan(KeyCheckPlan):
    """Everything decided about an environment before AWS is asked for the first time."""

    cluster: ClusterPlan
    buckets: tuple[BucketPlan, ...]


class DatabaseTask(Record):
    """Input of the activities on the cluster and its writer."""

    environment: Environment
    cluster: ClusterPlan


class StorageTask(Record):
    """Input of the activities on one bucket."""

    environment: Environment
    bucket: BucketPlan


class KeyProof(Record):
    """A probe that passed: S3 wrote and read an object with the key."""

    key: WhichKey
    key_arn: str
    at: datetime


class ClusterResource(Record):
    """The cluster as AWS reports it.

    Attributes:
        created: Whether this run made it, rather than found it.
    """

    identifier: str
    arn: str
    status: str
    key_arn: str
    created: bool = False


class WriterResource(Record):
    """The cluster's writer instance as AWS reports it."""

    identifier: str
    arn: str
    status: str
    created: bool = False


class BucketResource(Record):
    """A bucket of the environment.

    Attributes:
        objects: Keys of the initial objects that are in place.
    """

    purpose: str
    name: str
    arn: str
    key_arn: str
    created: bool = False
    objects: tuple[str, ...] = ()


class Resources(Record):
    """What exists of an environment."""

    cluster: ClusterResource | None = None
    writer: WriterResource | None = None
    buckets: tuple[BucketResource, ...] = ()

    def with_cluster(self, cluster: ClusterResource) -> Self:
        """The same with the cluster as it is now; who made it does not change."""
        created = cluster.created or (self.cluster is not None and self.cluster.created)
        return self.model_copy(update={"cluster": cluster.model_copy(update={"created": created})})

    def with_writer(self, writer: WriterResource) -> Self:
        """The same with the writer as it is now."""
        created = writer.created or (self.writer is not None and self.writer.created)
        return self.model_copy(update={"writer": writer.model_copy(update={"created": created})})

    def with_bucket(self, bucket: BucketResource) -> Self:
        """The same with this bucket as it is now, in the order in which they were made."""
        buckets = {item.name: item for item in self.buckets}
        created = bucket.created or (bucket.name in buckets and buckets[bucket.name].created)
        buckets[bucket.name] = bucket.model_copy(update={"created": created})
        return self.model_copy(update={"buckets": tuple(buckets.values())})


class DatabaseEvidence(Record):
    """What RDS says about the encryption of the cluster and its writer (contract 98)."""

    cluster_arn: str
    key_arn: str
    storage_encrypted: bool
    storage_encryption_type: str
    engine: str
    engine_version: str
    deletion_protection: bool
    backup_retention_days: int
    iam_database_authentication: bool
    writer_arn: str
    writer_storage_encrypted: bool
    writer_key_arn: str
    writer_publicly_accessible: bool
    performance_insights: bool


class ObjectEvidence(Record):
    """What S3 says about the encryption of one object."""

    key: str
    algorithm: str
    key_arn: str


class BucketEvidence(Record):
    """What S3 says about the default encryption of one bucket and about its initial objects."""

    name: str
    algorithm: str
    key_arn: str
    bucket_key_enabled: bool
    objects: tuple[ObjectEvidence, ...]


class StorageEvidence(Record):
    """What S3 says about every bucket of an environment."""

    buckets: tuple[BucketEvidence, ...]


class Evidence(Record):
    """The proof that an environment is on the customer's keys, read back from AWS."""

    database: DatabaseEvidence
    buckets: tuple[BucketEvidence, ...]
    collected_at: datetime


class Removal(Record):
    """What became of one resource that a rollback was to remove.

    Attributes:
        resource: Its name, as AWS knows it.
        removed: Whether it is gone, or never was.
        why_kept: Why it was left, None where it was not.
    """

    resource: str
    removed: bool
    why_kept: str | None = None


class TimelineEntry(Record):
    """A phase and when it was entered."""

    phase: Phase
    entered_at: datetime


class Progress(Record):
    """Where an environment is: kept in the workflow's memo, so that a status needs no worker."""

    request: ProvisionRequest
    phase: Phase
    timeline: tuple[TimelineEntry, ...]
    problems: tuple[Problem, ...] = ()
    resources: Resources = Resources()
    evidence: Evidence | None = None
    left_behind: tuple[str, ...] = ()

    @property
    def problem(self) -> Problem | None:
        """The first problem, None where there is none."""
        return self.problems[0] if self.problems else None


class KeyCheck(Record):
    """Result of `CheckKeys`.

    Attributes:
        findings: What is wrong, on both keys; empty where nothing was found.
        proofs: What was proved by using a key. The Aurora key can only be proved by creating a cluster (D2).
    """

    region: str
    s3_key_arn: str
    rds_key_arn: str
    findings: tuple[Problem, ...] = ()
    proofs: tuple[KeyProof, ...] = ()
