"""Plans an environment's names, tags and buckets before the first AWS call, and checks the request."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from byok.domain import naming
from byok.domain.arns import AWS_MANAGED_KEYS, KeyPair, KeyPurpose, account_id_of_role
from byok.domain.blueprint import Blueprint, MasterAuthentication
from byok.domain.customer_aws import default_stack_name
from byok.domain.encryption import PlatformKeys
from byok.domain.models import (
    AuroraProofTask,
    BucketPlan,
    CheckKeysRequest,
    ClusterPlan,
    DatabaseTask,
    DeleteRequest,
    DeletionPlan,
    Environment,
    EnvironmentPlan,
    KeyCheckPlan,
    KeyLabels,
    KeyPairRequest,
    Problem,
    ProvisionRequest,
    ReconcileTenantPlan,
    ReconcileTenantRequest,
    RegionRequest,
    TenantPlan,
)
from byok.domain.phases import Encryption, Phase, RequestKind
from byok.domain.problems.build import find_arn_problems, find_region_problems, find_tenant_request_problems
from byok.domain.problems.remediation import RemedyContext
from byok.domain.regions import DEFAULT_HOME_REGION
from byok.domain.tenant import TenantLabels
from byok.domain.vendor import VendorProfile

KEY_CHECK_ENVIRONMENT_ID: Final = "key_check"
"""Used in place of an environment id if a key check is not for a known environment. No environment can have this id."""


_Request = ProvisionRequest | KeyPairRequest


@dataclass(frozen=True)
class Platform:
    """The vendor's configuration.

    Attributes:
        role_arn: The role to which the key policies grant access.
        vendor: The vendor's names.
        blueprint: The contents of every environment.
        prove_aurora_keys: Whether a check may create proof clusters, which show whether an Aurora key works.
        keys: The platform's own keys, by Region. In every other Region, platform-managed environments use the AWS
            managed keys in the platform's account.
        home_region: The Region whose probe bucket contains the claims on all keys.
        regions: The Regions in use.
        recover_clusters: Whether byok starts a cluster that lost its key, once the key is usable again.
    """

    role_arn: str
    vendor: VendorProfile
    blueprint: Blueprint
    prove_aurora_keys: bool = True
    keys: Mapping[str, PlatformKeys] = field(default_factory=dict)
    home_region: str = DEFAULT_HOME_REGION
    regions: tuple[str, ...] = (DEFAULT_HOME_REGION,)
    recover_clusters: bool = True

    def __post_init__(self) -> None:
        """Check the platform's own keys.

        Raises:
            ValueError: A key is in another account or Region; the message contains the key's ARN.
        """
        for region, keys in self.keys.items():
            keys.require_location(region, self.account)

    @property
    def account(self) -> str:
        """The id of the platform's account, taken from the platform role's ARN (D3)."""
        return account_id_of_role(self.role_arn)

    @property
    def claims_bucket(self) -> str:
        """The bucket that contains the claims on the keys of all Regions: the probe bucket of the home Region."""
        return naming.probe_bucket_name(self.vendor, self.account, self.home_region)

    def keys_in(self, region: str) -> KeyPair:
        """Return the keys of platform-managed environments in a Region (contract 132)."""
        return self.keys[region].pair if region in self.keys else AWS_MANAGED_KEYS


def plan_key_pair_check(request: CheckKeysRequest, platform: Platform, at: datetime) -> KeyCheckPlan:
    """Plan a check of two keys. The check creates no environment and leaves no resources behind.

    Args:
        request: The two keys.
        platform: The vendor's configuration.
        at: The time to record in findings.
    """
    environment_id = request.environment_id or KEY_CHECK_ENVIRONMENT_ID
    return KeyCheckPlan(
        environment=_environment(
            request, environment_id, platform, request.key_pair, request_kind=RequestKind.KEY_CHECK
        ),
        findings=_findings(request, platform, at, RequestKind.KEY_CHECK),
        allows_aurora_proof=platform.prove_aurora_keys,
    )


def plan_aurora_proof(task: AuroraProofTask, platform: Platform) -> DatabaseTask:
    """Plan the proof cluster for an Aurora key.

    The cluster has the settings of an environment's cluster, except that it has no deletion protection and no managed
    secret, and that backups are kept for the minimum period. The cluster's name is the first of
    `naming.proof_cluster_identifiers`.
    """
    environment = task.environment
    tags = naming.proof_tags(platform.vendor, environment.rds_key_arn, task.proof_id, environment.organisation)
    identifier, *_ = naming.proof_cluster_identifiers(platform.vendor)
    settings = platform.blueprint.database.model_copy(
        update={
            "authentication": MasterAuthentication.IAM,
            "master_secret_key_arn": None,
            "deletion_protection": False,
            "backup_retention_days": 1,  # Aurora's minimum
        }
    )
    return DatabaseTask(
        environment=environment.model_copy(update={"tags": tags}),
        cluster=ClusterPlan(identifier=identifier, writer_identifier="", settings=settings),
    )


def plan_environment(request: ProvisionRequest, platform: Platform, at: datetime, run_id: str) -> EnvironmentPlan:
    """Plan an environment. The same request and platform always result in the same names.

    Args:
        request: The request for the environment.
        platform: The vendor's configuration.
        at: The time to record in findings.
        run_id: The id of the workflow run that will create the environment.
    """
    findings = _findings(request, platform, at)
    tenant: TenantPlan | None = None
    if request.tenant is not None:
        findings += _tenant_findings(request, request.tenant, request.tenant_role_arn, platform, at)
        if not findings and request.key_pair is not None:
            tenant = _tenant(request, request.key_pair, request.tenant, request.tenant_role_arn, platform)
    return EnvironmentPlan(
        environment=_environment(request, request.environment_id, platform, request.key_pair, run_id),
        cluster=plan_cluster(request.environment_id, platform),
        buckets=plan_buckets(request.environment_id, request.region, platform),
        findings=findings,
        tenant=tenant,
        tenant_name=request.tenant or platform.vendor.tenant_name_for(request.environment_id),
        allows_aurora_proof=platform.prove_aurora_keys,
    )


def plan_deletion(request: DeleteRequest, platform: Platform, at: datetime) -> DeletionPlan:
    """Plan a deletion.

    The plan contains the name of every resource that an environment can have, whether or not the resource exists.

    Args:
        request: The deletion. If the request omits the ARN of a customer key, that ARN is empty in the plan.
        platform: The vendor's configuration.
        at: The time to record in findings.
    """
    context = _remedy_context(request, platform, RequestKind.DELETION)
    platform_managed = request.named_encryption is Encryption.PLATFORM_MANAGED
    keys = None if platform_managed else KeyPair(request.s3_key_arn or "", request.rds_key_arn or "")
    return DeletionPlan(
        environment=_environment(request, request.environment_id, platform, keys),
        cluster=plan_cluster(request.environment_id, platform),
        buckets=plan_buckets(request.environment_id, request.region, platform),
        findings=find_region_problems(context, platform.regions, Phase.DELETING, at),
    )


def plan_no_environment(platform: Platform) -> Environment:
    """Return the values that an activity needs if its calls do not concern a specific environment."""
    request = RegionRequest(region=platform.home_region)
    return _environment(request, KEY_CHECK_ENVIRONMENT_ID, platform, KeyPair("", ""))


def plan_cluster(environment_id: str, platform: Platform) -> ClusterPlan:
    """Plan an environment's cluster and writer."""
    return ClusterPlan(
        identifier=naming.cluster_identifier(platform.vendor, environment_id),
        writer_identifier=naming.writer_identifier(platform.vendor, environment_id),
        settings=platform.blueprint.database,
    )


def plan_buckets(environment_id: str, region: str, platform: Platform) -> tuple[BucketPlan, ...]:
    """Plan an environment's buckets."""
    return tuple(
        BucketPlan(
            purpose=bucket.purpose,
            name=naming.bucket_name(platform.vendor, environment_id, bucket.purpose, platform.account, region),
            objects=bucket.objects,
        )
        for bucket in platform.blueprint.buckets
    )


def plan_tenant(request: ReconcileTenantRequest, platform: Platform, at: datetime) -> ReconcileTenantPlan:
    """Plan how to set a tenant name on two keys.

    Args:
        request: The tenant name and the keys.
        platform: The vendor's configuration.
        at: The time to record in findings.
    """
    asked = RequestKind.TENANT
    role_arn = None if request.commands_only else request.tenant_role_arn
    findings = _findings(request, platform, at, asked)
    findings += _tenant_findings(request, request.tenant, role_arn, platform, at, asked)
    plan = None if findings else _tenant(request, request.key_pair, request.tenant, role_arn, platform)
    return ReconcileTenantPlan(
        environment=_environment(request, request.environment_id, platform, request.key_pair),
        findings=findings,
        tenant=plan and plan.model_copy(update={"repoint": request.repoint, "request_kind": asked}),
    )


def _tenant_findings(
    request: _Request,
    tenant: str,
    role_arn: str | None,
    platform: Platform,
    at: datetime,
    request_kind: RequestKind = RequestKind.ENVIRONMENT,
) -> tuple[Problem, ...]:
    context = _remedy_context(request, platform, request_kind)
    return find_tenant_request_problems(tenant, role_arn, request.key_pair, context, at)


def _tenant(
    request: ProvisionRequest | ReconcileTenantRequest,
    keys: KeyPair,
    tenant: str,
    role_arn: str | None,
    platform: Platform,
) -> TenantPlan:
    marks = {which: TenantLabels.for_key(which, tenant, platform.vendor) for which in KeyPurpose}
    return TenantPlan(
        tenant=tenant,
        marks=tuple(
            KeyLabels(tenant=tenant, key=which, key_arn=arn, alias=marks[which].alias, tags=marks[which].tags)
            for which, arn in keys.items()
        ),
        role_arn=role_arn,
        stack_name=request.stack_name or default_stack_name(request.environment_id),
    )


def _environment(
    request: RegionRequest,
    environment_id: str,
    platform: Platform,
    keys: KeyPair | None,
    run_id: str = "",
    request_kind: RequestKind = RequestKind.ENVIRONMENT,
) -> Environment:
    """Return the data about an environment that activities need.

    If `keys` is None, the platform's keys encrypt the environment.
    """
    vendor = platform.vendor
    used = keys or platform.keys_in(request.region)
    return Environment(
        environment_id=environment_id,
        region=request.region,
        encryption=Encryption.CUSTOMER_MANAGED if keys is not None else Encryption.PLATFORM_MANAGED,
        s3_key_arn=used.s3_key_arn,
        rds_key_arn=used.rds_key_arn,
        key_grace_seconds=request.key_grace_seconds,
        platform_role_arn=platform.role_arn,
        tags=naming.environment_tags(vendor, environment_id, run_id, request.organisation),
        owner_tags=naming.owner_tags(vendor, environment_id, request.organisation),
        run_tag=naming.run_tag_key(vendor),
        run_id=run_id,
        probe_bucket=naming.probe_bucket_name(vendor, platform.account, request.region),
        profile=request.profile,
        organisation=request.organisation,
        request_kind=request_kind,
    )


def _findings(
    request: _Request,
    platform: Platform,
    at: datetime,
    request_kind: RequestKind = RequestKind.ENVIRONMENT,
) -> tuple[Problem, ...]:
    context = _remedy_context(request, platform, request_kind)
    found = find_region_problems(context, platform.regions, Phase.VALIDATING_KEYS, at)
    if request.key_pair is None:  # the ARN rules apply only to the customer's keys
        return found
    return found + find_arn_problems(request.key_pair, context, at)


def _remedy_context(request: RegionRequest, platform: Platform, request_kind: RequestKind) -> RemedyContext:
    return RemedyContext(
        request.region,
        platform.role_arn,
        platform.vendor,
        request_kind=request_kind,
        profile=request.profile,
        organisation=request.organisation,
    )
