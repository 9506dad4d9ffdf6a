"""Activities that rebuild the records of environments from the environments' resources in AWS (contract 136)."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.bucket_settings import build_bucket_arn
from activities.clients import AwsClients
from activities.evidence import EvidenceActivities
from activities.failures import ActivityContext
from activities.inventory import Inventory, ListedDatabases
from activities.key_claims import KeyClaims
from byok.contracts import environment_workflow_id
from byok.domain import naming
from byok.domain.arns import KeyPurpose, is_key_arn, parse_key_arn
from byok.domain.encryption import find_encryption_of_key
from byok.domain.models import (
    Attempt,
    AttemptKind,
    BucketResource,
    ClusterResource,
    EnvironmentPlan,
    EnvironmentProgress,
    Evidence,
    OwnedResources,
    Problem,
    ProvisionRequest,
    RebuildRequest,
    RebuiltRecord,
    RecordedProgress,
    Resources,
    RunReport,
    TimelineEntry,
    UnrecordedEnvironment,
    UnrecordedPage,
    WriterResource,
)
from byok.domain.phases import Encryption, Phase
from byok.domain.planning import Platform, plan_buckets, plan_cluster, plan_environment, plan_no_environment
from byok.domain.problems.remediation import Remedy
from byok.domain.rds_statuses import AVAILABLE
from byok.temporal_reads import describe_or_none
from byok.temporal_records import find_record, send_report

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

_PAGE_SIZE: Final = 100

_Database: TypeAlias = "tuple[str, DBClusterTypeDef]"


@dataclass(frozen=True)
class RebuildActivities:
    """Finds environments without a record, and rebuilds their records from their resources in AWS."""

    clients: AwsClients
    platform: Platform
    evidence: EvidenceActivities

    @activity.defn
    async def list_unrecorded_environments(self, request: RebuildRequest) -> UnrecordedPage:
        """List environments that have a cluster or claims but no record, ordered by id.

        byok creates the cluster before the buckets, and also removes the cluster first. An environment without a
        cluster is therefore incomplete. byok finds such an environment only by its claims, which an environment with
        platform-managed keys does not have. Environments with a running workflow are skipped, because the workflow
        itself reports its outcome to the record.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(plan_no_environment(self.platform).environment_id, None)
        with step.translate_aws_errors():
            listed = await asyncio.to_thread(Inventory(self.clients, self.platform).list_databases)
            claimed = await asyncio.to_thread(KeyClaims(self.clients, self.platform, step).list_environment_ids)
        clusters = self._find_clusters(listed)
        ids = sorted(name for name in clusters.keys() | claimed if name > (request.after or ""))
        page, client = ids[:_PAGE_SIZE], activity.client()
        missing = [name for name in page if not await _is_known(client, name)]
        return UnrecordedPage(
            environments=tuple([await self._describe(name, clusters.get(name, []), listed) for name in missing]),
            skipped=len(page) - len(missing),
            after=page[-1] if len(ids) > len(page) else None,
        )

    @activity.defn
    async def rebuild_record(self, found: UnrecordedEnvironment) -> RebuiltRecord:
        """Compare an environment's resources with its blueprint, and begin a record that contains the result.

        The environment is READY if byok can collect all of its evidence; otherwise, the environment is STOPPED, and the
        record contains the problem.

        Raises:
            ApplicationError: AWS returned an error that a retry can resolve.
        """
        name, request, cluster, created_at = found.environment_id, found.request, found.cluster, found.created_at
        if request is None or cluster is None or created_at is None:
            return RebuiltRecord(environment_id=name, region=found.region, problem=found.problem)
        run_id = f"rebuilt-{activity.info().workflow_run_id}"
        plan = plan_environment(request, self.platform, datetime.now(UTC), run_id)
        evidence, problem = None, self._build_problem(plan, found.problem)
        if problem is None:
            try:
                evidence = await self.evidence.collect_evidence(plan)
            except ApplicationError as error:
                problem = next((one for one in error.details if isinstance(one, Problem)), None)
                if problem is None or not error.non_retryable:
                    raise
        if await self._was_deleted(plan) or await _is_known(activity.client(), name, except_run=run_id):
            return RebuiltRecord(
                environment_id=name, region=found.region, problem="It was changed while byok rebuilt its record."
            )
        resources = Resources(cluster=cluster) if evidence is None else _list_resources(plan, evidence)
        report = _build_report(plan, request, created_at, run_id, resources, evidence, problem)
        await send_report(activity.client(), activity.info().task_queue, report)
        told = f"{problem.code}: {problem.message}" if problem else None
        return RebuiltRecord(environment_id=name, region=found.region, phase=report.progress.phase, problem=told)

    def _find_clusters(self, listed: ListedDatabases) -> dict[str, list[_Database]]:
        """Return, for each environment id, the environment's clusters and their Regions.

        A cluster counts only if it has both the environment's tag and the name that byok gives it, because a restored
        or cloned cluster can have the tag, but has another name.
        """
        vendor, found = self.platform.vendor, defaultdict[str, list[_Database]](list)
        for region, cluster in listed.clusters:
            name = _read_tags(cluster).get(naming.environment_tag_key(vendor))
            if name is not None and cluster["DBClusterIdentifier"] == naming.cluster_identifier(vendor, name):
                found[name].append((region, cluster))
        return found

    async def _describe(
        self, name: str, clusters: Sequence[_Database], listed: ListedDatabases
    ) -> UnrecordedEnvironment:
        """Describe an environment.

        If AWS rejects a call, the result contains the problem, so that byok can still describe the other environments.
        """
        try:
            with self._step(name, None).translate_aws_errors():
                return await asyncio.to_thread(self._read_environment, name, clusters, listed)
        except ApplicationError as error:
            if not error.non_retryable:
                raise
            return UnrecordedEnvironment(environment_id=name, problem=error.message)

    def _read_environment(
        self, name: str, clusters: Sequence[_Database], listed: ListedDatabases
    ) -> UnrecordedEnvironment:
        if len(clusters) != 1:
            where = ", ".join(region for region, _ in clusters)
            why = f"It has clusters in several Regions: {where}." if clusters else "It has claims but no cluster."
            return UnrecordedEnvironment(environment_id=name, problem=f"{why} To delete it, specify its Region.")
        region, cluster = clusters[0]
        organisation = _read_tags(cluster).get(naming.organisation_tag_key(self.platform.vendor))
        inventory = Inventory(self.clients, self.platform)
        tagged = owned = _in_region(inventory.find_resources(name, listed, organisation), region)
        if organisation is not None:
            tagged = _in_region(inventory.find_resources(name, listed), region)
        rds_key_arn = cluster.get("KmsKeyId")
        encryption = find_encryption_of_key(rds_key_arn, self.platform.account) or Encryption.CUSTOMER_MANAGED
        values: dict[str, Any] = {"environment_id": name, "region": region, "encryption": encryption}
        problem: str | None = None
        if owned.names != tagged.names:
            problem = "Its resources have tags of different organisations."
        if encryption is Encryption.CUSTOMER_MANAGED:
            claims = KeyClaims(self.clients, self.platform, self._step(name, organisation)).read_own_claims()
            claimed = [arn for arn in claims if rds_key_arn is None or not _is_same_key(arn, rds_key_arn)]
            in_use = [arn for arn in owned.s3_key_arns if _holds_claim(claims, arn)]
            s3_key_arn = next(iter([*in_use, *claimed, *owned.s3_key_arns]), None)
            values |= {"rds_key_arn": rds_key_arn, "s3_key_arn": s3_key_arn}
            if set(claims.values()) - {organisation}:
                problem = "Its claims and its cluster belong to different organisations."
            elif problem is None and not all(_holds_claim(claims, arn) for arn in (rds_key_arn, s3_key_arn)):
                problem = "It does not hold the claims on its keys. A replay claims the keys again."
        request = None
        try:
            request = ProvisionRequest.model_validate({**values, "organisation": organisation})
        except ValidationError as error:
            problem = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return UnrecordedEnvironment(
            environment_id=name,
            region=region,
            request=request,
            cluster=rds_resources.build_cluster_resource(cluster),
            created_at=cluster["ClusterCreateTime"],
            problem=problem or _find_missing(request, owned, self.platform),
        )

    def _build_problem(self, plan: EnvironmentPlan, reason: str | None) -> Problem | None:
        if reason is None:
            return None
        step = ActivityContext(plan.environment, self.platform.vendor, Phase.VERIFYING, KeyPurpose.RDS)
        return step.build_problem("byok.VerificationFailed", reason, Remedy.UNPROVED)

    async def _was_deleted(self, plan: EnvironmentPlan) -> bool:
        rds = self.clients.rds(plan.environment.region)
        with self._step(plan.environment.environment_id, None).translate_aws_errors():
            return await asyncio.to_thread(rds_resources.find_cluster, rds, plan.cluster.identifier) is None

    def _step(self, environment_id: str, organisation: str | None) -> ActivityContext:
        update = {"environment_id": environment_id, "organisation": organisation}
        environment = plan_no_environment(self.platform).model_copy(update=update)
        return ActivityContext(environment, self.platform.vendor, Phase.VERIFYING, KeyPurpose.RDS)


def _is_same_key(one: str, other: str) -> bool:
    """Return whether two ARNs belong to the same key, or to replicas of one multi-Region key."""
    return parse_key_arn(one).global_id == parse_key_arn(other).global_id


def _holds_claim(claims: Iterable[str], key_arn: str | None) -> bool:
    return key_arn is not None and is_key_arn(key_arn) and any(_is_same_key(claim, key_arn) for claim in claims)


def _in_region(owned: OwnedResources, region: str) -> OwnedResources:
    kinds = {"instances": owned.instances, "clusters": owned.clusters, "buckets": owned.buckets}
    return OwnedResources.model_validate(
        {kind: tuple(one for one in found if one.region == region) for kind, found in kinds.items()}
    )


def _find_missing(request: ProvisionRequest | None, owned: OwnedResources, platform: Platform) -> str | None:
    """Return a message that lists the planned resources that are missing or untagged; None if there are none."""
    if request is None:
        return None
    cluster = plan_cluster(request.environment_id, platform)
    buckets = [bucket.name for bucket in plan_buckets(request.environment_id, request.region, platform)]
    missing = [one for one in (cluster.writer_identifier, *buckets) if one not in owned.names]
    return f"These resources are missing or lack the environment's tags: {', '.join(missing)}." if missing else None


async def _is_known(client: Client, name: str, except_run: str | None = None) -> bool:
    """Return whether an environment has a running workflow, or an open record.

    A record that the run `except_run` began is ignored, because an earlier attempt of the same activity wrote it.
    """
    record = await find_record(client, name)
    if record is not None and record.is_open:
        latest = (await record.read_state()).latest if except_run is not None else None
        return latest is None or latest.attempt.run_id != except_run
    described = await describe_or_none(client.get_workflow_handle(environment_workflow_id(name)))
    return described is not None and described.status is WorkflowExecutionStatus.RUNNING


def _build_report(
    plan: EnvironmentPlan,
    request: ProvisionRequest,
    created_at: datetime,
    run_id: str,
    resources: Resources,
    evidence: Evidence | None,
    problem: Problem | None,
) -> RunReport:
    phase, now = Phase.READY if evidence else Phase.STOPPED, datetime.now(UTC)
    progress = EnvironmentProgress(
        request=request,
        phase=phase,
        timeline=(TimelineEntry(phase=phase, entered_at=now),),
        problems=() if problem is None else (problem,),
        resources=resources,
        evidence=evidence,
        tenant_name=plan.tenant_name if evidence else None,
    )
    return RunReport(
        progress=RecordedProgress.from_progress(progress),
        attempt=Attempt(
            kind=AttemptKind.PROVISIONING,
            run_id=run_id,
            started_at=created_at,
            ended_at=now,
            phase=phase,
            problem_code=problem.code if problem else None,
            problem_phase=problem.phase if problem else None,
            reason="rebuilt from AWS",
        ),
    )


def _list_resources(plan: EnvironmentPlan, evidence: Evidence) -> Resources:
    cluster, database = plan.cluster, evidence.database
    purposes = {bucket.name: bucket.purpose for bucket in plan.buckets}
    return Resources(
        cluster=ClusterResource(
            identifier=cluster.identifier, arn=database.cluster_arn, status=AVAILABLE, key_arn=database.key_arn
        ),
        writer=WriterResource(identifier=cluster.writer_identifier, arn=database.writer_arn, status=AVAILABLE),
        buckets=tuple(
            BucketResource(
                purpose=purposes[bucket.name],
                name=bucket.name,
                arn=build_bucket_arn(bucket.name, plan.environment.region),
                key_arn=bucket.key_arn,
                objects=tuple(item.key for item in bucket.objects),
            )
            for bucket in evidence.buckets
        ),
    )


def _read_tags(cluster: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in cluster.get("TagList", [])}
