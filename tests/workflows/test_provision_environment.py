"""Test the workflow that provisions an environment, with fake activities on a real Temporal server."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from activities.failures import stop_with_problems, with_partial_result
from byok.contracts import PHASE_ATTRIBUTE, PROBLEM_CODE_ATTRIBUTE, environment_workflow_id
from byok.domain.arns import KeyPurpose
from byok.domain.holding import MAX_HOLD
from byok.domain.models import Problem
from byok.domain.phases import Phase
from byok.domain.problems.remediation import Remedy
from byok.service.environments import EnvironmentService
from tests.remedy_text import text_of
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    S3_KEY,
    build_aws_failure,
    build_exchanged_failure,
    build_key_problem,
    build_provision_request,
    parse_problems,
)
from tests.workflows.fake_results import build_bucket_resource
from tests.workflows.temporal_env import WorkflowHarness

BUCKETS = len(PLATFORM.blueprint.buckets)
DISABLED = ("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.")
NOT_ACCESSIBLE = (
    "rds",
    "KMSKeyNotAccessibleFault",
    f"The specified KMS key [{RDS_KEY}] either doesn't exist, isn't enabled, or isn't accessible by the current user.",
)


async def wait_for_failure(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ApplicationError)
    return caught.value.cause


async def wait_for_failure_problems(handle: WorkflowHandle[Any, Any]) -> list[Problem]:
    return parse_problems(await wait_for_failure(handle))


async def test_all_phases_lead_to_ready_with_evidence(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id))

    evidence = await handle.result()

    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.READY
    entered = [entry.phase for entry in progress.timeline]
    assert entered[:3] == [Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER, Phase.CREATING_STORAGE]
    assert entered[-2:] == [Phase.VERIFYING, Phase.READY]
    assert progress.evidence == evidence
    assert progress.resources.cluster is not None
    assert progress.resources.cluster.created
    assert progress.resources.cluster.status == "available"
    assert progress.resources.writer is not None
    assert len(progress.resources.buckets) == BUCKETS
    described = await handle.describe()
    assert described.typed_search_attributes[PHASE_ATTRIBUTE] == "READY"


async def test_cluster_is_created_before_any_bucket(harness: WorkflowHarness, environment_id: str) -> None:
    await (await harness.start_provision(build_provision_request(environment_id))).result()  # contract 91, 93, 94

    calls = harness.activities.calls
    assert calls.index("probe_s3_key") < calls.index("ensure_cluster") < calls.index("ensure_bucket")


async def test_event_count_of_a_successful_environment_is_stable(harness: WorkflowHarness, environment_id: str) -> None:
    await EnvironmentService(harness.client, harness.task_queue).create(build_provision_request(environment_id))
    handle = harness.client.get_workflow_handle(environment_workflow_id(environment_id))
    await handle.result()

    assert len(harness.activities.calls) == 6 + BUCKETS
    history = await handle.fetch_history()
    kinds = [event.WhichOneof("attributes") for event in history.events]
    # The history has one event each for the start, the completion, the plan and the two reports to the record (local
    # activities). Every other activity adds three events. Every phase adds two events, except the first phase, which
    # the start request publishes. All other events belong to workflow tasks. The number of workflow tasks varies,
    # because it depends on which of two parallel activities completes first.
    workflow_tasks = [kind for kind in kinds if kind and kind.startswith("workflow_task_")]
    steps, phases = len(harness.activities.calls) - 1, len((await harness.read_progress(environment_id)).timeline) - 1
    assert len(kinds) - len(workflow_tasks) == 2 + 3 + 3 * steps + 2 * phases
    assert len(workflow_tasks) <= 3 * (steps + 1)


async def test_disabled_s3_key_stops_before_the_cluster(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]

    failure = await wait_for_failure(await harness.start_provision(build_provision_request(environment_id)))

    assert failure.type == "s3.KMS.DisabledException"
    assert failure.message.startswith(f"Environment {environment_id} stopped in VALIDATING_KEYS: ")
    # contract 6, 7, 128
    examined = ["probe_key_claims", "await_aurora_proof"]
    assert harness.activities.calls == ["plan_environment", "probe_s3_key", *examined]
    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.STOPPED
    assert progress.first_problem is not None
    assert progress.first_problem.message == f"{S3_KEY} is disabled."
    assert progress.first_problem.key is KeyPurpose.S3
    assert S3_KEY in text_of(progress.first_problem.remediation)


async def test_happy_path_makes_no_proof_but_the_environments_own_cluster(
    harness: WorkflowHarness, environment_id: str
) -> None:
    await (await harness.start_provision(build_provision_request(environment_id))).result()

    assert not {"await_aurora_proof", "probe_key_claims"} & set(harness.activities.calls)


async def test_two_broken_keys_are_reported_at_the_first_stop(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    harness.activities.script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [(one.key, one.code) for one in problems] == [
        (KeyPurpose.S3, "s3.KMS.DisabledException"),
        (KeyPurpose.RDS, "rds.KMSKeyNotAccessibleFault"),
    ]  # contract 128


async def test_aurora_key_is_examined_if_the_arn_of_the_s3_key_can_never_work(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]

    problems = await wait_for_failure_problems(
        await harness.start_provision(build_provision_request(environment_id, s3_key_arn="alias/mine"))
    )

    assert [one.code for one in problems] == ["arn.AliasNotAllowed", "rds.KMSKeyNotAccessibleFault"]  # contract 128


async def test_exchanged_arns_stop_with_one_problem(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_exchanged_failure()]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [one.code for one in problems] == ["byok.KeysExchanged"]  # contract 127
    assert harness.activities.calls == ["plan_environment", "probe_s3_key"]


@pytest.mark.parametrize("held", [(KeyPurpose.S3,), (KeyPurpose.RDS,), tuple(KeyPurpose)])
async def test_keys_of_other_environments_stop_with_all_that_is_wrong(
    harness: WorkflowHarness, environment_id: str, held: tuple[KeyPurpose, ...]
) -> None:
    conflicts = [build_key_problem("byok.KeyInUse", which, Remedy.KEY_IN_USE) for which in held]
    harness.activities.script["ensure_cluster"] = [stop_with_problems(conflicts)]
    harness.activities.script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    examined = held == (KeyPurpose.S3,)  # contract 128, 129
    assert [one.key for one in problems] == [*held, *([KeyPurpose.RDS] if examined else [])]
    assert ("await_aurora_proof" in harness.activities.calls) == examined


async def test_details_in_temporal_ui_end_with_the_command_that_retries(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    handle = await harness.start_provision(build_provision_request(environment_id))
    await wait_for_failure(handle)

    shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)

    assert "#### The S3 key is disabled\n" in shown.current_details
    assert (
        "\nWho: the customer's key administrator\n\n1. Enable the key in the account that owns it. "
        in shown.current_details
    )
    assert "\n   ```\n   aws kms enable-key " in shown.current_details
    retry = "\n2. Retry with the same values: provisioning resumes where it stopped.\n"
    assert f"{retry}\n   ```\n   byok replay {environment_id}\n   ```" in shown.current_details


async def test_problem_code_is_a_search_attribute(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    handle = await harness.start_provision(build_provision_request(environment_id))
    await wait_for_failure(handle)

    described = await handle.describe()

    assert described.typed_search_attributes[PHASE_ATTRIBUTE] == "STOPPED"
    assert described.typed_search_attributes[PROBLEM_CODE_ATTRIBUTE] == "s3.KMS.DisabledException"


async def test_findings_of_both_keys_are_reported_together(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]
    alias = "arn:aws:kms:eu-central-1:444455556666:alias/db"

    problems = await wait_for_failure_problems(
        await harness.start_provision(build_provision_request(environment_id, rds_key_arn=alias))
    )

    assert {(problem.key, problem.code) for problem in problems} == {
        (KeyPurpose.RDS, "arn.AliasNotAllowed"),  # contract 82
        (KeyPurpose.S3, "s3.KMS.DisabledException"),
    }


async def test_malformed_s3_arn_is_not_probed(harness: WorkflowHarness, environment_id: str) -> None:
    problems = await wait_for_failure_problems(
        await harness.start_provision(build_provision_request(environment_id, s3_key_arn="nonsense"))
    )

    assert [problem.code for problem in problems] == ["arn.Malformed"]
    assert "probe_s3_key" not in harness.activities.calls


async def test_refused_cluster_stops_before_storage(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.CREATING_CLUSTER)]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [problem.code for problem in problems] == ["rds.KMSKeyNotAccessibleFault"]
    assert "ensure_bucket" not in harness.activities.calls  # contract 93


async def test_refused_write_cancels_the_wait_for_the_database(harness: WorkflowHarness, environment_id: str) -> None:
    waiting = threading.Event()
    not_ready: Exception = ApplicationError("creating", type="rds.NotReady")

    def wait() -> None:
        waiting.set()
        raise not_ready

    def refuse() -> None:
        assert waiting.wait(60)
        made = build_bucket_resource(harness.activities.inputs["ensure_bucket"][0], created=True)
        raise with_partial_result(build_aws_failure(*DISABLED, Phase.CREATING_STORAGE), made)

    harness.activities.script["ensure_writer"] = [wait, *[not_ready] * 50]
    harness.activities.script["ensure_bucket"] = [refuse]
    handle = await harness.start_provision(build_provision_request(environment_id))

    problems = await wait_for_failure_problems(handle)

    assert [problem.code for problem in problems] == ["s3.KMS.DisabledException"]
    kinds = [event.WhichOneof("attributes") for event in (await handle.fetch_history()).events]
    assert "activity_task_cancel_requested_event_attributes" in kinds
    assert "await_writer" not in harness.activities.calls
    progress = await harness.read_progress(environment_id)
    assert progress.resources.cluster is not None  # the progress shows the resources that are kept (D9)
    assert [bucket.purpose for bucket in progress.resources.buckets] == [PLATFORM.blueprint.buckets[0].purpose]


async def test_cluster_that_loses_its_key_stops_the_buckets(harness: WorkflowHarness, environment_id: str) -> None:
    begun = threading.Event()
    harness.activities.script["ensure_writer"] = [
        _after(begun, build_aws_failure(*NOT_ACCESSIBLE, Phase.AWAITING_DATABASE))
    ]
    harness.activities.script["ensure_bucket"] = [begun.set]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [problem.code for problem in problems] == ["rds.KMSKeyNotAccessibleFault"]


async def test_problems_of_both_branches_are_reported(harness: WorkflowHarness, environment_id: str) -> None:
    both = threading.Barrier(2, timeout=10)
    harness.activities.script["ensure_writer"] = [
        _after(both, build_aws_failure(*NOT_ACCESSIBLE, Phase.AWAITING_DATABASE))
    ]
    harness.activities.script["ensure_bucket"] = [_after(both, build_aws_failure(*DISABLED, Phase.CREATING_STORAGE))]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    # A cancelled wait ends immediately. A cancelled write runs to completion, so the write's error is always reported.
    assert "s3.KMS.DisabledException" in {problem.code for problem in problems}
    assert {problem.code for problem in problems} <= {"s3.KMS.DisabledException", "rds.KMSKeyNotAccessibleFault"}


async def test_retry_cancelled_by_the_other_branch_is_not_a_problem(
    harness: WorkflowHarness, environment_id: str
) -> None:
    both = threading.Barrier(2, timeout=10)
    throttled = ApplicationError("Please reduce your request rate.", type="s3.SlowDown")
    harness.activities.script["ensure_writer"] = [
        _after(both, build_aws_failure(*NOT_ACCESSIBLE, Phase.AWAITING_DATABASE))
    ]
    harness.activities.script["ensure_bucket"] = [_after(both, throttled), *[throttled] * 99]

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [problem.code for problem in problems] == ["rds.KMSKeyNotAccessibleFault"]


async def test_stop_keeps_resources_by_default(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED, Phase.CREATING_STORAGE)]

    await wait_for_failure(await harness.start_provision(build_provision_request(environment_id)))

    assert not [call for call in harness.activities.calls if call.startswith("remove_")]


async def test_retryable_errors_do_not_stop(harness: WorkflowHarness, environment_id: str) -> None:
    slow_down = ApplicationError("Please reduce your request rate.", type="s3.SlowDown")
    harness.activities.script["ensure_bucket"] = [slow_down, slow_down]

    await (await harness.start_provision(build_provision_request(environment_id))).result()

    assert harness.activities.calls.count("ensure_bucket") == BUCKETS + 2


@pytest.mark.virtual_time
async def test_last_aws_error_is_the_problem_after_a_timeout(harness: WorkflowHarness, environment_id: str) -> None:
    again = build_aws_failure(*NOT_ACCESSIBLE, Phase.CREATING_CLUSTER, retry_after=timedelta(minutes=50))
    harness.activities.script["ensure_cluster"] = [again] * 99

    problems = await wait_for_failure_problems(await harness.start_provision(build_provision_request(environment_id)))

    assert [problem.code for problem in problems] == ["rds.KMSKeyNotAccessibleFault"]


def _after(fact: threading.Event | threading.Barrier, error: Exception) -> Callable[[], None]:
    def step() -> None:
        fact.wait(10)
        raise error

    return step


async def test_every_activity_has_timeouts_and_heartbeats(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id))
    await handle.result()

    history = await handle.fetch_history()
    scheduled = [
        event.activity_task_scheduled_event_attributes
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    # Replay tests would not notice changed timeouts or retry policies, because histories replay despite such changes.
    for step in scheduled:
        name = step.activity_type.name
        assert 10 <= step.start_to_close_timeout.seconds <= 180, name
        assert 900 <= (step.schedule_to_close_timeout.ToTimedelta() - MAX_HOLD).total_seconds() <= 3600, name
        assert step.retry_policy.maximum_interval.seconds == 5, name
        assert "s3.KMS.DisabledException" in step.retry_policy.non_retryable_error_types, name
        assert step.heartbeat_timeout.seconds == 8, name
