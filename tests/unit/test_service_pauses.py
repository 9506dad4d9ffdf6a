"""The status shows who paused an activity or workflow, when and why; lists include the paused environment."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    PauseWorkflowExecutionRequest,
    UnpauseActivityRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.service import RPCError

from byok.contracts import environment_workflow_id
from byok.domain.phases import Phase
from byok.service import pending
from byok.service.environments import EnvironmentService
from byok.service.pending import Pause, PendingStep, describe_pending_step
from byok.wizard.views import StatusView
from tests.workflows.fake_activities import FakeActivities, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_called, wait_until_ended

SINCE = datetime(2026, 11, 29, 8, 30, tzinfo=UTC)


async def test_paused_activity_shows_since_when_by_whom_and_why(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "UNCLAIMED_AFTER", timedelta(0))
    denied = build_aws_failure(
        "s3", "AccessDenied", "no kms:Decrypt", Phase.VALIDATING_KEYS, retry_after=timedelta(hours=1)
    )
    hold = threading.Event()

    def fail_once_paused() -> None:
        hold.wait(60)
        raise denied

    harness.activities.script["probe_s3_key"] = [fail_once_paused]
    await service.create(build_provision_request(environment_id))
    await wait_until_called(harness, "probe_s3_key")
    execution = WorkflowExecution(workflow_id=environment_workflow_id(environment_id))
    workflow_service, namespace = service.client.workflow_service, service.client.namespace

    before = datetime.now(UTC)
    await workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=namespace, execution=execution, type="probe_s3_key", identity="ops@host", reason="AWS outage"
        )
    )
    await wait_until(service, environment_id, lambda found: any(item.paused for item in found.pending))
    hold.set()
    status = await wait_until(
        service, environment_id, lambda found: any(item.paused and item.last_failure for item in found.pending)
    )

    (step,) = status.pending
    assert step.paused is not None
    assert (step.activity, step.paused.by, step.paused.reason) == ("probe_s3_key", "ops@host", "AWS outage")
    assert abs(step.paused.since - before) < timedelta(minutes=1)
    assert not step.unclaimed
    assert status.model_dump(mode="json")["pending"][0]["paused"]["by"] == "ops@host"
    assert "by ops@host (AWS outage); its last attempt failed: " in describe_pending_step(step)
    (words,) = StatusView.from_status(status).waiting
    assert words.startswith("The platform's operator has paused this operation.")
    await workflow_service.unpause_activity(
        UnpauseActivityRequest(namespace=namespace, execution=execution, type="probe_s3_key")
    )
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_paused_workflow_is_running_and_shows_its_pause(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "UNCLAIMED_AFTER", timedelta(0))
    hold = threading.Event()
    harness.activities.script["probe_s3_key"] = [lambda: hold.wait(60)]
    await service.create(build_provision_request(environment_id))
    await wait_until_called(harness, "probe_s3_key")
    workflow_id, namespace = environment_workflow_id(environment_id), service.client.namespace
    try:
        await service.client.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(
                namespace=namespace, workflow_id=workflow_id, identity="ops@host", reason="maintenance"
            )
        )
    except RPCError as error:
        hold.set()
        pytest.skip(f"this server cannot pause workflows: {error}")
    hold.set()

    status = await wait_until(service, environment_id, lambda found: any(item.paused for item in found.pending))

    assert status.phase is Phase.VALIDATING_KEYS
    assert status.pending[0].paused is not None
    assert (status.pending[0].activity, status.pending[0].paused.by) == (None, "ops@host")
    assert status.pending[0].paused.reason == "maintenance"
    assert status.unclaimed_since is None
    await asyncio.wait_for(_until_listed(service, environment_id), 20)
    await service.client.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(namespace=namespace, workflow_id=workflow_id)
    )
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def _until_listed(service: EnvironmentService, environment_id: str) -> None:
    """Wait until Temporal's visibility, which is eventually consistent, lists the environment as paused."""
    query = f"WorkflowId = '{environment_workflow_id(environment_id)}' AND ExecutionStatus = 'Paused'"
    while not [one async for one in service.client.list_workflows(query)]:
        pass
    listed = {item.environment_id: item.phase for item in await service.list_environments(10_000)}
    assert listed[environment_id] is Phase.VALIDATING_KEYS


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (
            PendingStep(
                activity="ensure_bucket",
                since=SINCE,
                attempt=3,
                last_failure="no kms:Decrypt",
                paused=Pause(since=SINCE, by="ops@host", reason="AWS outage"),
            ),
            "creating a bucket: paused in Temporal since 2026-11-29 08:30:00 UTC by ops@host (AWS outage); "
            "its last attempt failed: no kms:Decrypt",
        ),
        (
            PendingStep(activity=None, since=SINCE, paused=Pause(since=SINCE)),
            "the workflow: paused in Temporal since 2026-11-29 08:30:00 UTC",
        ),
    ],
)
def test_pause_is_described_in_one_line(step: PendingStep, text: str) -> None:
    assert describe_pending_step(step) == text


def test_words_for_steps_belong_to_activities_that_exist() -> None:
    assert [name for name in pending._STEP_NAMES if not hasattr(FakeActivities, name)] == []
