"""If provisioning stops, byok releases the claims on keys that encrypt nothing (contract 138)."""

import asyncio
import threading
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError

from byok.contracts import LIST_KEY_CLAIMS_WORKFLOW, claims_workflow_id
from byok.domain.models import KeyClaimPage, ListClaimsRequest
from byok.domain.phases import Phase
from tests.workflows.fake_activities import build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.test_provision_environment import DISABLED, wait_for_failure

THROTTLED = ("rds", "ThrottlingException", "Rate exceeded", Phase.CREATING_CLUSTER)
DENIED = ("s3", "AccessDenied", "not authorized to perform: s3:GetObject", Phase.CREATING_CLUSTER)


@pytest.mark.parametrize("on_failure", ["keep", "rollback"])
@pytest.mark.parametrize("activity", ["ensure_cluster", "ensure_writer", "ensure_bucket", "collect_evidence"])
async def test_every_stop_after_the_claims_gives_back_the_unused_ones(
    harness: WorkflowHarness, environment_id: str, activity: str, on_failure: str
) -> None:
    harness.activities.script[activity] = [build_aws_failure(*DISABLED, Phase.CREATING_STORAGE)]

    await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, on_failure=on_failure))
    )

    calls = [call for call in harness.activities.calls if call.startswith(("remove", "release"))]
    assert calls[-1] == "release_unused_claims"  # contract 138
    assert calls.count("release_unused_claims") == 1


async def test_cancellation_gives_back_the_unused_claims(harness: WorkflowHarness, environment_id: str) -> None:
    begun = threading.Event()

    def refuse() -> None:
        begun.set()
        raise build_aws_failure(*THROTTLED, retry_after=timedelta(seconds=1))

    harness.activities.script["ensure_cluster"] = [refuse] * 99
    handle = await harness.start_provision(build_provision_request(environment_id))
    assert await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert harness.activities.calls[-1] == "release_unused_claims"  # contract 138


async def test_stop_before_the_claims_and_a_ready_environment_give_nothing_back(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    await wait_for_failure(await harness.start_provision(build_provision_request(environment_id)))
    await (await harness.start_provision(build_provision_request(environment_id))).result()

    assert "release_unused_claims" not in harness.activities.calls


async def test_claims_that_cannot_be_given_back_do_not_hide_the_problem(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["release_unused_claims"] = [build_aws_failure(*DENIED)]
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*DISABLED, Phase.CREATING_CLUSTER)]

    await wait_for_failure(await harness.start_provision(build_provision_request(environment_id)))

    progress = await harness.read_progress(environment_id)
    assert [problem.code for problem in progress.problems] == ["s3.KMS.DisabledException"]


async def test_a_stop_is_not_delayed_for_long_if_aws_does_not_answer(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*DISABLED, Phase.CREATING_CLUSTER)]
    handle = await harness.start_provision(build_provision_request(environment_id))
    await wait_for_failure(handle)

    (release,) = [
        event.activity_task_scheduled_event_attributes
        for event in (await handle.fetch_history()).events
        if event.activity_task_scheduled_event_attributes.activity_type.name == "release_unused_claims"
    ]

    bounds = (release.start_to_close_timeout, release.schedule_to_close_timeout, release.heartbeat_timeout)
    assert tuple(bound.seconds for bound in bounds) == (60, 120, 8)


async def test_claims_are_listed_by_one_activity(harness: WorkflowHarness) -> None:
    request = ListClaimsRequest(size=99)
    page = await harness.client.execute_workflow(
        LIST_KEY_CLAIMS_WORKFLOW,
        request,
        id=claims_workflow_id(request),
        task_queue=harness.task_queue,
        result_type=KeyClaimPage,
    )
    assert page == KeyClaimPage()
    assert harness.activities.calls == ["list_key_claims"]
