"""The plans that byok makes before the first AWS call, and the inputs of activities."""

from typing import Self

from byok.domain.arns import KeyPurpose, account_id_of_role, is_aws_managed
from byok.domain.blueprint import DatabaseBlueprint, InitialObject
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.encryption import find_encryption_of_key
from byok.domain.models.base import RecordModel
from byok.domain.models.progress import Problem
from byok.domain.phases import Encryption, Phase, RequestKind


class Environment(RecordModel):
    """The data about an environment that every activity needs.

    Attributes:
        organisation: The organisation that owns the environment; None if the vendor owns it.
        encryption: Whether the two keys are the customer's or the platform's.
        s3_key_arn: The ARN of the S3 key, as entered, or the alias of the platform's AWS managed key.
        rds_key_arn: The ARN of the Aurora key, as entered, or the alias of the platform's AWS managed key.
        platform_role_arn: The vendor's role, to which the key policies grant access.
        tags: The tags of every resource that the environment owns.
        owner_tags: The tags that decide whether a resource belongs to the environment.
        run_tag: Key of the tag that contains the id of the run that created a resource.
        run_id: Id of the run that the plan was made for. A workflow reset does not change the id. The id is empty if
            the plan does not create any resources.
        probe_bucket: The platform's bucket for key probes in this Region.
        profile: The customer's AWS CLI profile, for use in the commands in remedies.
        request_kind: `KEY_CHECK` if the request only checks the keys and does not concern an environment.
    """

    environment_id: str
    region: str
    encryption: Encryption
    s3_key_arn: str
    rds_key_arn: str
    key_grace_seconds: int
    platform_role_arn: str
    owner_tags: dict[str, str]
    tags: dict[str, str]
    probe_bucket: str
    run_tag: str = ""
    run_id: str = ""
    profile: str = DEFAULT_PROFILE
    organisation: str | None = None
    request_kind: RequestKind = RequestKind.ENVIRONMENT

    def key_arn(self, which: KeyPurpose) -> str:
        """Return the ARN of one of the two keys, as entered, or the alias of an AWS managed key."""
        return self.s3_key_arn if which is KeyPurpose.S3 else self.rds_key_arn

    def with_keys(self, *, s3_key_arn: str | None = None, rds_key_arn: str | None = None) -> Self:
        """Return a copy with the keys that AWS reports, and with the kind of encryption that follows from these keys.

        Args:
            s3_key_arn: The S3 key; None if AWS reports no S3 key.
            rds_key_arn: The Aurora key; None if AWS reports no Aurora key.
        """
        keys = {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        reported: dict[str, object] = {name: key for name, key in keys.items() if key is not None}
        owners = {find_encryption_of_key(key, self.platform_account) for key in keys.values()} - {None}
        if owners:
            customers = Encryption.CUSTOMER_MANAGED in owners
            reported["encryption"] = Encryption.CUSTOMER_MANAGED if customers else Encryption.PLATFORM_MANAGED
        return self.model_copy(update=reported)

    @property
    def customer_keys(self) -> tuple[KeyPurpose, ...]:
        """The purposes of the customer's keys; empty if the keys are platform-managed."""
        return tuple(KeyPurpose) if self.encryption is Encryption.CUSTOMER_MANAGED else ()

    @property
    def platform_account(self) -> str:
        """The id of the platform's account, taken from the platform role's ARN (D3)."""
        return account_id_of_role(self.platform_role_arn)

    def expected_key_arn(self, which: KeyPurpose, reported: str | None) -> str:
        """Return the ARN of the key that AWS must report for one of the environment's resources.

        byok knows only the alias of an AWS managed key, not the ARN. For an environment that uses AWS managed keys,
        byok therefore accepts any key in the platform's account.

        Args:
            which: The key.
            reported: The ARN that AWS reports.
        """
        key = self.key_arn(which)
        if reported is None or not is_aws_managed(key):
            return key
        owner = find_encryption_of_key(reported, self.platform_account)
        return reported if owner is Encryption.PLATFORM_MANAGED else key


class ClusterPlan(RecordModel):
    """The cluster and writer to create."""

    identifier: str
    writer_identifier: str
    settings: DatabaseBlueprint


class BucketPlan(RecordModel):
    """A bucket to create, and the initial objects to write into it."""

    purpose: str
    name: str
    objects: tuple[InitialObject, ...]


class KeyCheckPlan(RecordModel):
    """The plan of a key check, made before the first AWS call.

    Attributes:
        findings: The problems that byok found without calling AWS. If there are findings, byok does not create any
            resources.
        allows_aurora_proof: Whether the platform's settings allow proof clusters, which show whether an Aurora key
            works.
    """

    environment: Environment
    findings: tuple[Problem, ...] = ()
    allows_aurora_proof: bool = True


class AuroraProofTask(RecordModel):
    """Input of the activity that proves that an Aurora key works.

    Attributes:
        environment: The key, its Region, and the environment that the check is for.
        proof_id: The id of this proof, which prevents byok from accepting a cluster that an earlier proof left behind.
    """

    environment: Environment
    proof_id: str


class KeyLabels(RecordModel):
    """The alias and tags that contain the tenant name on one key (contract 101-104)."""

    tenant: str
    key: KeyPurpose
    key_arn: str
    alias: str
    tags: dict[str, str]


class TenantPlan(RecordModel):
    """The plan for setting a tenant name on two keys.

    Attributes:
        role_arn: The role that the worker assumes; None if the customer runs the commands.
        stack_name: The name of the CloudFormation stack that contains the keys; the commands use this name.
        request_kind: Whether the plan is part of provisioning or of a separate tenant workflow.
    """

    tenant: str
    marks: tuple[KeyLabels, ...]
    role_arn: str | None = None
    repoint: bool = False
    stack_name: str
    request_kind: RequestKind = RequestKind.ENVIRONMENT


class ReconcileTenantPlan(KeyCheckPlan):
    """The plan of a tenant workflow, made before the first AWS call. `tenant` is None if there are findings."""

    tenant: TenantPlan | None = None


class EnvironmentPlan(KeyCheckPlan):
    """The complete plan of an environment, made before the first AWS call.

    Attributes:
        tenant: The plan for setting the requested tenant name on both keys; None if the request contains no tenant
            name.
        tenant_name: The tenant name that the environment gets when it becomes ready.
    """

    cluster: ClusterPlan
    buckets: tuple[BucketPlan, ...]
    tenant: TenantPlan | None = None
    tenant_name: str | None = None


class DatabaseTask(RecordModel):
    """Input of the activities for the cluster and its writer."""

    environment: Environment
    cluster: ClusterPlan


class BucketTask(RecordModel):
    """Input of the activities for one bucket."""

    environment: Environment
    bucket: BucketPlan


class DatabaseRemovalTask(DatabaseTask):
    """Input of the activities that remove the cluster and its writer.

    Attributes:
        phase: `ROLLING_BACK` or `DELETING`. A rollback removes only the resources that its own run created.
        final_snapshot: Name of the snapshot to take before the cluster is deleted, or None to take no snapshot.
    """

    phase: Phase = Phase.ROLLING_BACK
    final_snapshot: str | None = None


class InventoryTask(RecordModel):
    """Input of the activity that lists the resources that an environment owns.

    Attributes:
        final_snapshot: Name of the snapshot that the deletion takes, or None if the deletion takes no snapshot.
    """

    environment: Environment
    final_snapshot: str | None = None


class ForeignObjectsTask(RecordModel):
    """Input of the activity that looks for objects that provisioning did not write.

    Attributes:
        buckets: The names of the environment's buckets.
    """

    environment: Environment
    buckets: tuple[str, ...]


class DeletionPlan(RecordModel):
    """The plan of a deletion.

    Attributes:
        findings: The problems that prevent the deletion; empty if the deletion can begin.
    """

    environment: Environment
    cluster: ClusterPlan
    buckets: tuple[BucketPlan, ...]
    findings: tuple[Problem, ...] = ()


class BucketRemovalTask(BucketTask):
    """Input of the activity that removes a bucket."""

    phase: Phase = Phase.ROLLING_BACK


class ReconcileKeyTask(RecordModel):
    """Input of the activity that sets a tenant name on one key."""

    environment: Environment
    marks: KeyLabels
    role_arn: str
    repoint: bool
    request_kind: RequestKind = RequestKind.ENVIRONMENT


class TenantCommandsTask(RecordModel):
    """Input of the activity that builds the commands with which the customer sets a tenant name on both keys."""

    environment: Environment
    tenant: str
    stack_name: str
