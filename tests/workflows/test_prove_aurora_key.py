"""At most one proof of an Aurora key runs at a time; a proof is reused for ten minutes and leaves nothing behind."""

import asyncio
import threading
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError

from byok.contracts import PROVE_AURORA_KEY_WORKFLOW, aurora_proof_workflow_id
from byok.domain.models import CheckedKey, CheckKeysRequest, Environment
from byok.domain.phases import KeyVerdict, Phase
from byok.domain.planning import plan_key_pair_check
from byok.service.environments import EnvironmentService
from tests.workflows.fake_activities import PLATFORM, REGION, S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness
from workflows.activity_options import REUSE_PROOF_FOR


def new_key() -> str:
    """Return a key ARN that no other test uses, because a key's proof has the same workflow id on every task queue."""
    return f"arn:aws:kms:{REGION}:444455556666:key/{uuid.uuid4()}"


async def prove(service: EnvironmentService, key_arn: str) -> CheckedKey:
    request = CheckKeysRequest(region=REGION, s3_key_arn=S3_KEY, rds_key_arn=key_arn, prove_aurora_key=True)
    return (await service.check_keys(request)).keys.rds


def proof_of(harness: WorkflowHarness, key_arn: str) -> WorkflowHandle[Any, CheckedKey]:
    return harness.client.get_workflow_handle(aurora_proof_workflow_id(REGION, key_arn), result_type=CheckedKey)


@pytest.fixture
def joined(harness: WorkflowHarness) -> WorkflowHarness:
    """A harness whose checks join the workflow that proves their Aurora key."""
    harness.activities.joins_proofs = True
    return harness


def hold_removal(harness: WorkflowHarness) -> tuple[threading.Event, threading.Event]:
    """Block the next removal; return an event that is set when it starts, and an event that unblocks it."""
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(60)

    harness.activities.script["remove_proof_clusters"] = [hold]
    return begun, release


async def test_answer_does_not_wait_for_the_removal_and_later_checks_use_the_proof_again(
    joined: WorkflowHarness, service: EnvironmentService
) -> None:
    key = new_key()
    begun, release = hold_removal(joined)

    first = await prove(service, key)
    await asyncio.to_thread(begun.wait, 10)
    second = await prove(service, key)
    described = await proof_of(joined, key).describe()
    release.set()

    assert first == second
    assert first.verdict is KeyVerdict.PROVED
    assert described.status is WorkflowExecutionStatus.RUNNING
    assert joined.activities.calls.count("ensure_proof_cluster") == 1
    assert await proof_of(joined, key).result() == first
    closed = await proof_of(joined, key).describe()
    assert closed.close_time is not None
    assert closed.close_time - closed.start_time >= REUSE_PROOF_FOR, "it stays open for later checks"


async def test_two_checks_at_once_make_one_proof(joined: WorkflowHarness, service: EnvironmentService) -> None:
    key = new_key()
    other = CheckKeysRequest(region=REGION, s3_key_arn=new_key(), rds_key_arn=key, prove_aurora_key=True)
    _, release = hold_removal(joined)

    one, another = await asyncio.gather(prove(service, key), service.check_keys(other))
    release.set()

    assert one == another.keys.rds
    assert joined.activities.calls.count("ensure_proof_cluster") == 1


async def test_refusal_is_not_used_again(joined: WorkflowHarness, service: EnvironmentService) -> None:
    key = new_key()
    _, release = hold_removal(joined)
    message = f"The specified KMS key [{key}] isn't accessible."
    fault = build_aws_failure("rds", "KMSKeyNotAccessibleFault", message, Phase.VALIDATING_KEYS)
    (problem,) = fault.details
    fault = ApplicationError(
        message, problem.model_copy(update={"key": "rds", "key_arn": key}), type=fault.type, non_retryable=True
    )
    joined.activities.script["ensure_proof_cluster"] = [fault]

    refused = await prove(service, key)
    proved = await prove(service, key)  # the key has been fixed
    release.set()

    assert (refused.verdict, refused.problem and refused.problem.key_arn) == (KeyVerdict.REFUSED, key)
    assert proved.verdict is KeyVerdict.PROVED


async def test_removal_is_retried_until_it_succeeds(joined: WorkflowHarness, service: EnvironmentService) -> None:
    key = new_key()
    joined.activities.script["remove_proof_clusters"] = [
        ApplicationError("byok removes it.", type="rds.NotReady") for _ in range(4)
    ]

    await prove(service, key)
    await proof_of(joined, key).result()

    assert joined.activities.calls.count("remove_proof_clusters") == 5


async def test_cancelled_proof_is_removed_too(joined: WorkflowHarness, service: EnvironmentService) -> None:
    key = new_key()
    begun, release = hold_removal(joined)
    await prove(service, key)
    await asyncio.to_thread(begun.wait, 10)

    await proof_of(joined, key).cancel()
    release.set()
    with pytest.raises(WorkflowFailureError):
        await proof_of(joined, key).result()

    assert (await proof_of(joined, key).describe()).status is WorkflowExecutionStatus.CANCELED
    assert joined.activities.calls.count("remove_proof_clusters") == 2


async def test_every_proof_has_an_id_of_its_own(joined: WorkflowHarness, service: EnvironmentService) -> None:
    """A cluster that an earlier proof of the same key left behind must not count as a proof."""
    key = new_key()

    for _ in range(2):
        await prove(service, key)
        await proof_of(joined, key).result()

    first, second = joined.activities.inputs["ensure_proof_cluster"]
    assert first.proof_id != second.proof_id


async def test_proof_under_another_workflow_id_fails(harness: WorkflowHarness) -> None:
    request = CheckKeysRequest(region=REGION, s3_key_arn=S3_KEY, rds_key_arn=new_key())
    environment: Environment = plan_key_pair_check(request, PLATFORM, datetime.now(UTC)).environment
    handle = await harness.client.start_workflow(
        PROVE_AURORA_KEY_WORKFLOW, environment, id=f"mine/{uuid.uuid4()}", task_queue=harness.task_queue
    )
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert "aurora-proof/" in str(caught.value.cause)
