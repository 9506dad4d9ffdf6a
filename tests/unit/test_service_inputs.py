"""byok reports an environment whose workflow has unreadable input, and the environment's id can be reused."""

import uuid

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.testing import WorkflowEnvironment

from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import (
    DifferentNamingInProgressError,
    EnvironmentConflictError,
    EnvironmentNotReadyError,
    NotReplayableError,
    NotRunningError,
)
from byok.service.replay import find_replay_options
from tests.workflows.fake_activities import build_provision_request, build_tenant_request
from tests.workflows.watching import wait_until_ended

UNREADABLE = [
    pytest.param([RawValue(Payload(metadata={"encoding": b"json/protobuf"}, data=b"{}"))], id="protobuf"),
    pytest.param([RawValue(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00"))], id="missing codec"),
    pytest.param([], id="no input"),
    pytest.param([{"region": 7}], id="malformed"),
]


async def start_by_hand(
    service: EnvironmentService, workflow_type: str, workflow_id: str, arguments: list[object], **memo: object
) -> None:
    await service.client.start_workflow(
        workflow_type, args=arguments, id=workflow_id, task_queue=service.task_queue, memo=memo or None
    )


@pytest.fixture
def unpolled(temporal: WorkflowEnvironment) -> EnvironmentService:
    """An `EnvironmentService` whose task queue has no worker."""
    return EnvironmentService(temporal.client, f"unpolled-{uuid.uuid4().hex}")


@pytest.mark.parametrize("arguments", UNREADABLE)
async def test_failed_workflow_is_stopped_not_replayable_and_starts_over(
    service: EnvironmentService, environment_id: str, arguments: list[object]
) -> None:
    await start_by_hand(service, PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id(environment_id), arguments)

    status = await wait_until_ended(service, environment_id)

    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert status.problem.code == "byok.InvalidInput"
    assert status.problem.remediation.steps[-1].text == "Correct the input, then create the environment again."
    assert find_replay_options(status) is None
    with pytest.raises(NotReplayableError, match="Specify the values again with `byok create`"):
        await service.replay(environment_id)
    with pytest.raises(NotRunningError):
        await service.cancel(environment_id)
    assert (await service.create(build_provision_request(environment_id))).started
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


@pytest.mark.parametrize("arguments", UNREADABLE)
async def test_workflow_that_was_terminated_before_a_worker_ran_it_is_reported_alike(
    unpolled: EnvironmentService, environment_id: str, arguments: list[object]
) -> None:
    workflow_id = environment_workflow_id(environment_id)
    await start_by_hand(unpolled, PROVISION_ENVIRONMENT_WORKFLOW, workflow_id, arguments)
    assert (await unpolled.read_status(environment_id)).phase is Phase.VALIDATING_KEYS
    with pytest.raises(EnvironmentConflictError, match="has an input that byok cannot read"):
        await unpolled.create(build_provision_request(environment_id))
    await unpolled.cancel(environment_id)
    await unpolled.client.get_workflow_handle(workflow_id).terminate(reason="by hand")

    status = await unpolled.read_status(environment_id)

    assert status.problem is not None
    assert (status.phase, status.problem.code) == (Phase.STOPPED, "byok.InvalidInput")
    assert status.problem.message.startswith(
        "The workflow was terminated in Temporal before it finished (by hand). Its input is invalid: "
    )
    with pytest.raises(NotReplayableError, match="Specify the values again with `byok create`"):
        await unpolled.replay(environment_id)
    assert (await unpolled.create(build_provision_request(environment_id))).started


async def test_valid_input_that_was_terminated_before_a_worker_ran_it_can_be_replayed(
    unpolled: EnvironmentService, environment_id: str
) -> None:
    workflow_id, request = environment_workflow_id(environment_id), build_provision_request(environment_id)
    await start_by_hand(unpolled, PROVISION_ENVIRONMENT_WORKFLOW, workflow_id, [request])
    await unpolled.client.get_workflow_handle(workflow_id).terminate()

    status = await unpolled.read_status(environment_id)

    assert status.problem is not None
    assert status.problem.code == "byok.Ended"
    assert (await unpolled.replay(environment_id)).step is None


async def test_deletion_with_an_invalid_input_is_a_stopped_deletion(
    service: EnvironmentService, environment_id: str
) -> None:
    await start_by_hand(service, DELETE_ENVIRONMENT_WORKFLOW, environment_workflow_id(environment_id), [{"region": 7}])

    status = await wait_until_ended(service, environment_id)

    assert status.problem is not None
    assert (status.problem.code, status.is_deletion) == ("byok.InvalidInput", True)
    assert status.problem.remediation.steps[-1].text == "Correct the input, then start the deletion again."
    with pytest.raises(NotReplayableError, match="byok delete"):
        await service.replay(environment_id)
    with pytest.raises(EnvironmentNotReadyError, match="specify the environment's Region"):
        await service.build_delete_request(environment_id)


async def test_memo_that_no_converter_reads_is_ignored(service: EnvironmentService, environment_id: str) -> None:
    foreign = RawValue(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00"))
    workflow_id, request = environment_workflow_id(environment_id), build_provision_request(environment_id)
    await start_by_hand(service, PROVISION_ENVIRONMENT_WORKFLOW, workflow_id, [request], progress=foreign)

    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_naming_with_an_unreadable_input_in_progress_is_another_naming(
    unpolled: EnvironmentService, environment_id: str
) -> None:
    unreadable = RawValue(Payload(metadata={"encoding": b"json/protobuf"}, data=b"{}"))
    await start_by_hand(unpolled, "ReconcileTenant", f"tenant/{environment_id}", [unreadable])

    with pytest.raises(DifferentNamingInProgressError, match="the earlier input cannot be read"):
        await unpolled.reconcile_tenant(build_tenant_request(environment_id))


async def test_invalid_input_is_listed_with_its_code(service: EnvironmentService, environment_id: str) -> None:
    await start_by_hand(service, PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id(environment_id), [])
    await wait_until_ended(service, environment_id)

    page, _ = await service.list_environments_page(prefix=environment_id, phase=Phase.STOPPED)
    while not page:  # visibility is eventually consistent
        page, _ = await service.list_environments_page(prefix=environment_id, phase=Phase.STOPPED)

    assert [(item.phase, item.problem_code) for item in page] == [(Phase.STOPPED, "byok.InvalidInput")]
