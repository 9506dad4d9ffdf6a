"""Each quota is enforced at each entry point: API, wizard, CLI, and Temporal's own UI and CLI."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from typer.testing import CliRunner

from byok.cli.app import app
from byok.contracts import CHECK_KEYS_WORKFLOW, PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.phases import Phase
from byok.domain.quotas import QUOTA_EXCEEDED_CODE, ExceededQuota, Quota, Quotas
from byok.service.environments import EnvironmentService
from byok.settings import Settings
from byok.temporal import make_plugin
from tests.api.test_access import TOKEN, build_static_auth
from tests.quotas.conftest import FIELD, KEYS, Tenant
from tests.wizard.conftest import DRAFT, SETTINGS, Browser, Open
from tests.workflows.fake_activities import REGION, parse_problems

USES_KEYS = {"probe_s3_key", "probe_key_claims", "await_aurora_proof", "ensure_cluster", "find_unregistered_accounts"}
HEADERS = {
    Quota.ENVIRONMENTS: ('"environments";q=1', '"environments";r=0'),
    Quota.IN_FLIGHT: ('"in-flight";q=1;qu="concurrent-requests"', '"in-flight";r=0;t=60'),
    Quota.KEY_CHECKS: ('"key-checks";q=1;w=3600', '"key-checks";r=0;t={}'),
}


def assert_rate_limit_headers(headers: object, exceeded: ExceededQuota) -> None:
    """Compare a response's headers with the quota.

    Waiting does not free up the quota for environments, so responses about this quota have no Retry-After header.
    """
    given = dict(headers)  # type: ignore[call-overload]
    wait = given.get("retry-after")
    policy, limit = HEADERS[exceeded.quota]
    assert (given["ratelimit-policy"], given["ratelimit"]) == (policy, limit.format(wait))
    assert (wait is None) == (exceeded.quota is Quota.ENVIRONMENTS)
    assert wait is None or 0 < int(wait) <= 3600


async def refuse_by_api(tenant: Tenant, exceeded: ExceededQuota, visit: Open, _: pytest.MonkeyPatch) -> None:
    access = build_static_auth(tenant.name, "environments:read", "environments:write")
    browser: Browser = await visit(access, SETTINGS, tenant.service)
    checks = exceeded.quota is Quota.KEY_CHECKS
    body = {"region": REGION, "key_grace_seconds": 0, **KEYS}
    answer = await browser.http.post(
        "/v1/key-checks" if checks else "/v1/environments",
        json=body if checks else {"environment_id": f"{tenant.name}-next", **body},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (429, QUOTA_EXCEEDED_CODE)
    assert exceeded.message in answer.json()["detail"]
    assert_rate_limit_headers(answer.headers, exceeded)


async def refuse_by_wizard(tenant: Tenant, exceeded: ExceededQuota, visit: Open, _: pytest.MonkeyPatch) -> None:
    access = build_static_auth(tenant.name, "environments:read", "environments:write")
    browser: Browser = await visit(access, SETTINGS, tenant.service)
    await browser.open_page("/sign-in")
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": "/new"})
    draft = {**DRAFT, "name": "next"}
    await browser.open_page("/new/review", **draft)
    if exceeded.quota is Quota.KEY_CHECKS:
        await browser.submit_form("/new/encryption", {**draft, "do": "validate"})
    else:
        await browser.submit_form("/new/review", {**draft, "confirmed": "1"})
    assert browser.page.status_code == 429, browser.text
    assert exceeded.message in browser.text
    assert_rate_limit_headers(browser.page.headers, exceeded)


async def refuse_by_cli(tenant: Tenant, exceeded: ExceededQuota, _: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    host = tenant.harness.client.service_client.config.target_host

    async def connect(quotas: Quotas) -> EnvironmentService:
        return EnvironmentService(
            await Client.connect(host, plugins=[make_plugin()]), tenant.harness.task_queue, quotas
        )

    monkeypatch.setattr("byok.service.connection.connect_service", connect)
    monkeypatch.setenv("BYOK_QUOTAS__ORGANISATIONS", json.dumps({tenant.name: {FIELD[exceeded.quota]: 1}}))
    options = ["--organisation", tenant.name, "--region", REGION, "-o", "json"]
    options += [word for name, arn in KEYS.items() for word in (f"--{name.replace('_', '-')}", arn)]
    command = "check" if exceeded.quota is Quota.KEY_CHECKS else "create"
    result = await asyncio.to_thread(
        CliRunner().invoke, app, [command, "--name", f"{tenant.name}-next", "--key-grace-seconds", "0", *options]
    )
    assert result.exit_code == 1, result.output
    error = json.loads(result.stdout)["error"]
    assert error["code"] == QUOTA_EXCEEDED_CODE
    assert exceeded.message in error["message"]


async def refuse_by_temporal(tenant: Tenant, exceeded: ExceededQuota, _: Open, __: pytest.MonkeyPatch) -> None:
    """Start the workflow as Temporal's UI does: with JSON, without search attributes, memo or fairness key."""
    checks = exceeded.quota is Quota.KEY_CHECKS
    environment_id = f"{tenant.name}-next"
    body = {"organisation": tenant.name, "region": REGION, "key_grace_seconds": 0, **KEYS}
    before = len(tenant.harness.activities.calls)
    with pytest.raises(WorkflowFailureError) as stopped:
        await tenant.harness.client.execute_workflow(
            CHECK_KEYS_WORKFLOW if checks else PROVISION_ENVIRONMENT_WORKFLOW,
            body if checks else {"environment_id": environment_id, **body},
            id=f"keys/{uuid.uuid4().hex}" if checks else environment_workflow_id(environment_id),
            task_queue=tenant.harness.task_queue,
        )
    cause = stopped.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == QUOTA_EXCEEDED_CODE
    (problem,) = parse_problems(cause)
    assert (problem.code, problem.message) == (QUOTA_EXCEEDED_CODE, exceeded.message)
    assert not USES_KEYS & set(tenant.harness.activities.calls[before:])
    if not checks:
        status = await tenant.service.read_status(environment_id)
        assert (status.phase, status.problem and status.problem.code) == (Phase.STOPPED, QUOTA_EXCEEDED_CODE)


DOORS: dict[str, Callable[[Tenant, ExceededQuota, Open, pytest.MonkeyPatch], Awaitable[None]]] = {
    "API": refuse_by_api,
    "wizard": refuse_by_wizard,
    "CLI": refuse_by_cli,
    "Temporal": refuse_by_temporal,
}


@pytest.mark.parametrize("quota", Quota)
@pytest.mark.parametrize("door", DOORS)
async def test_used_up_quota_is_refused(
    tenant: Tenant, visit: Open, monkeypatch: pytest.MonkeyPatch, door: str, quota: Quota
) -> None:
    exceeded = await tenant.use_up(quota)

    await DOORS[door](tenant, exceeded, visit, monkeypatch)


async def test_vendors_own_environments_have_no_quota(tenant: Tenant) -> None:
    none = Quotas(environments=0, in_flight=0, key_checks_per_hour=0)
    tenant.harness.activities.quotas = none
    service = EnvironmentService(tenant.harness.client, tenant.harness.task_queue, none)
    request = tenant.build_request("own").model_copy(update={"organisation": None})

    await service.create(request)
    await service.check_keys(tenant.build_check().model_copy(update={"organisation": None}))

    await tenant.harness.client.get_workflow_handle(environment_workflow_id(request.environment_id)).result()
    assert "find_exceeded_quota" not in tenant.harness.activities.calls


def test_settings_name_every_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_QUOTAS__IN_FLIGHT", "7")
    monkeypatch.setenv("BYOK_QUOTAS__ORGANISATIONS", '{"acme": {"environments": 3}}')

    quotas = Settings().quotas

    assert (quotas.limits_for("acme").environments, quotas.limits_for("acme").in_flight) == (3, 7)
    assert (quotas.limits_for("globex").environments, quotas.limits_for("globex").in_flight) == (1000, 7)
