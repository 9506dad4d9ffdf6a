"""If a user types malformed input into Temporal's UI or CLI, the workflow fails immediately and reports the field."""

import asyncio
import json
import uuid
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from byok.contracts import (
    CHECK_KEYS_WORKFLOW,
    DELETE_ENVIRONMENT_WORKFLOW,
    ENVIRONMENT_ID_ATTRIBUTE,
    INVALID_INPUT_ERROR_TYPE,
    PHASE_ATTRIBUTE,
    PROBLEM_CODE_ATTRIBUTE,
    PROVISION_ENVIRONMENT_WORKFLOW,
    RECONCILE_TENANT_WORKFLOW,
    REQUEST_MODELS,
)
from tests.remedy_text import text_of
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY, build_provision_request
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
    pytest.param([raw_json({**GOOD, "region": "Frankfurt"})], "region: not an AWS Region", id="bad Region"),
    pytest.param(
        [raw_json({**GOOD, "region": "eu-central-9"})], "the nearest name is eu-central-1", id="misspelt Region"
    ),  # contract 133
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
    pytest.param([raw_payload(b"{}", b"json/protobuf")] * 2, "it received 2", id="two inputs that no converter reads"),
    pytest.param([RawValue(Payload(data=b"{}"))], "an unknown encoding. byok accepts one JSON", id="no encoding"),
    pytest.param([raw_payload(b"{}", b"\xff" * 99)], "accepts one JSON object", id="encoding that is no text"),
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


@pytest.mark.parametrize("workflow_type", REQUEST_MODELS)
@pytest.mark.parametrize("encoding", ["json/protobuf", "binary/encrypted"])
async def test_input_that_no_converter_reads_fails_every_workflow_with_its_encoding(
    harness: WorkflowHarness, workflow_type: str, encoding: str
) -> None:
    typed = raw_payload(json.dumps(GOOD).encode(), encoding.encode())
    handle = await harness.client.start_workflow(
        workflow_type, typed, id=f"environment/{uuid.uuid4().hex}", task_queue=harness.task_queue
    )

    with pytest.raises(WorkflowFailureError) as caught:
        await asyncio.wait_for(handle.result(), 20)

    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == INVALID_INPUT_ERROR_TYPE
    assert f"cannot read an input with the encoding '{encoding}'" in caught.value.cause.message
    assert "accepts one JSON object with the encoding 'json/plain'" in caught.value.cause.message
    assert ("codec" in caught.value.cause.message) == (encoding == "binary/encrypted")


UNREADABLE = raw_payload(b"{}", b"json/protobuf")


@pytest.mark.parametrize(
    ("workflow_type", "prefix", "typed", "phase"),
    [
        pytest.param(PROVISION_ENVIRONMENT_WORKFLOW, "environment/", UNREADABLE, "STOPPED", id="unknown encoding"),
        pytest.param(PROVISION_ENVIRONMENT_WORKFLOW, "environment/", raw_json({}), "STOPPED", id="missing fields"),
        pytest.param(PROVISION_ENVIRONMENT_WORKFLOW, "environment/", raw_json(GOOD), "STOPPED", id="another id"),
        pytest.param(PROVISION_ENVIRONMENT_WORKFLOW, "by-hand-", UNREADABLE, "STOPPED", id="no environment's id"),
        pytest.param(DELETE_ENVIRONMENT_WORKFLOW, "environment/", UNREADABLE, "STOPPED", id="deletion"),
        pytest.param(RECONCILE_TENANT_WORKFLOW, "tenant/", UNREADABLE, None, id="tenant name"),
        pytest.param(CHECK_KEYS_WORKFLOW, "keys/", UNREADABLE, None, id="key check"),
    ],
)
async def test_workflow_with_an_invalid_input_has_search_attributes_and_no_stack(
    harness: WorkflowHarness, workflow_type: str, prefix: str, typed: RawValue, phase: str | None
) -> None:
    name = uuid.uuid4().hex
    handle = await harness.client.start_workflow(
        workflow_type, typed, id=f"{prefix}{name}", task_queue=harness.task_queue
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    attributes = (await handle.describe()).typed_search_attributes
    history = await handle.fetch_history()

    assert attributes.get(PROBLEM_CODE_ATTRIBUTE) == "byok.InvalidInput"
    assert attributes.get(PHASE_ATTRIBUTE) == phase
    assert attributes.get(ENVIRONMENT_ID_ATTRIBUTE) == (name if prefix in ("environment/", "tenant/") else None)
    assert history.events[-1].workflow_execution_failed_event_attributes.failure.stack_trace == ""


async def test_query_for_stopped_environments_finds_an_invalid_input(harness: WorkflowHarness) -> None:
    name = uuid.uuid4().hex
    handle = await harness.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW, raw_json({}), id=f"environment/{name}", task_queue=harness.task_queue
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    async def found() -> None:  # Visibility is eventually consistent.
        query = f"EnvironmentPhase = 'STOPPED' AND EnvironmentId = '{name}'"  # The query is from the README.
        while not [one async for one in harness.client.list_workflows(query)]:
            pass

    await asyncio.wait_for(found(), 20)


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


async def test_region_that_is_not_in_use_stops_before_any_call(harness: WorkflowHarness, environment_id: str) -> None:
    keys = {name: arn.replace(REGION, "us-west-2") for name, arn in (("s3_key_arn", S3_KEY), ("rds_key_arn", RDS_KEY))}

    handle = await harness.start_provision(build_provision_request(environment_id, region="us-west-2", **keys))
    with pytest.raises(WorkflowFailureError):
        await handle.result()

    progress = await harness.read_progress(environment_id)
    assert progress.first_problem is not None
    assert progress.first_problem.code == "byok.RegionNotInUse"
    assert "add it to BYOK_REGIONS" in text_of(progress.first_problem.remediation)
    assert harness.activities.calls == ["plan_environment"]
