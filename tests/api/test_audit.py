"""The audit trail records all requests that change something or use a key, including refused ones (contract 147)."""

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
from fastapi import FastAPI

from byok.api.app import make_api_app
from byok.api.audited_routes import AUDITED_ROUTES
from byok.api.authentication import Caller
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome, AuditRecord, AuditTarget, RecordKind
from byok.domain.models import (
    AccountRequest,
    CheckKeysRequest,
    EntryPoint,
    ProvisionRequest,
    ReconcileTenantRequest,
    Requester,
)
from byok.domain.phases import Phase
from byok.domain.scopes import Scope
from byok.service.environments import EnvironmentService
from byok.service.errors import AuditUnavailableError
from byok.wizard.app import make_wizard_app
from tests.api.conftest import ApiClient, Serve, build_create_body
from tests.api.test_access import TOKEN, build_static_auth
from tests.api.test_environments import DISABLED, OTHER_KEY
from tests.api.test_server import build_state
from tests.audit_journal import read_journal
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

ALL = tuple(Scope)
ACCEPTED, REFUSED, FAILED = AuditOutcome.ACCEPTED, AuditOutcome.REFUSED, AuditOutcome.FAILED


class NamedAuth:
    """Authenticates every caller as the same user, with the same token."""

    async def authenticate(self, token: str | None) -> Caller:
        return Caller(None, frozenset(Scope), subject="ana", token_id="token-1")


def outcomes(journal: AuditJournal) -> list[tuple[AuditAction, AuditOutcome | None, str | None]]:
    """Return the action, the outcome and the code of each outcome record."""
    found = read_journal(journal.directory)
    return [(one.action, one.outcome, one.code) for one in found if one.kind is RecordKind.OUTCOME]


async def test_accepted_request_leaves_an_intent_and_an_outcome(
    serve: Serve, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    portal: ApiClient = await serve(NamedAuth())
    answer = await portal.http.post(
        "/v1/environments", json=build_create_body(environment_id), headers={"Byok-Reason": "ticket 42"}
    )

    intent, outcome = read_journal(journal.directory)
    assert (intent.kind, outcome.kind, outcome.outcome) == (RecordKind.INTENT, RecordKind.OUTCOME, ACCEPTED)
    assert intent.requester == outcome.requester  # contract 147
    assert intent.requester == Requester(
        via=EntryPoint.API,
        subject="ana",
        token_id="token-1",
        source="127.0.0.1",
        request_id=answer.headers["X-Request-Id"],
        reason="ticket 42",
    )
    assert intent.target == AuditTarget(
        environment_id=environment_id, region=REGION, accounts=("444455556666",), key_arns=(S3_KEY, RDS_KEY)
    )
    assert (outcome.workflow_id, outcome.run_id) == (f"environment/{environment_id}", answer.json()["run_id"])
    status = await wait_until_ended(service, environment_id)
    assert (status.requested_by, status.reason) == ("ana", "ticket 42")


async def test_every_kind_of_accepted_request_leaves_an_intent_before_its_outcome(
    portal: ApiClient, service: EnvironmentService, journal: AuditJournal, harness: WorkflowHarness, environment_id: str
) -> None:
    path = f"/v1/environments/{environment_id}"
    keys = {"region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    await wait_until_ended(service, environment_id)
    await portal.http.put(f"{path}/tenant", json={"tenant": "acme", "commands_only": True})
    await portal.http.post("/v1/key-checks", json=keys)
    await portal.http.delete(path, params={"confirm": environment_id})
    await wait_until_ended(service, environment_id)

    found = read_journal(journal.directory)
    actions = [one.action for one in found if one.kind is RecordKind.INTENT]
    assert actions == [
        AuditAction.CREATE_ENVIRONMENT,
        AuditAction.SET_TENANT_NAME,
        AuditAction.CHECK_KEYS,
        AuditAction.DELETE_ENVIRONMENT,
    ]
    assert [one.kind for one in found] == [RecordKind.INTENT, RecordKind.OUTCOME] * 4
    assert {one.outcome for one in found if one.kind is RecordKind.OUTCOME} == {ACCEPTED}


async def test_request_without_a_valid_token_or_scope_leaves_a_refusal(serve: Serve, journal: AuditJournal) -> None:
    stranger: ApiClient = await serve(build_static_auth("acme", *ALL), token="not-the-token")
    reader: ApiClient = await serve(build_static_auth("acme", Scope.READ), token=TOKEN)
    for portal in (stranger, reader):
        await portal.http.post("/v1/environments", json=build_create_body("acme-prod"))

    unknown, known = read_journal(journal.directory)
    create = AuditAction.CREATE_ENVIRONMENT
    assert outcomes(journal) == [(create, REFUSED, "byok.Unauthenticated"), (create, REFUSED, "byok.Forbidden")]
    assert (unknown.requester.subject, unknown.requester.organisation) == ("unauthenticated", None)
    assert known.requester.organisation == "acme"


async def test_refused_requests_leave_a_refusal_with_the_problem_code(
    serve: Serve, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    portal: ApiClient = await serve()
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    other = build_create_body(environment_id, region="us-west-2")
    answers = [
        await portal.http.post("/v1/environments", json=other),
        await portal.http.post("/v1/environments/no-such-environment/replays", json={}),
        await portal.http.post("/v1/environments", json={"environment_id": "Not Legal"}),
        await portal.http.post("/v1/environments", content=b" " * 10_000_000),
        await portal.http.post("/v1/environments", headers={"Origin": "https://evil.example.com"}),
    ]

    assert [one.status_code for one in answers] == [409, 404, 422, 413, 403]
    found = [one for one in read_journal(journal.directory) if one.kind is RecordKind.OUTCOME]
    assert [one.outcome for one in found] == [REFUSED] * 5
    assert [one.code for one in found] == [one.json()["code"] for one in answers]
    assert [one.requester.request_id for one in found] == [one.headers["X-Request-Id"] for one in answers]
    assert found[1].target.environment_id == "no-such-environment"


async def test_rate_limited_request_leaves_a_refusal(serve: Serve, journal: AuditJournal) -> None:
    portal: ApiClient = await serve(settings=ApiSettings(requests_per_minute=1))
    await portal.http.get("/health")
    for _ in range(3):
        await portal.http.delete("/v1/environments/acme-prod")

    # The audit trail records only the first of these refusals, so that an unauthenticated client cannot fill the disk.
    assert outcomes(journal) == [(AuditAction.DELETE_ENVIRONMENT, REFUSED, "byok.TooManyRequests")]


async def test_reads_leave_no_records(portal: ApiClient, journal: AuditJournal) -> None:
    await portal.http.get("/v1/environments")
    await portal.http.post("/v1/policy-checks", json={"key": "s3", "region": REGION, "policy": "{}"})

    assert read_journal(journal.directory) == []


async def test_every_problem_document_contains_the_request_id(portal: ApiClient) -> None:
    for answer in (
        await portal.http.get("/nope"),
        await portal.http.get("/v1/environments/none-such"),
        await portal.http.post("/v1/environments", json={}),
    ):
        assert answer.json()["request_id"] == answer.headers["X-Request-Id"]  # contract 147


async def test_no_secret_reaches_a_record(serve: Serve, journal: AuditJournal, environment_id: str) -> None:
    secret = "hunter2-is-a-secret"
    portal: ApiClient = await serve(build_static_auth("acme", *ALL), token=TOKEN)
    bodies: list[Any] = [
        build_create_body(f"acme-{environment_id}", s3_key_arn=secret),
        build_create_body(f"acme-{environment_id}", tenant_role={"role_arn": "x", "external_id": secret}),
        build_create_body(secret.upper(), organisation=secret, region=secret),
        {"password": secret},
    ]
    for body in bodies:
        headers = {"Idempotency-Key": secret, "Cookie": f"byok={secret}"}
        await portal.http.post("/v1/environments", json=body, headers=headers)
    await portal.http.post("/v1/environments", headers={"Authorization": f"Bearer {secret}"})
    await portal.http.delete(f"/v1/environments/{secret.upper()}", params={"confirm": secret})

    text = "".join(one.model_dump_json() for one in read_journal(journal.directory))
    assert len(outcomes(journal)) == 6
    assert secret not in text.lower()
    assert TOKEN not in text


async def test_nothing_starts_while_the_journal_cannot_be_written(
    serve: Serve, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    portal: ApiClient = await serve()
    journal.directory.write_text("a file where the directory should be")

    answer = await portal.http.post("/v1/environments", json=build_create_body(environment_id))

    assert (answer.status_code, answer.json()["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "byok.AuditUnavailable")
    assert (await portal.http.get(f"/v1/environments/{environment_id}")).status_code == HTTPStatus.NOT_FOUND
    refused = await portal.http.post("/v1/environments", json={})
    assert (refused.status_code, refused.json()["code"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "byok.AuditUnavailable")

    journal.directory.unlink()
    again = await portal.http.post("/v1/environments", json=build_create_body(environment_id))
    assert again.status_code == HTTPStatus.ACCEPTED


class UnwritableRecorder:
    """A recorder whose disk is full."""

    async def record_intent(self, action: AuditAction, target: AuditTarget) -> None:
        raise AuditUnavailableError(f"{action} of {target.environment_id}")

    def note_run(self, workflow_id: str, run_id: str | None) -> None:
        raise AssertionError(f"byok acted: {workflow_id} {run_id}")


READS = {
    *("build_delete_request", "build_reconcile_tenant_request", "get_external_id", "list_accounts", "list_all_workers"),
    *("list_attempts", "list_claims", "list_environments", "describe_short_workflow"),
    *("list_environments_page", "list_workers", "read_routing", "read_status", "wait_for_result", "record_intent"),
}
"""The methods of `EnvironmentService` that change nothing and use no key."""


async def test_service_acts_only_after_the_intent_is_written(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    status = await wait_until_ended(service, environment_id)
    sender = Requester(via=EntryPoint.API, subject="ana", request_id="1")
    acting = service.on_behalf_of(sender, UnwritableRecorder())
    keys: dict[str, Any] = {"region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    account = AccountRequest(organisation="acme", account="444455556666")
    changes = {
        "create": acting.create(ProvisionRequest(environment_id=f"{environment_id}-b", **keys)),
        "check_keys": acting.check_keys(CheckKeysRequest(**keys)),
        "register_account": acting.register_account(account),
        "register_proved_account": acting.register_proved_account(account, "a nonce"),
        "unregister_account": acting.unregister_account(account),
        "reconcile_tenant": acting.reconcile_tenant(
            ReconcileTenantRequest(environment_id=environment_id, tenant="acme", **keys)
        ),
        "cancel": acting.cancel(environment_id),
        "delete": acting.delete(await service.build_delete_request(environment_id)),
    }
    for name, change in changes.items():
        with pytest.raises(AuditUnavailableError):
            await change
        assert (await service.read_status(environment_id)).run_id == status.run_id, name
    methods = {
        name
        for name in dir(EnvironmentService)
        if not name.startswith("_") and asyncio.iscoroutinefunction(getattr(EnvironmentService, name))
    }
    assert methods == READS | set(changes) | {"replay"}


async def test_replay_acts_only_after_the_intent_is_written(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await service.create(build_provision_request(environment_id))
    stopped = await wait_until_ended(service, environment_id)
    assert stopped.phase is Phase.STOPPED
    acting = service.on_behalf_of(Requester(via=EntryPoint.API, subject="ana", request_id="1"), UnwritableRecorder())
    for changes in ({}, {"s3_key_arn": OTHER_KEY}):
        with pytest.raises(AuditUnavailableError):
            await acting.replay(environment_id, **changes)
    assert (await service.read_status(environment_id)).run_id == stopped.run_id


SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
"""The HTTP methods that only read (RFC 9110, section 9.2.1)."""

CHANGING_GET_ROUTES = {("GET", "/sign-in/callback")}
"""The GET routes that change something. The identity provider redirects the browser to these routes, so they must use
GET."""


def list_changing_routes(app: FastAPI) -> set[tuple[str, str]]:
    """Return the method and the path of each route whose HTTP method can change something."""
    return {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method.upper() not in SAFE_METHODS
    }


def test_every_changing_route_of_the_api_and_the_wizard_has_a_row() -> None:
    state = build_state(NamedAuth())
    api, wizard = list_changing_routes(make_api_app(state)), list_changing_routes(make_wizard_app(state, ApiSettings()))

    assert len(api) > len(wizard) > 3
    assert set(AUDITED_ROUTES) == api | wizard | CHANGING_GET_ROUTES  # contract 147


def test_record_is_one_line_of_json_and_reads_back() -> None:
    sender = Requester(via=EntryPoint.API, subject="line\nbreak", request_id="1", reason='"quoted"')
    record = AuditRecord(kind=RecordKind.INTENT, action=AuditAction.CANCEL, requester=sender)
    line = record.model_dump_json(exclude_none=True)
    assert "\n" not in line
    assert AuditRecord.model_validate_json(line) == record
