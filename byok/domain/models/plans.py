"""What is decided before AWS is asked, and what the activities are told."""

from byok.domain.arns import KeyPurpose
from byok.domain.blueprint import DatabaseBlueprint, InitialObject
from byok.domain.models.base import RecordModel
from byok.domain.models.progress import Problem
from byok.domain.models.requests import TenantRole
from byok.domain.phases import Phase, RequestKind


class Environment(RecordModel):
    """Who an environment is: what every activity needs to know of it.

    Attributes:
        platform_role_arn: The vendor's role that the key policies name.
        tags: The tags on everything the environment owns.
        environment_tag: Key of the tag that decides ownership.
        run_tag: Key of the tag that says which run made a resource.
        run_id: The run that was planned for; a reset keeps it. Empty where nothing is to be made.
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
    run_tag: str = ""
    run_id: str = ""

    def key_arn(self, which: KeyPurpose) -> str:
        """The ARN given for one of the two keys."""
        return self.s3_key_arn if which is KeyPurpose.S3 else self.rds_key_arn


class ClusterPlan(RecordModel):
    """The cluster and writer to be made."""

    identifier: str
    writer_identifier: str
    settings: DatabaseBlueprint


class BucketPlan(RecordModel):
    """A bucket to be made, with the objects to be written into it."""

    purpose: str
    name: str
    objects: tuple[InitialObject, ...]


class KeyCheckPlan(RecordModel):
    """What is known of two keys before AWS is asked.

    Attributes:
        findings: What is wrong with the ARNs by the pure rules alone; nothing is made while there are any.
    """

    environment: Environment
    findings: tuple[Problem, ...] = ()


class KeyLabels(RecordModel):
    """What one key is to bear for a tenant: its alias and its tags (contract 101-104)."""

    tenant: str
    key: KeyPurpose
    key_arn: str
    alias: str
    tags: dict[str, str]


class TenantPlan(RecordModel):
    """How two keys get a tenant's name.

    Attributes:
        role: Through which role; None where the customer does it.
        commands: What the customer runs, where there is no role.
        request_kind: Of which it is a part: a provisioning, or a workflow of its own.
    """

    tenant: str
    marks: tuple[KeyLabels, ...]
    role: TenantRole | None = None
    repoint: bool = False
    commands: tuple[str, ...] = ()
    request_kind: RequestKind = RequestKind.ENVIRONMENT


class TenantCheckPlan(KeyCheckPlan):
    """What is known of a tenant's name and two keys before AWS is asked; no plan where something is wrong."""

    tenant: TenantPlan | None = None


class EnvironmentPlan(KeyCheckPlan):
    """Everything decided about an environment before AWS is asked for the first time."""

    cluster: ClusterPlan
    buckets: tuple[BucketPlan, ...]
    tenant: TenantPlan | None = None


class DatabaseTask(RecordModel):
    """Input of the activities on the cluster and its writer."""

    environment: Environment
    cluster: ClusterPlan


class BucketTask(RecordModel):
    """Input of the activities on one bucket."""

    environment: Environment
    bucket: BucketPlan


class DatabaseRemovalTask(DatabaseTask):
    """Input of the activities that remove the cluster and its writer.

    Attributes:
        phase: Of a rollback or a deletion; a rollback removes only what its own run made.
        final_snapshot: Name of the snapshot that is taken of the cluster first; None for none.
    """

    phase: Phase = Phase.ROLLING_BACK
    final_snapshot: str | None = None


class BucketRemovalTask(BucketTask):
    """Input of the activity that removes a bucket."""

    phase: Phase = Phase.ROLLING_BACK


class ReconcileKeyTask(RecordModel):
    """Input of the activity that gives one key its tenant's name."""

    environment: Environment
    marks: KeyLabels
    role: TenantRole
    repoint: bool
    request_kind: RequestKind = RequestKind.ENVIRONMENT
