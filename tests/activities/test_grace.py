"""The grace period for an ambiguous denial, on a real Temporal server.

A new attempt continues the grace period that an earlier attempt began.
"""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.failure.v1 import Failure
from temporalio.client import ClientConfig, WorkflowFailureError
from temporalio.converter import DataConverter
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.remedy_text import text_of

with workflow.unsafe.imports_passed_through():
    from activities.heartbeat import HeartbeatInterceptor, load_from_previous_attempt, save_for_retry
    from byok.domain.arns import KeyPurpose
    from byok.domain.models import Problem
    from byok.temporal import make_plugin
    from tests.activities.conftest import ActivityHarness, parse_stop_problem

HEARTBEAT_TIMEOUT = timedelta(seconds=1)


@workflow.defn
class OneActivityWorkflow:
    """Runs one activity, with a heartbeat timeout as in the real workflows."""

    @workflow.run
    async def run(self, name: str) -> str:
        answer: str = await workflow.execute_activity(
            name,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
        )
        return answer


async def run_activity(temporal: WorkflowEnvironment, function: Callable[[], Any]) -> Any:
    queue = uuid.uuid4().hex
    with ThreadPoolExecutor(2) as executor:
        async with Worker(
            temporal.client,
            task_queue=queue,
            workflows=[OneActivityWorkflow],
            activities=[function],
            activity_executor=executor,
            max_concurrent_activities=2,
            interceptors=[HeartbeatInterceptor(HEARTBEAT_TIMEOUT / 10)],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            return await temporal.client.execute_workflow(
                OneActivityWorkflow.run, function.__name__, id=queue, task_queue=queue
            )


async def test_details_saved_by_a_failed_attempt_reach_the_next(temporal: WorkflowEnvironment) -> None:
    @activity.defn
    def noting() -> str:
        earlier = load_from_previous_attempt("word")
        if earlier is None:
            save_for_retry("word", "kept")
            raise ApplicationError("again", next_retry_delay=timedelta(milliseconds=10))
        return earlier

    assert await run_activity(temporal, noting) == "kept"


async def test_details_saved_by_a_coroutine_just_before_it_fails_reach_the_next(temporal: WorkflowEnvironment) -> None:
    @activity.defn
    async def noting_at_last() -> str:
        earlier = load_from_previous_attempt("word")
        if earlier is None and activity.info().attempt < 5:
            save_for_retry("word", "kept")
            raise ApplicationError("again", next_retry_delay=timedelta(milliseconds=10))
        return str(earlier)

    assert await run_activity(temporal, noting_at_last) == "kept"


async def test_saved_details_are_not_shared_between_activities(temporal: WorkflowEnvironment) -> None:
    @activity.defn
    def noting_and_done() -> str:
        earlier = load_from_previous_attempt("word")
        save_for_retry("word", "mine")
        return str(earlier)

    assert [await run_activity(temporal, noting_and_done) for _ in range(2)] == ["None", "None"]


async def test_final_failure_has_the_error_from_aws(temporal: WorkflowEnvironment, harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(s3_key_arn=harness.aws.create_key(), key_grace_seconds=2)
    attempts: list[datetime] = []

    @activity.defn
    def probing() -> str:
        attempts.append(datetime.now(UTC))
        return harness.keys.probe_s3_key(harness.plan.environment).key_arn

    with pytest.raises(WorkflowFailureError) as caught:
        await run_activity(temporal, probing)

    assert isinstance(caught.value.cause, ActivityError)
    assert isinstance(caught.value.cause.cause, ApplicationError)
    problem = Problem.model_validate(caught.value.cause.cause.details[0])
    assert (problem.code, problem.key) == ("s3.AccessDenied", KeyPurpose.S3)
    assert "AllowAtaccamaPlatformS3Access" in text_of(problem.remediation)
    assert len(attempts) > 1
    assert timedelta(seconds=1) < attempts[-1] - attempts[0] < timedelta(seconds=5)


def test_without_grace_the_first_denial_stops(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(s3_key_arn=harness.aws.create_key(), key_grace_seconds=0)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.keys.probe_s3_key, harness.plan.environment)

    assert parse_stop_problem(caught.value).code == "s3.AccessDenied"


def test_throttling_does_not_use_up_the_grace_period(harness: ActivityHarness) -> None:
    harness.plan = harness.build_plan(s3_key_arn=harness.aws.create_key(), key_grace_seconds=300)
    harness.aws.call_control("POST", "faults", service="s3", operation="PutObject", kind="throttle")

    with pytest.raises(ApplicationError) as throttled:
        harness.run_once(harness.keys.probe_s3_key, harness.plan.environment)
    with pytest.raises(ApplicationError) as refused:
        harness.run_once(harness.keys.probe_s3_key, harness.plan.environment)

    assert throttled.value.type == "s3.SlowDown"
    assert not refused.value.non_retryable
    assert "another 300 s" in text_of(Problem.model_validate(refused.value.details[0]).remediation)


async def test_retryable_failure_fits_into_temporals_size_limit(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.plan = harness.build_plan(rds_key_arn=harness.aws.create_key(), key_grace_seconds=300)
    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.database.ensure_cluster, harness.database_task)

    failure = Failure()
    await plugin_data_converter().encode_failure(caught.value, failure)

    assert failure.ByteSize() < 2048  # half of the server's size limit for a pending activity's failure
    assert not failure.stack_trace
    decoded = await plugin_data_converter().decode_failure(failure)
    assert isinstance(decoded, ApplicationError)
    assert Problem.model_validate(decoded.details[0]).key is KeyPurpose.RDS


def plugin_data_converter() -> DataConverter:
    configured = make_plugin().configure_client(ClientConfig())  # type: ignore[typeddict-item]
    return configured["data_converter"]


async def test_blocked_activity_keeps_heartbeating(temporal: WorkflowEnvironment) -> None:
    release = threading.Event()

    @activity.defn
    def blocked() -> str:
        # Block for longer than the heartbeat timeout: without heartbeats, the server would time out this attempt.
        release.wait(2 * HEARTBEAT_TIMEOUT.total_seconds())
        return f"attempt {activity.info().attempt}"

    assert await run_activity(temporal, blocked) == "attempt 1"
