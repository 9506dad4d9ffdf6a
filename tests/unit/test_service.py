"""`EnvironmentService` on a real Temporal server, with a worker whose activities are scripted by the tests."""

import asyncio
import threading
import uuid
from datetime import timedelta

import pytest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.testing import WorkflowEnvironment

from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.models import CheckKeysRequest
from byok.domain.phases import Phase
from byok.service import connection as door
from byok.service import environment_reader as watching
from byok.service import pending, provisioning
from byok.service.environments import EnvironmentService
from byok.service.errors import (
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    NoWorkerError,
    TemporalRefusedError,
    TemporalUnreachableError,
)
from byok.service.temporal_errors import extract_reason
from byok.temporal import make_plugin, register_search_attributes
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_called, wait_until_ended

DISABLED = f"{S3_KEY} is disabled."


async def test_ready_environment_has_timeline_resources_and_evidence(
    service: EnvironmentService, environment_id: str
) -> None:
    creation = await service.create(build_provision_request(environment_id))
    status = await wait_until_ended(service, environment_id)
    assert creation.started
    assert (status.phase, status.problem, status.pending) == (Phase.READY, None, ())
    assert (status.workflow_id, status.run_id) == (f"environment/{environment_id}", creation.run_id)
    assert status.timeline[0].phase is Phase.VALIDATING_KEYS
    assert status.timeline[-1].phase is Phase.READY
    assert status.resources.cluster is not None
    assert status.resources.writer is not None
    assert len(status.resources.buckets) == 3
    assert status.evidence is not None
    assert status.evidence.database.key_arn == RDS_KEY


def test_reason_of_a_connection_error_is_the_innermost_message() -> None:
    refused = 'ConnectError("tcp connect error", 127.0.0.1:1, Os { code: 111, message: "Connection refused" })'
    unknown = 'ConnectError("dns error", Custom { kind: Uncategorized, error: "Name or service not known" })'
    assert extract_reason(RuntimeError(refused)) == "Connection refused"
    assert extract_reason(RuntimeError(unknown)) == "Name or service not known"
    assert extract_reason(RuntimeError("no quotes")) == "no quotes"


async def test_same_request_returns_the_same_environment(service: EnvironmentService, environment_id: str) -> None:
    first = await service.create(build_provision_request(environment_id))
    second = await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    third = await service.create(build_provision_request(environment_id))
    assert [item.started for item in (first, second, third)] == [True, False, False]
    assert {item.run_id for item in (first, second, third)} == {first.run_id}


async def test_concurrent_identical_requests_start_one_environment(
    service: EnvironmentService, environment_id: str
) -> None:
    both = await asyncio.gather(*(service.create(build_provision_request(environment_id)) for _ in range(2)))
    assert sorted(item.started for item in both) == [False, True]
    assert len({item.run_id for item in both}) == 1
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_different_request_for_a_ready_id_names_the_differences(
    service: EnvironmentService, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    with pytest.raises(EnvironmentConflictError, match=r"different values: on failure is keep, not rollback\."):
        await service.create(build_provision_request(environment_id, on_failure="rollback"))
    with pytest.raises(EnvironmentConflictError, match=rf"`byok tenant {environment_id} <name>`"):
        await service.create(build_provision_request(environment_id, tenant="acme"))


async def test_different_request_for_a_running_id_names_the_differences(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    release = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: release.wait(60)]
    await service.create(build_provision_request(environment_id))
    await wait_until(service, environment_id, lambda status: status.phase is Phase.CREATING_CLUSTER)
    with pytest.raises(EnvironmentConflictError, match=f"S3 key ARN is {S3_KEY}, not {RDS_KEY}"):
        await service.create(build_provision_request(environment_id, s3_key_arn=RDS_KEY))
    release.set()
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_stopped_environment_reports_why_and_starts_again(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [
        build_aws_failure("s3", "KMS.DisabledException", DISABLED, Phase.VALIDATING_KEYS)
    ]
    first = await service.create(build_provision_request(environment_id))
    stopped = await wait_until_ended(service, environment_id)
    assert stopped.phase is Phase.STOPPED
    assert stopped.problem is not None
    assert (stopped.problem.code, stopped.problem.message) == ("s3.KMS.DisabledException", DISABLED)
    assert stopped.problem.key_arn == S3_KEY
    assert stopped.problems == (stopped.problem,)
    assert stopped.evidence is None

    second = await service.create(build_provision_request(environment_id))
    ready = await wait_until_ended(service, environment_id)
    assert second.started
    assert second.run_id != first.run_id
    assert (ready.phase, ready.run_id, ready.problem) == (Phase.READY, second.run_id, None)


async def test_running_environment_reports_its_pending_activity(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    again, release = timedelta(milliseconds=1), threading.Event()
    harness.activities.script["probe_s3_key"] = [
        build_aws_failure("s3", "AccessDenied", "no kms:GenerateDataKey", Phase.VALIDATING_KEYS, retry_after=again),
        lambda: release.wait(60),
    ]
    await service.create(build_provision_request(environment_id))
    status = await wait_until(service, environment_id, lambda found: any(item.attempt == 2 for item in found.pending))
    release.set()
    (waiting,) = status.pending
    assert (waiting.activity, waiting.last_failure) == ("probe_s3_key", "no kms:GenerateDataKey")
    assert waiting.last_problem is not None
    assert waiting.last_problem.code == "s3.AccessDenied"
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_invalid_temporal_input_is_a_problem_that_names_the_field(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    workflow_id = environment_workflow_id(environment_id)
    await harness.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        {"environment_id": environment_id},
        id=workflow_id,
        task_queue=harness.task_queue,
    )
    status = await wait_until_ended(service, environment_id)
    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert status.problem.code == "byok.InvalidInput"
    assert "s3_key_arn: Field required" in status.problem.message
    assert status.problem.key is None
    # A valid request may reuse the environment id of the failed request.
    assert (await service.create(build_provision_request(environment_id))).started
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_terminated_workflow_is_stopped_with_the_reason(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    release = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: release.wait(60)]
    await service.create(build_provision_request(environment_id))
    await wait_until(service, environment_id, lambda status: status.phase is Phase.CREATING_CLUSTER)
    await harness.client.get_workflow_handle(environment_workflow_id(environment_id)).terminate(
        reason="by the operator"
    )
    release.set()
    status = await wait_until_ended(service, environment_id)
    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert (status.problem.code, status.problem.phase) == ("byok.Ended", Phase.CREATING_CLUSTER)
    assert "terminated in Temporal before it finished (by the operator)" in status.problem.message


async def test_terminated_deletion_must_be_requested_again(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    hold = threading.Event()
    harness.activities.script["find_resources"] = [lambda: hold.wait(60)]
    await service.delete(build_delete_request(environment_id))
    await wait_until_called(harness, "find_resources")

    await service.client.get_workflow_handle(environment_workflow_id(environment_id)).terminate()
    status = await wait_until_ended(service, environment_id)
    hold.set()

    assert status.problem is not None
    assert status.phase is Phase.STOPPED
    assert (status.problem.code, status.problem.phase) == ("byok.Ended", Phase.DELETING)
    assert (
        status.problem.remediation.steps[-1].text
        == "Retry the deletion: resources that are already deleted are skipped."
    )


async def test_missing_environment_is_not_found(service: EnvironmentService) -> None:
    with pytest.raises(EnvironmentNotFoundError, match="Environment missing not found"):
        await service.read_status("missing")


async def test_missing_namespace_is_not_a_missing_environment(
    temporal: WorkflowEnvironment,
) -> None:
    address = temporal.client.service_client.config.target_host
    client = await Client.connect(address, namespace="nowhere", plugins=[make_plugin()])
    with pytest.raises(TemporalRefusedError, match="nowhere"):
        await EnvironmentService(client).read_status("acme")


async def test_worker_in_a_missing_namespace_reports_it(temporal: WorkflowEnvironment) -> None:
    address = temporal.client.service_client.config.target_host
    client = await Client.connect(address, namespace="nowhere", plugins=[make_plugin()])
    with pytest.raises(RuntimeError, match="Temporal rejected the request"):
        await register_search_attributes(client)


async def test_list_has_each_environment_once_with_its_latest_run(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [
        build_aws_failure("s3", "KMS.DisabledException", DISABLED, Phase.VALIDATING_KEYS)
    ]
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    await _until_listed(service, environment_id, Phase.STOPPED, "s3.KMS.DisabledException")
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    await _until_listed(service, environment_id, Phase.READY, None)


async def _until_listed(service: EnvironmentService, environment_id: str, phase: Phase, code: str | None) -> None:
    """Wait until the eventually consistent list of environments shows the environment in this phase."""

    async def found() -> None:
        while True:
            listed = [item for item in await service.list_environments(1000) if item.environment_id == environment_id]
            if [(item.phase, item.problem_code, item.region) for item in listed] == [(phase, code, REGION)]:
                return

    await asyncio.wait_for(found(), 20)


async def test_key_check_returns_findings_and_proofs(service: EnvironmentService, harness: WorkflowHarness) -> None:
    asked = CheckKeysRequest(region=REGION, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)
    found = await service.check_keys(asked)
    assert (found.findings, [one.verdict for one in found.keys.both]) == ((), ["verified", "not verified"])


async def test_workers_poll_for_workflow_and_activity_tasks(
    service: EnvironmentService, harness: WorkflowHarness
) -> None:
    async def found() -> None:
        while not await service.list_workers():
            pass

    await asyncio.wait_for(found(), 20)
    (worker,) = await service.list_workers()
    assert worker.identity == harness.client.identity


async def test_waiting_without_a_worker_is_reported(
    temporal: WorkflowEnvironment, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "NO_WORKER_TIMEOUT", timedelta(0))
    monkeypatch.setattr(pending, "UNCLAIMED_AFTER", timedelta(milliseconds=10))
    service = EnvironmentService(temporal.client, f"unpolled-{uuid.uuid4().hex}")
    await service.create(build_provision_request(environment_id))
    with pytest.raises(NoWorkerError, match=r"was accepted, but .*: no worker is polling task queue 'unpolled-"):
        await wait_until_ended(service, environment_id)
    asked = CheckKeysRequest(region=REGION, s3_key_arn=RDS_KEY, rds_key_arn=S3_KEY)
    with pytest.raises(NoWorkerError, match="The key check was accepted, but no worker is processing it"):
        await asyncio.wait_for(service.check_keys(asked), 30)
    status = await service.read_status(environment_id)
    assert (status.phase, status.pending[0].unclaimed) == (Phase.VALIDATING_KEYS, True)
    assert (status.region, status.s3_key_arn) == (REGION, S3_KEY), "the request is known before a worker takes it"


async def test_environment_starts_before_search_attributes_are_registered(
    service: EnvironmentService, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provisioning, "PHASE_ATTRIBUTE", SearchAttributeKey.for_keyword("NobodyHasRegisteredThis"))
    assert (await service.create(build_provision_request(environment_id), key="named")).started
    status = await wait_until_ended(service, environment_id)
    assert (status.phase, status.timeline[0].phase) == (Phase.READY, Phase.VALIDATING_KEYS)
    assert not (await service.create(build_provision_request(environment_id), key="named")).started


async def test_unreachable_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    with pytest.raises(TemporalUnreachableError, match=r"Cannot reach .* at 127\.0\.0\.1:1.*Connection refused"):
        await door.connect_service()


async def test_missing_profile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "nope")
    with pytest.raises(TemporalRefusedError, match="Profile 'nope' not found"):
        await door.connect_service()
