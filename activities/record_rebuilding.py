"""Activities that make the records of environments again from what AWS shows (contract 136)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pydantic import ValidationError
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities import rds_resources
from activities.bucket_settings import build_bucket_arn
from activities.clients import AwsClients
from activities.evidence import EvidenceActivities
from activities.failures import ActivityContext
from activities.inventory import Inventory, ListedDatabases
from activities.key_claims import KeyClaims
from byok.contracts import environment_workflow_id
from byok.domain import naming
from byok.domain.arns import KeyPurpose
from byok.domain.encryption import find_encryption_of_key
from byok.domain.models import (
    Attempt,
    AttemptKind,
    BucketResource,
    ClusterResource,
    EnvironmentPlan,
    EnvironmentProgress,
    Evidence,
    Problem,
    ProvisionRequest,
    RebuildRequest,
    RebuiltRecord,
    Resources,
    RunReport,
    TimelineEntry,
    UnrecordedEnvironment,
    UnrecordedPage,
    WriterResource,
)
from byok.domain.phases import Encryption, Phase
from byok.domain.planning import Platform, plan_environment, plan_no_environment
from byok.domain.rds_statuses import AVAILABLE
from byok.temporal_records import find_record, send_report

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

_PAGE_SIZE: Final = 25

_Database: TypeAlias = "tuple[str, DBClusterTypeDef]"


@dataclass(frozen=True)
class RebuildActivities:
    """Finds environments without a record, and makes their records from their resources in AWS."""

    clients: AwsClients
    platform: Platform
    evidence: EvidenceActivities

    @activity.defn
    async def list_unrecorded_environments(self, request: RebuildRequest) -> UnrecordedPage:
        """List environments that have a cluster but no record, in the order of their ids.

        Every environment with resources has a cluster, because byok creates the cluster first. An environment whose
        workflow is running is skipped, because the workflow reports its end to the record.

        Raises:
            ApplicationError: AWS returned an error. The error table decides whether the error stops the activity.
        """
        step = self._step(plan_no_environment(self.platform).environment_id)
        with step.translate_aws_errors():
            listed = await asyncio.to_thread(Inventory(self.clients, self.platform).list_databases)
        found = self._find_clusters(listed)
        after = request.after or ""
        ids = list(islice((name for name in sorted(found) if name > after), _PAGE_SIZE + 1))
        page, client = ids[:_PAGE_SIZE], activity.client()
        missing = [name for name in page if not await _is_known(client, name)]
        with step.translate_aws_errors():
            environments = [await asyncio.to_thread(self._describe, name, found[name], listed) for name in missing]
        return UnrecordedPage(
            environments=tuple(environments),
            skipped=len(page) - len(missing),
            after=page[-1] if len(ids) > len(page) else None,
        )

    @activity.defn
    async def rebuild_record(self, found: UnrecordedEnvironment) -> RebuiltRecord:
        """Compare an environment's resources with its blueprint, and begin its record with the result.

        The environment is READY if all of its evidence can be collected, and otherwise STOPPED with the problem.

        Raises:
            ApplicationError: AWS returned an error that a retry can resolve.
        """
        name, region, request = found.environment_id, found.region, found.request
        if request is None:
            return RebuiltRecord(environment_id=name, region=region, problem=found.reason)
        run_id = f"rebuilt-{activity.info().workflow_run_id}"
        plan = plan_environment(request, self.platform, datetime.now(UTC), run_id)
        evidence: Evidence | None = None
        problem: Problem | None = None
        try:
            evidence = await self.evidence.collect_evidence(plan)
        except ApplicationError as error:
            problem = next((one for one in error.details if isinstance(one, Problem)), None)
            if problem is None or not error.non_retryable:
                raise
        report = _build_report(found, plan, request, run_id, evidence, problem)
        await send_report(activity.client(), activity.info().task_queue, report)
        return RebuiltRecord(
            environment_id=name,
            region=region,
            phase=report.progress.phase,
            problem=f"{problem.code}: {problem.message}" if problem else None,
        )

    def _find_clusters(self, listed: ListedDatabases) -> dict[str, _Database]:
        """Return the cluster of each environment, with its Region, by environment id."""
        key = naming.environment_tag_key(self.platform.vendor)
        found: dict[str, _Database] = {}
        for region, cluster in listed.clusters:
            name = _read_tags(cluster).get(key)
            if name is not None:
                found[name] = (region, cluster)
        return found

    def _describe(self, name: str, database: _Database, listed: ListedDatabases) -> UnrecordedEnvironment:
        region, cluster = database
        organisation = _read_tags(cluster).get(naming.organisation_tag_key(self.platform.vendor))
        owned = Inventory(self.clients, self.platform).find_resources(name, listed, organisation)
        rds_key_arn = cluster.get("KmsKeyId")
        encryption = find_encryption_of_key(rds_key_arn, self.platform.account) or Encryption.CUSTOMER_MANAGED
        values: dict[str, Any] = {"environment_id": name, "region": region, "encryption": encryption}
        if encryption is Encryption.CUSTOMER_MANAGED:
            s3_key_arn = next(iter(owned.s3_key_arns), None) or self._find_claimed_s3_key(name, rds_key_arn)
            values |= {"rds_key_arn": rds_key_arn, "s3_key_arn": s3_key_arn}
        request, reason = None, None
        try:
            request = ProvisionRequest.model_validate({**values, "organisation": organisation})
        except ValidationError as error:
            reason = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        return UnrecordedEnvironment(
            environment_id=name,
            region=region,
            request=request,
            cluster=rds_resources.build_cluster_resource(cluster),
            created_at=cluster["ClusterCreateTime"],
            reason=reason,
        )

    def _find_claimed_s3_key(self, name: str, rds_key_arn: str | None) -> str | None:
        """Return the key that an environment has claimed besides its Aurora key, if it has no bucket yet."""
        claims = KeyClaims(self.clients, self.platform, self._step(name)).list_key_arns_of_environment()
        return next((arn for arn in claims if arn != rds_key_arn), None)

    def _step(self, environment_id: str) -> ActivityContext:
        environment = plan_no_environment(self.platform).model_copy(update={"environment_id": environment_id})
        return ActivityContext(environment, self.platform.vendor, Phase.VERIFYING, KeyPurpose.RDS)


async def _is_known(client: Client, name: str) -> bool:
    """Return whether an environment has an open record or a running workflow."""
    record = await find_record(client, name)
    if record is not None and record.is_open:
        return True
    try:
        described = await client.get_workflow_handle(environment_workflow_id(name)).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING


def _build_report(
    found: UnrecordedEnvironment,
    plan: EnvironmentPlan,
    request: ProvisionRequest,
    run_id: str,
    evidence: Evidence | None,
    problem: Problem | None,
) -> RunReport:
    phase, now = Phase.READY if evidence else Phase.STOPPED, datetime.now(UTC)
    progress = EnvironmentProgress(
        request=request,
        phase=phase,
        timeline=(
            TimelineEntry(phase=Phase.VALIDATING_KEYS, entered_at=found.created_at),
            TimelineEntry(phase=phase, entered_at=now),
        ),
        problems=() if problem is None else (problem,),
        resources=Resources(cluster=found.cluster) if evidence is None else _list_resources(plan, evidence),
        evidence=evidence,
        tenant_name=plan.tenant_name if evidence else None,
    )
    return RunReport(
        progress=progress,
        attempt=Attempt(
            kind=AttemptKind.PROVISIONING,
            run_id=run_id,
            started_at=found.created_at,
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
