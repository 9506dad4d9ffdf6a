"""The health of READY environments over HTTP: verification on request, and the list's filter (contract 139)."""

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome, RecordKind
from byok.domain.models import HealthState
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.api.conftest import ApiClient, build_create_body
from tests.audit_journal import read_journal
from tests.health_activities import (
    FakeHealthActivities,
    build_unreachable_problem,
    run_health_harness,
    wait_until_recorded_ready,
)
from tests.workflows.fake_activities import RDS_KEY, S3_KEY, build_aws_failure
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended


@pytest_asyncio.fixture
async def harness(temporal: WorkflowEnvironment) -> AsyncIterator[WorkflowHarness]:
    """A worker with fake health checks."""
    async with run_health_harness(temporal) as (harness, _):
        yield harness


def checks_of(harness: WorkflowHarness) -> FakeHealthActivities:
    assert isinstance(harness.activities, FakeHealthActivities)
    return harness.activities


async def make_ready(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    await wait_until_recorded_ready(harness, environment_id)


async def test_verification_returns_what_the_check_found(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(portal, service, harness, environment_id)

    healthy = await portal.http.post(f"/v1/environments/{environment_id}/verification")
    checks_of(harness).state = HealthState.KEY_LOST
    lost = await portal.http.post(f"/v1/environments/{environment_id}/verification")

    assert (healthy.status_code, lost.status_code) == (200, 200), lost.text
    assert (healthy.json()["state"], lost.json()["state"]) == ("HEALTHY", "KEY_LOST")  # contract 139
    assert [one["use"] for one in healthy.json()["keys"]] == ["verified", "in use by grant; new use not verified"]
    assert lost.json()["recoverable_until"] is not None  # contract 142
    assert [one["key"] for one in lost.json()["problems"]] == ["rds"]
    status = (await portal.http.get(f"/v1/environments/{environment_id}")).json()
    assert status["health"]["state"] == "KEY_LOST"


async def test_verification_returns_what_the_check_found_even_if_the_record_is_behind(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(portal, service, harness, environment_id)
    checks_of(harness).state, checks_of(harness).reports = HealthState.KEY_LOST, False

    answer = (await portal.http.post(f"/v1/environments/{environment_id}/verification")).json()

    assert (answer["state"], len(answer["keys"]), len(answer["problems"])) == ("KEY_LOST", 2, 1)  # contract 139


async def test_check_without_an_answer_keeps_the_last_health_and_says_why(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(portal, service, harness, environment_id)
    checks_of(harness).unreachable = build_unreachable_problem()

    answer = await portal.http.post(f"/v1/environments/{environment_id}/verification")

    assert answer.status_code == 200
    assert answer.json()["state"] == "HEALTHY"
    assert answer.json()["unreachable"]["code"] == "aws.EndpointConnectionError"  # contract 140


async def test_only_a_ready_environment_is_verified(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [
        build_aws_failure("rds", "KMSKeyNotAccessibleFault", "x", Phase.CREATING_CLUSTER)
    ]
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)

    stopped = await portal.http.post(f"/v1/environments/{environment_id}/verification")
    missing = await portal.http.post(f"/v1/environments/{environment_id}-none/verification")

    assert (stopped.status_code, stopped.json()["code"]) == (409, "byok.EnvironmentNotReady")
    assert (missing.status_code, missing.json()["code"]) == (404, "byok.EnvironmentNotFound")
    assert "verify_environment" not in harness.activities.calls


async def test_verification_leaves_audit_records(
    portal: ApiClient,
    service: EnvironmentService,
    harness: WorkflowHarness,
    journal: AuditJournal,
    environment_id: str,
) -> None:
    await make_ready(portal, service, harness, environment_id)

    await portal.http.post(f"/v1/environments/{environment_id}/verification")

    intent, outcome = read_journal(journal.directory)[-2:]
    assert (intent.kind, intent.action) == (RecordKind.INTENT, AuditAction.VERIFY_ENVIRONMENT)  # contract 147
    assert (intent.target.environment_id, intent.target.key_arns) == (environment_id, (S3_KEY, RDS_KEY))
    assert outcome.outcome is AuditOutcome.ACCEPTED


async def test_list_is_filtered_by_health(
    portal: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(portal, service, harness, environment_id)
    checks_of(harness).state = HealthState.DEGRADED
    await portal.http.post(f"/v1/environments/{environment_id}/verification")

    async def list_ids(health: str) -> list[str]:
        answer = await portal.http.get("/v1/environments", params={"prefix": environment_id, "health": health})
        return [one["environment_id"] for one in answer.json()["environments"]]

    async with asyncio.timeout(20):  # visibility is eventually consistent
        while not await list_ids("DEGRADED"):
            pass
    assert await list_ids("DEGRADED") == [environment_id]  # contract 139
    assert await list_ids("HEALTHY") == []
    assert (await portal.http.get("/v1/environments", params={"health": "FINE"})).status_code == 422
