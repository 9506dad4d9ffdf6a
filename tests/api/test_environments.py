"""Operations on environments over HTTP."""

import asyncio
from http import HTTPStatus

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.api.conftest import ApiClient, build_create_body
from tests.workflows.fake_activities import RDS_KEY, REGION, ROLE, S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_ended

OTHER_KEY = S3_KEY.replace("11111111-1", "33333333-3")
DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)


async def test_created_environment_becomes_ready(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    accepted = await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    assert accepted.status_code == HTTPStatus.ACCEPTED
    assert accepted.headers["location"] == f"/v1/environments/{environment_id}"
    assert accepted.json()["started"] is True
    status = await wait_until_ended(service, environment_id)
    seen = await portal.http.get(accepted.headers["location"])
    assert seen.json() == status.model_dump(mode="json")
    assert (seen.json()["phase"], bool(seen.json()["evidence"])) == ("READY", True)


async def test_same_request_returns_the_same_environment(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    first = await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)

    again = await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    assert (again.status_code, again.json()["started"]) == (HTTPStatus.OK, False)
    assert again.json()["run_id"] == first.json()["run_id"]


async def test_platform_managed_environment_refuses_customer_keys(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    body = {"environment_id": environment_id, "region": REGION, "encryption": "platform-managed"}
    assert (await portal.http.post("/v1/environments", json=body)).status_code == HTTPStatus.ACCEPTED
    await wait_until_ended(service, environment_id)
    path = f"/v1/environments/{environment_id}"
    seen = (await portal.http.get(path)).json()
    assert (seen["phase"], seen["encryption"], seen["s3_key_arn"]) == ("READY", "platform-managed", None)
    (listed,) = (await portal.http.get("/v1/environments", params={"prefix": environment_id})).json()["environments"]
    assert listed["encryption"] == "platform-managed"

    switched = await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    replayed = await portal.http.post(f"{path}/replays", json={"s3_key_arn": S3_KEY})
    for refused in (switched, replayed):
        assert (refused.status_code, refused.json()["code"]) == (HTTPStatus.CONFLICT, "byok.EncryptionCannotChange")
        assert "uses platform-managed keys" in refused.json()["detail"]  # contract 9, 132
    named = await portal.http.put(f"{path}/tenant", json={})
    assert (named.status_code, named.json()["code"]) == (HTTPStatus.CONFLICT, "byok.NoCustomerKeys")
    deleted = await portal.http.delete(path, params={"confirm": environment_id})
    assert deleted.status_code == HTTPStatus.ACCEPTED


async def test_request_without_keys_must_say_platform_managed(portal: ApiClient, environment_id: str) -> None:
    body = {"environment_id": environment_id, "region": REGION}
    refused = await portal.http.post("/v1/environments", json=body)
    assert refused.status_code == HTTPStatus.UNPROCESSABLE_ENTITY  # contract 99
    assert [one["field"] for one in refused.json()["errors"]] == ["s3_key_arn", "rds_key_arn"]


async def test_different_request_for_the_same_id_is_a_conflict(portal: ApiClient, environment_id: str) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    other = await portal.http.post("/v1/environments", json=build_create_body(environment_id, on_failure="rollback"))

    assert other.status_code == HTTPStatus.CONFLICT
    assert other.headers["content-type"] == "application/problem+json"
    problem = other.json()
    assert (problem["code"], problem["status"]) == ("byok.EnvironmentConflict", 409)
    assert "on failure is keep, not rollback" in problem["detail"]


async def test_environment_whose_input_byok_cannot_read_is_reported_and_can_be_created(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    typed = RawValue(Payload(metadata={"encoding": b"json/protobuf"}, data=b"{}"))
    await service.client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        typed,
        id=environment_workflow_id(environment_id),
        task_queue=harness.task_queue,
    )
    await wait_until_ended(service, environment_id)

    status = (await portal.http.get(f"/v1/environments/{environment_id}")).json()
    replayed = await portal.http.post(f"/v1/environments/{environment_id}/replays", json={})
    cancelled = await portal.http.post(f"/v1/environments/{environment_id}/cancellation")
    created = await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    assert (status["phase"], status["problem"]["code"]) == ("STOPPED", "byok.InvalidInput")
    assert "the encoding 'json/protobuf'" in status["problem"]["message"]
    assert (replayed.status_code, replayed.json()["code"]) == (HTTPStatus.CONFLICT, "byok.NotReplayable")
    assert (cancelled.status_code, cancelled.json()["code"]) == (HTTPStatus.CONFLICT, "byok.NotRunning")
    assert (created.status_code, created.json()["started"]) == (HTTPStatus.ACCEPTED, True)


async def test_payload_replaces_the_two_arns(portal: ApiClient, environment_id: str) -> None:
    """Contract 50."""
    body = build_create_body(environment_id)
    for name in ("s3_key_arn", "rds_key_arn"):
        del body[name]
    payload = {"S3KmsKeyArn": S3_KEY, "RdsKmsKeyArn": RDS_KEY}

    accepted = await portal.http.post("/v1/environments", json={**body, **payload})

    assert accepted.status_code == HTTPStatus.ACCEPTED
    status = (await portal.http.get(f"/v1/environments/{environment_id}")).json()
    assert (status["s3_key_arn"] or S3_KEY) == S3_KEY


async def test_repeated_idempotency_key_starts_nothing(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    named = {"Idempotency-Key": "7c0e4f"}
    first = await portal.http.post("/v1/environments", json=build_create_body(environment_id), headers=named)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED

    again = await portal.http.post("/v1/environments", json=build_create_body(environment_id), headers=named)
    other = await portal.http.post(
        "/v1/environments", json=build_create_body(environment_id, on_failure="rollback"), headers=named
    )
    unnamed = await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    assert (again.status_code, again.json()["run_id"]) == (HTTPStatus.OK, first.json()["run_id"])
    assert (other.status_code, other.json()["code"]) == (422, "byok.IdempotencyKeyReused")
    assert (unnamed.status_code, unnamed.json()["started"]) == (HTTPStatus.ACCEPTED, True)


async def test_concurrent_different_requests_with_one_idempotency_key_conflict(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED
    bodies = [build_create_body(environment_id), build_create_body(environment_id, on_failure="rollback")]

    both = await asyncio.gather(
        *(portal.http.post("/v1/environments", json=body, headers={"Idempotency-Key": "b1"}) for body in bodies)
    )

    assert sorted(answer.status_code for answer in both) == [202, 422]


async def test_stop_shows_the_workflows_problem_and_can_be_replayed(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    status = await wait_until_ended(service, environment_id)

    told = (await portal.http.get(f"/v1/environments/{environment_id}")).json()
    replayed = await portal.http.post(f"/v1/environments/{environment_id}/replays", json={})

    assert told["problem"] == status.problems[0].model_dump(mode="json")
    assert (told["problem"]["code"], told["problem"]["key"]) == ("s3.KMS.DisabledException", "s3")
    assert (replayed.status_code, replayed.json()["step"]) == (HTTPStatus.ACCEPTED, "ensure_bucket")
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_replay_with_another_key_starts_over(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)

    replayed = await portal.http.post(f"/v1/environments/{environment_id}/replays", json={"s3_key_arn": OTHER_KEY})

    assert (replayed.status_code, replayed.json()["step"]) == (HTTPStatus.ACCEPTED, None)
    assert (await wait_until_ended(service, environment_id)).s3_key_arn == OTHER_KEY


@pytest.mark.parametrize("arn", ["{", "[" * 2000, '{"S3KmsKeyArn":"x"}'])
async def test_replay_with_an_invalid_arn_is_refused_and_changes_nothing(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str, arn: str
) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    before = await wait_until_ended(service, environment_id)

    refused = await portal.http.post(f"/v1/environments/{environment_id}/replays", json={"s3_key_arn": arn})

    assert (refused.status_code, refused.json()["code"]) == (422, "byok.InvalidInput")
    assert await service.read_status(environment_id) == before


async def test_impossible_operation_is_a_conflict_with_its_reason(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    path = f"/v1/environments/{environment_id}"

    refused = {
        "byok.NotReplayable": await portal.http.post(f"{path}/replays", json={}),
        "byok.NotRunning": await portal.http.post(f"{path}/cancellation"),
    }

    assert {code: (one.status_code, one.json()["code"]) for code, one in refused.items()} == {
        code: (409, code) for code in refused
    }


async def test_keys_get_the_tenant_name(portal: ApiClient, service: EnvironmentService, environment_id: str) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    path = f"/v1/environments/{environment_id}/tenant"

    commands = await portal.http.put(path, json={"tenant": "globex"})
    named = await portal.http.put(path, json={"tenant": "globex", "tenant_role_arn": ROLE})

    assert (commands.status_code, commands.json()["keys"], bool(commands.json()["commands"])) == (200, [], True)
    assert [key["alias"] for key in named.json()["keys"]] == [
        "alias/ataccama-objectstorage-byok-encryption-key-alias-for-globex",
        "alias/ataccama-database-byok-db-key-alias-globex",
    ]


async def test_illegal_tenant_name_is_reported_with_its_problem(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)

    refused = await portal.http.put(f"/v1/environments/{environment_id}/tenant", json={"tenant": "not legal!"})

    assert (refused.status_code, refused.json()["code"]) == (409, "byok.TenantStopped")
    (problem,) = refused.json()["problems"]
    assert problem["remediation"]


async def test_deletion_requires_confirmation(
    portal: ApiClient, service: EnvironmentService, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    path = f"/v1/environments/{environment_id}"

    unconfirmed = await portal.http.delete(path)
    wrong = await portal.http.delete(path, params={"confirm": "something-else"})
    right = await portal.http.delete(path, params={"confirm": environment_id, "final_snapshot": False})

    assert [one.status_code for one in (unconfirmed, wrong, right)] == [422, 422, 202]
    assert [one["field"] for one in wrong.json()["errors"]] == ["confirm"]
    assert (await wait_until_ended(service, environment_id)).phase is Phase.DELETED


async def test_cancelled_environment_reports_how_it_stopped(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_writer"] = [ApplicationError("creating", type="rds.NotReady")] * 99
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    await wait_until(service, environment_id, lambda status: status.resources.cluster is not None)

    accepted = await portal.http.post(f"/v1/environments/{environment_id}/cancellation")

    assert accepted.status_code == HTTPStatus.ACCEPTED
    status = await wait_until_ended(service, environment_id)
    assert (status.phase, status.problem and status.problem.code) == (Phase.STOPPED, "byok.Cancelled")


async def test_list_is_paged_and_filtered(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    names = [f"{environment_id}-{letter}" for letter in "abc"]
    for name in names:
        await portal.http.post("/v1/environments", json=build_create_body(name))
        await wait_until_ended(service, name)
    harness.activities.script["probe_s3_key"] = [DISABLED]
    stopped = f"{environment_id}-stopped"
    await portal.http.post("/v1/environments", json=build_create_body(stopped))
    await wait_until_ended(service, stopped)
    await portal.http.post(f"/v1/environments/{stopped}/replays", json={"s3_key_arn": OTHER_KEY})  # starts a second run
    await wait_until_ended(service, stopped)

    async def list_phase(phase: Phase) -> list[str]:
        params = {"prefix": environment_id, "phase": phase.value}
        page = (await portal.http.get("/v1/environments", params=params)).json()
        return [one["environment_id"] for one in page["environments"]]

    async with asyncio.timeout(20):  # Temporal Visibility is eventually consistent
        while len(await list_phase(Phase.READY)) < 4:  # noqa: ASYNC110 - Temporal sends no signal
            await asyncio.sleep(0.05)

    found: list[str] = []
    query: dict[str, str | int] = {"prefix": environment_id, "size": 2}
    while True:
        page = (await portal.http.get("/v1/environments", params=query)).json()
        found += [one["environment_id"] for one in page["environments"]]
        if page["next"] is None:
            break
        query["after"] = page["next"]

    assert sorted(found) == sorted([*names, stopped]), "each once, regardless of how often it was started"
    assert sorted(await list_phase(Phase.READY)) == sorted([*names, stopped])
    assert await list_phase(Phase.STOPPED) == []


@pytest.mark.parametrize("after", ["%00", "ä", "no base64!", "0000", "AAAA.bm9ib2R5"])
async def test_unknown_page_token_is_refused(portal: ApiClient, after: str) -> None:
    refused = await portal.http.get("/v1/environments", params={"after": after})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "after")


@pytest.mark.parametrize("method", ["get", "delete"])
async def test_unknown_environment_is_not_found(portal: ApiClient, method: str) -> None:
    answer = await portal.http.request(method, "/v1/environments/missing?confirm=missing")
    assert (answer.status_code, answer.json()["code"]) == (404, "byok.EnvironmentNotFound")


async def test_attempts_are_listed_with_their_problems_and_requesters(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    await portal.http.post(f"/v1/environments/{environment_id}/replays", json={})
    status = await wait_until_ended(service, environment_id)

    answer = await portal.http.get(f"/v1/environments/{environment_id}/attempts")

    assert answer.status_code == HTTPStatus.OK
    assert answer.json() == {  # contract 148
        "attempts": [one.model_dump(mode="json") for one in await service.list_attempts(status)]
    }
    assert [one["problem_code"] for one in answer.json()["attempts"]] == ["s3.KMS.DisabledException", None]
    missing = await portal.http.get(f"/v1/environments/{environment_id}x/attempts")
    assert missing.status_code == HTTPStatus.NOT_FOUND
