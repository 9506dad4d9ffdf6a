"""byok rebuilds records from the resources, tags, claims and encryption settings that AWS reports (contract 136)."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

import activities.record_rebuilding
import workflows.rebuild_records
from activities.record_rebuilding import RebuildActivities
from byok.contracts import (
    PROVISION_ENVIRONMENT_WORKFLOW,
    REBUILD_RECORDS_WORKFLOW,
    REBUILD_RECORDS_WORKFLOW_ID,
    environment_workflow_id,
    record_workflow_id,
)
from byok.domain.models import ProvisionRequest, RebuildRequest, RebuildResult
from byok.domain.phases import Encryption, Phase
from tests.activities.conftest import OTHER_REGION, PLATFORM, ActivityHarness
from tests.activities.stage import Stage, run_stage
from tests.localaws.server import REGION, AwsHarness
from tests.workflows.forgetting import delete_workflow, forget_workflows
from workflows.rebuild_records import RebuildRecords


class RebuildStage(Stage):
    """A worker that also rebuilds records."""

    async def lose(self, *requests: ProvisionRequest) -> None:
        """Delete the workflows and the records of environments."""
        names = [request.environment_id for request in requests]
        await forget_workflows(self.client, *names)
        for name in names:
            await delete_workflow(self.client, record_workflow_id(name))

    async def rebuild(self) -> RebuildResult:
        result: RebuildResult = await self.client.execute_workflow(
            REBUILD_RECORDS_WORKFLOW,
            RebuildRequest(),
            id=REBUILD_RECORDS_WORKFLOW_ID,
            task_queue=self.queue,
            result_type=RebuildResult,
        )
        return result


@pytest_asyncio.fixture
async def stage(
    temporal: WorkflowEnvironment, aws: AwsHarness, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RebuildStage]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    harness = ActivityHarness(aws)
    rebuilding = RebuildActivities(harness.clients, PLATFORM, harness.evidence)
    activities: list[Callable[..., Any]] = [rebuilding.list_unrecorded_environments, rebuilding.rebuild_record]
    async with run_stage(temporal.client, harness, [RebuildRecords], activities) as queue:
        yield RebuildStage(temporal.client, aws, queue)


async def test_records_are_rebuilt_in_every_region_in_use(stage: RebuildStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities.record_rebuilding, "_PAGE_SIZE", 1)
    requests = [await stage.provision(), await stage.provision(OTHER_REGION), await stage.provision()]
    before = {one.environment_id: await stage.read(one) for one in requests}
    await stage.lose(*requests[:2])

    result = await stage.rebuild()

    assert result == RebuildResult(ready=2, skipped=1)
    for request in requests:
        status, known = await stage.read(request), before[request.environment_id]
        assert (status.region, status.s3_key_arn, status.rds_key_arn) == (
            request.region,
            request.s3_key_arn,
            request.rds_key_arn,
        )
        assert status.evidence is not None
        assert known.evidence is not None
        assert (status.evidence.database, status.evidence.buckets) == (known.evidence.database, known.evidence.buckets)
        assert status.tenant_name == known.tenant_name


async def test_drift_is_reported_in_the_rebuilt_record(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    s3 = stage.aws.operator_client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        if f"-{request.environment_id}-" in bucket["Name"]:
            s3.put_bucket_encryption(
                Bucket=bucket["Name"],
                ServerSideEncryptionConfiguration={
                    "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
                },
            )

    (rebuilt,) = (await stage.rebuild()).problems

    assert rebuilt.phase is Phase.STOPPED
    assert rebuilt.problem is not None
    assert rebuilt.problem.startswith("byok.VerificationFailed: ")
    status = await stage.read(request)
    assert status.resources.cluster is not None
    assert (status.phase, status.region) == (Phase.STOPPED, REGION)


async def test_claims_tell_the_s3_key_of_an_environment_without_buckets(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    s3 = stage.aws.operator_client("s3")
    for bucket in [one["Name"] for one in s3.list_buckets()["Buckets"] if f"-{request.environment_id}-" in one["Name"]]:
        for version in s3.list_object_versions(Bucket=bucket).get("Versions", []):
            s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
        s3.delete_bucket(Bucket=bucket)

    await stage.rebuild()

    assert (await stage.read(request)).s3_key_arn == request.s3_key_arn


async def test_platform_managed_environment_is_rebuilt_as_such(stage: RebuildStage) -> None:
    request = await stage.provision(encryption=Encryption.PLATFORM_MANAGED, s3_key_arn=None, rds_key_arn=None)
    await stage.lose(request)

    await stage.rebuild()

    status = await stage.read(request)
    assert (status.phase, status.encryption) == (Phase.READY, Encryption.PLATFORM_MANAGED)


async def test_environment_whose_workflow_runs_and_existing_records_stay_as_they_are(stage: RebuildStage) -> None:
    ready, running = await stage.provision(), await stage.provision()
    before = await stage.read(ready)
    await stage.lose(running)
    await stage.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        running,
        id=environment_workflow_id(running.environment_id),
        task_queue="a-queue-without-workers",
    )

    result = await stage.rebuild()

    assert result == RebuildResult(skipped=2)
    assert await stage.read(ready) == before


async def test_environment_whose_request_cannot_be_derived_is_named(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    rds = stage.aws.operator_client("rds")
    (cluster,) = [
        one for one in rds.describe_db_clusters()["DBClusters"] if request.environment_id in one["DBClusterIdentifier"]
    ]
    rds.add_tags_to_resource(
        ResourceName=cluster["DBClusterArn"], Tags=[{"Key": "byok:organisation", "Value": "globex"}]
    )

    (rebuilt,) = (await stage.rebuild()).problems

    assert rebuilt.phase is None
    assert rebuilt.problem is not None
    assert "must begin with globex-" in rebuilt.problem


def list_claims(stage: RebuildStage) -> tuple[Any, str, list[str]]:
    s3 = stage.aws.operator_client("s3")
    bucket = next(one["Name"] for one in s3.list_buckets()["Buckets"] if "-key-probes-" in one["Name"])
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="claims/").get("Contents", [])
    return s3, bucket, [one["Key"] for one in listed]


async def test_environment_without_its_claims_is_not_ready(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    s3, bucket, keys = list_claims(stage)
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)

    (rebuilt,) = (await stage.rebuild()).problems

    assert rebuilt.phase is Phase.STOPPED
    assert "does not hold the claims" in (rebuilt.problem or "")
    assert (await stage.read(request)).s3_key_arn == request.s3_key_arn


async def test_environment_whose_buckets_lack_its_tags_is_not_ready(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    s3 = stage.aws.operator_client("s3")
    bucket = next(one["Name"] for one in s3.list_buckets()["Buckets"] if f"-{request.environment_id}-" in one["Name"])
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": []})

    (rebuilt,) = (await stage.rebuild()).problems

    assert rebuilt.phase is Phase.STOPPED
    assert f"These resources are missing or lack the environment's tags: {bucket}" in (rebuilt.problem or "")


async def test_environment_that_has_only_claims_is_named(stage: RebuildStage) -> None:
    request = await stage.provision()
    await stage.lose(request)
    rds = stage.aws.operator_client("rds")
    name = request.environment_id
    rds.modify_db_cluster(DBClusterIdentifier=f"byok-{name}", DeletionProtection=False, ApplyImmediately=True)
    rds.delete_db_instance(DBInstanceIdentifier=f"byok-{name}-writer", SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier=f"byok-{name}", SkipFinalSnapshot=True)

    result = await stage.rebuild()

    assert (result.missing, [one.environment_id for one in result.problems]) == (1, [name])
    assert "It has claims but no cluster." in (result.problems[0].problem or "")


async def test_environment_that_aws_does_not_describe_does_not_prevent_the_others(
    stage: RebuildStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**workflows.rebuild_records._OPTIONS, "schedule_to_close_timeout": timedelta(seconds=3)}
    monkeypatch.setattr(workflows.rebuild_records, "_OPTIONS", options)
    broken, sound = await stage.provision(environment_id="aa-broken"), await stage.provision()
    await stage.lose(broken, sound)
    stage.aws.call_control(
        "POST", "faults", service="rds", operation="*", kind="throttle", times=9999, about="aa-broken"
    )

    result = await stage.rebuild()

    assert (result.ready, result.missing) == (1, 1)
