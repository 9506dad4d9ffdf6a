"""An AWS event starts a check of the affected environment, but does not itself change the health (contract 141)."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from structlog.testing import capture_logs
from temporalio.testing import WorkflowEnvironment

from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome, RecordKind
from byok.contracts import record_workflow_id, verification_workflow_id
from byok.domain.arns import KeyPurpose
from byok.domain.models import HealthState, KeyDeletion, ProvisionRequest
from byok.service.environments import EnvironmentService
from byok.temporal_health import list_targets
from tests.api.conftest import ApiClient, Serve, build_create_body
from tests.audit_journal import read_journal
from tests.aws_events import build_cloudtrail_event, build_kms_event, build_rds_event
from tests.health_activities import FakeHealthActivities, run_health_harness, wait_until_recorded_ready
from tests.workflows.fake_activities import REGION
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

GOOD: Final = "a-shared-value-of-thirty-two-characters"
SETTINGS: Final = ApiSettings(requests_per_minute=100_000, aws_events_secret=SecretStr(GOOD))
LOST: Final = "RDS-EVENT-0419"


@pytest_asyncio.fixture
async def harness(temporal: WorkflowEnvironment) -> AsyncIterator[WorkflowHarness]:
    """A worker with fake health checks."""
    async with run_health_harness(temporal) as (harness, _):
        yield harness


@pytest_asyncio.fixture
async def server(serve: Serve) -> ApiClient:
    """A server that accepts AWS events."""
    made: ApiClient = await serve(settings=SETTINGS)
    return made


async def send(server: ApiClient, event: Any, secret: str | None = GOOD) -> httpx.Response:
    headers = {} if secret is None else {"X-Byok-Event-Secret": secret}
    return await server.http.post("/v1/events/aws", json=event, headers=headers)


def checks_of(harness: WorkflowHarness) -> FakeHealthActivities:
    assert isinstance(harness.activities, FakeHealthActivities)
    return harness.activities


def count_checks(harness: WorkflowHarness) -> int:
    return harness.activities.calls.count("verify_environment")


async def make_ready(harness: WorkflowHarness, environment_id: str, **changes: object) -> None:
    body = build_create_body(environment_id, **changes)
    await (await harness.start_provision(ProvisionRequest.model_validate(body))).result()
    await wait_until_recorded_ready(harness, environment_id)


async def wait_until_checked(harness: WorkflowHarness, environment_id: str) -> None:
    """Wait until the running verification of an environment ends."""
    handle = harness.client.get_workflow_handle(verification_workflow_id(environment_id))
    await asyncio.wait_for(handle.result(), 30)


async def wait_until_listed(harness: WorkflowHarness, environment_id: str) -> None:
    """Wait until Temporal lists an environment as READY, because visibility is eventually consistent."""
    async with asyncio.timeout(20):
        while True:
            page, after = await list_targets(harness.client, REGION, None)
            found = list(page)
            while after is not None:
                page, after = await list_targets(harness.client, REGION, after)
                found += page
            if environment_id in {one.environment_id for one in found}:
                return


@pytest.mark.parametrize("event_id", ["RDS-EVENT-0418", "RDS-EVENT-0419", "RDS-EVENT-0420"])
async def test_event_about_the_writer_starts_one_check_and_does_not_wait(
    server: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str, event_id: str
) -> None:
    await make_ready(harness, environment_id)
    checks = checks_of(harness)
    checks.state = HealthState.KEY_LOST
    checks.released.clear()

    answer = await send(server, build_rds_event(event_id, f"byok-{environment_id}-writer"))

    assert (answer.status_code, answer.json()) == (202, {"environments": [environment_id]})
    checks.released.set()
    await wait_until_checked(harness, environment_id)
    assert count_checks(harness) == 1
    health = (await service.read_status(environment_id)).health
    assert health is not None
    assert health.state is HealthState.KEY_LOST  # contract 141


async def test_event_is_never_a_verdict(
    server: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(harness, environment_id)

    await send(server, build_rds_event(LOST, f"byok-{environment_id}-writer"))

    await wait_until_checked(harness, environment_id)
    health = (await service.read_status(environment_id)).health
    assert health is not None
    assert health.state is HealthState.HEALTHY  # contract 141


async def test_event_during_a_check_leads_to_another_check(
    server: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    """The running check may have read the state before AWS changed it."""
    await make_ready(harness, environment_id)
    checks = checks_of(harness)
    checks.released.clear()
    asked = asyncio.create_task(server.http.post(f"/v1/environments/{environment_id}/verification"))
    await asyncio.wait_for(checks.started.wait(), 30)  # the result of this check is HEALTHY
    checks.state = HealthState.KEY_LOST
    events = [build_rds_event(LOST, f"byok-{environment_id}-writer") for _ in range(3)]

    answers = [await send(server, event) for event in [*events, events[0]]]
    checks.released.set()

    assert {one.status_code for one in answers} == {202}
    assert (await asked).json()["state"] == "KEY_LOST"  # contract 141
    assert count_checks(harness) == 2


@pytest.mark.parametrize("kind", ["KMS CMK Deletion", "DisableKey"])
async def test_event_about_a_key_starts_a_check_of_the_environment_that_uses_the_key(
    server: ApiClient, harness: WorkflowHarness, environment_id: str, kind: str
) -> None:
    key_id = str(uuid.uuid4())
    key_arn = f"arn:aws:kms:{REGION}:444455556666:key/{key_id}"
    await make_ready(harness, environment_id, rds_key_arn=key_arn)
    await wait_until_listed(harness, environment_id)
    event = build_kms_event(kind, key_arn) if kind.startswith("KMS") else build_cloudtrail_event(kind, key_id)

    answer = await send(server, event)

    assert (answer.status_code, answer.json()) == (202, {"environments": [environment_id]})  # contract 141
    await wait_until_checked(harness, environment_id)
    assert count_checks(harness) == 1


async def test_reported_deletion_of_a_key_is_shown_until_it_is_cancelled(
    server: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    s3_key = f"arn:aws:kms:{REGION}:444455556666:key/{uuid.uuid4()}"
    await make_ready(harness, environment_id, s3_key_arn=s3_key)
    await wait_until_listed(harness, environment_id)

    async def report(operation: str, age: timedelta, **detail: Any) -> tuple[KeyDeletion, ...]:
        """Send an event, and return the scheduled key deletions that the environment's status shows."""
        event = build_cloudtrail_event(operation, s3_key, age, **detail)
        assert (await send(server, event)).json() == {"environments": [environment_id]}
        await wait_until_checked(harness, environment_id)
        found = (await service.read_status(environment_id)).health
        assert found is not None
        return found.deletions

    scheduled = {
        "requestParameters": {"keyId": s3_key, "pendingWindowInDays": 7},
        "responseElements": {"deletionDate": "Dec 6, 2026 8:30:12 AM"},
    }
    (shown,) = await report("ScheduleKeyDeletion", timedelta(minutes=2), **scheduled)
    assert (shown.key, shown.key_arn) == (KeyPurpose.S3, s3_key)
    assert shown.delete_at == shown.reported_at + timedelta(days=7)  # contract 142
    assert await report("CancelKeyDeletion", timedelta(minutes=1)) == ()
    assert await report("ScheduleKeyDeletion", timedelta(minutes=2), **scheduled) == (), "the event arrived late"


async def test_events_about_nothing_are_accepted_without_effect(
    server: ApiClient, harness: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    await make_ready(harness, environment_id)
    stranger = f"arn:aws:kms:{REGION}:444455556666:key/{uuid.uuid4()}"
    for event in (
        build_rds_event("RDS-EVENT-0001", f"byok-{environment_id}-writer"),
        build_rds_event(LOST, f"byok-{environment_id}-none-writer"),
        build_rds_event(LOST, f"byok-{environment_id}-writer", region="us-west-2"),
        build_kms_event("KMS CMK Rotation", stranger),
        build_kms_event("KMS CMK Creation", stranger, source="acme.app"),
    ):
        answer = await send(server, event)
        assert (answer.status_code, answer.json()) == (202, {"environments": []})
    assert count_checks(harness) == 0
    assert read_journal(journal.directory) == []


async def test_environment_that_is_not_ready_is_not_checked(
    server: ApiClient, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(harness, environment_id)
    await service.delete(await service.build_delete_request(environment_id))
    await wait_until_ended(service, environment_id)
    await asyncio.wait_for(harness.client.get_workflow_handle(record_workflow_id(environment_id)).result(), 30)

    answer = await send(server, build_rds_event(LOST, f"byok-{environment_id}-writer"))

    assert answer.json() == {"environments": []}


@pytest.mark.parametrize("secret", [None, "", GOOD[:-1], GOOD + "x", GOOD.upper(), "ü" * 40])
async def test_wrong_secret_is_refused_and_never_repeated(
    server: ApiClient, harness: WorkflowHarness, journal: AuditJournal, environment_id: str, secret: str | None
) -> None:
    await make_ready(harness, environment_id)
    with capture_logs() as logs:
        headers = {} if secret is None else {"X-Byok-Event-Secret": secret.encode()}
        event = build_rds_event(LOST, f"byok-{environment_id}-writer")
        answer = await server.http.post("/v1/events/aws", json=event, headers=headers)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["code"]) == (401, "byok.Unauthenticated")
    assert count_checks(harness) == 0
    (record,) = read_journal(journal.directory)
    assert (record.outcome, record.code) == (AuditOutcome.REFUSED, "byok.Unauthenticated")
    for text in (answer.text, str(answer.headers), record.model_dump_json(), str(logs)):
        assert GOOD not in text
        assert not secret or secret not in text


async def test_server_without_a_secret_accepts_no_events(portal: ApiClient) -> None:
    for secret in (None, "", GOOD):
        answer = await send(portal, build_rds_event(LOST, "byok-acme-prod-writer"), secret)
        assert (answer.status_code, answer.json()["code"]) == (404, "byok.AwsEventsOff")


async def test_token_for_the_api_does_not_replace_the_secret(server: ApiClient) -> None:
    answer = await server.http.post(
        "/v1/events/aws",
        json=build_rds_event(LOST, "byok-acme-prod-writer"),
        headers={"Authorization": f"Bearer {GOOD}"},
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("age", [timedelta(minutes=16), timedelta(minutes=-6)])
async def test_event_outside_the_replay_window_is_refused(
    server: ApiClient, harness: WorkflowHarness, environment_id: str, age: timedelta
) -> None:
    await make_ready(harness, environment_id)

    answer = await send(server, build_rds_event(LOST, f"byok-{environment_id}-writer", age))

    assert (answer.status_code, answer.json()["code"]) == (422, "byok.EventNotTimely")  # contract 141
    assert count_checks(harness) == 0


@pytest.mark.parametrize("event", [{}, [], "x", {"source": "aws.rds"}])
async def test_malformed_event_is_refused(server: ApiClient, event: Any) -> None:
    answer = await send(server, event)
    assert (answer.status_code, answer.json()["code"]) == (422, "byok.InvalidInput")


async def test_check_is_audited_and_shows_that_eventbridge_caused_it(
    server: ApiClient, harness: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    await make_ready(harness, environment_id)

    await send(server, build_rds_event(LOST, f"byok-{environment_id}-writer"))

    intent, outcome = read_journal(journal.directory)
    assert (intent.kind, intent.action) == (RecordKind.INTENT, AuditAction.VERIFY_ENVIRONMENT)  # contract 147
    assert (intent.requester.subject, intent.target.environment_id) == ("aws-events", environment_id)
    assert (outcome.outcome, outcome.workflow_id) == (AuditOutcome.ACCEPTED, verification_workflow_id(environment_id))
    assert GOOD not in intent.model_dump_json() + outcome.model_dump_json()
