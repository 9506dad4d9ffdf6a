"""If a user types malformed input into Temporal's UI or CLI, the workflow fails at once and names the field."""

import json
import uuid
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from byok.contracts import CHECK_KEYS_WORKFLOW, INVALID_INPUT_ERROR_TYPE, PROVISION_ENVIRONMENT_WORKFLOW
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY
from tests.workflows.temporal_env import WorkflowHarness

GOOD = {"environment_id": "acme", "region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}


def request_without(field: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != field}


def raw_payload(data: bytes, encoding: bytes = b"json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding}, data=data))


def raw_json(value: object) -> RawValue:
    return raw_payload(json.dumps(value).encode())


MALFORMED = [
    pytest.param([raw_json(request_without("environment_id"))], "environment_id: Field required", id="missing field"),
    pytest.param([raw_json(request_without("s3_key_arn"))], "s3_key_arn: Field required", id="missing key"),
    pytest.param(
        [raw_json({**GOOD, "rds_key_arn": 7})], "rds_key_arn: Input should be a valid string", id="wrong type"
    ),
    pytest.param([raw_json({**GOOD, "s3_key": S3_KEY})], "s3_key: Extra inputs are not permitted", id="unknown field"),
    pytest.param(
        [raw_json({**GOOD, "key_grace_seconds": 301})], "key_grace_seconds: Input should be less", id="too long"
    ),
    pytest.param(
        [raw_json({**GOOD, "environment_id": "Acme_1"})], "environment_id: String should match", id="bad name"
    ),
    pytest.param([raw_json({**GOOD, "region": "Frankfurt"})], "region: String should match", id="bad Region"),
    pytest.param(
        [raw_json({**GOOD, "on_failure": "explode"})], "on_failure: Input should be 'keep' or", id="bad choice"
    ),
    pytest.param([], "it received 0", id="no input"),
    pytest.param([raw_json(GOOD), raw_json(GOOD)], "it received 2", id="two inputs"),
    pytest.param([raw_json({})], "environment_id: Field required", id="empty object"),
    pytest.param([raw_json(None)], "Input should be an object", id="null"),
    pytest.param([raw_json([GOOD])], "Input should be an object", id="array"),
    pytest.param([raw_json("acme")], "Input should be an object", id="string"),
    pytest.param([raw_payload(b"")], "Invalid JSON", id="empty string"),
    pytest.param([raw_payload(b"{environment_id: acme}")], "Invalid JSON", id="not JSON"),
    pytest.param([raw_payload(b"acme", b"binary/plain")], "it received bytes", id="not declared as JSON"),
]


@pytest.mark.parametrize(("arguments", "message"), MALFORMED)
async def test_malformed_input_fails_and_names_the_field(
    harness: WorkflowHarness, arguments: list[RawValue], message: str
) -> None:
    handle = await harness.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        args=arguments,
        id=f"environment/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
    )

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == INVALID_INPUT_ERROR_TYPE
    assert message in caught.value.cause.message
    assert harness.activities.calls == []


async def test_error_repeats_no_value_of_a_malformed_input(harness: WorkflowHarness) -> None:
    secret = "a-value-that-was-pasted-by-mistake"
    handle = await harness.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        args=[raw_json({**GOOD, "region": secret, "key_grace_seconds": secret})],
        id=f"environment/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
    )
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert secret not in caught.value.cause.message
    assert secret not in str(caught.value.cause.details)


async def test_environment_under_another_workflow_id_is_refused(harness: WorkflowHarness) -> None:
    handle = await harness.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        args=[raw_json(GOOD)],
        id=f"by-hand-{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
    )

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "environment_id: the workflow id of environment acme must be environment/acme" in caught.value.cause.message


async def test_malformed_check_fails_and_names_the_field(harness: WorkflowHarness) -> None:
    handle = await harness.client.start_workflow(
        CHECK_KEYS_WORKFLOW,
        args=[raw_json({"region": REGION})],
        id=f"keys/{uuid.uuid4().hex}",
        task_queue=harness.task_queue,
    )

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "s3_key_arn: Field required; rds_key_arn: Field required" in caught.value.cause.message
