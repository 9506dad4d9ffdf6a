"""No page of the wizard shows, uses or blocks another organisation's keys or environments (contract 146)."""

import importlib
import pkgutil
import re
import uuid

import httpx
import pytest
from fastapi.routing import APIRoute

from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.wizard import routes as wizard_routes
from tests.api.conftest import build_create_body
from tests.wizard.conftest import DRAFT, Open
from tests.wizard.test_visits import sign_in
from tests.workflows.fake_activities import S3_KEY
from tests.workflows.temporal_env import WorkflowHarness

ACCOUNT = S3_KEY.split(":")[4]
NOWHERE = "globex-nowhere"

ON_AN_ENVIRONMENT = {
    "GET /environments/{environment_id}",
    "GET /environments/{environment_id}/evidence",
    "POST /environments/{environment_id}",
    "GET /environments/{environment_id}/changes",
    "GET /environments/{environment_id}/verification",
    "POST /environments/{environment_id}/verification",
    "GET /environments/{environment_id}/cancellation",
    "POST /environments/{environment_id}/cancellation",
    "GET /environments/{environment_id}/diagnosis",
    "POST /environments/{environment_id}/diagnosis",
    "GET /environments/{environment_id}/deletion",
    "POST /environments/{environment_id}/deletion",
}
WITHOUT_AN_ENVIRONMENT = {
    "GET /",
    "GET /environments",
    "GET /sign-in",
    "POST /sign-in",
    "GET /sign-in/start",
    "GET /sign-in/callback",
    "POST /sign-out",
    "GET /new",
    "GET /new/encryption",
    "POST /new/encryption",
    "GET /new/encryption/rules",
    "GET /new/template",
    "GET /new/tenant-role-template",
    "GET /new/terraform",
    "GET /new/script",
    "POST /new/discarded-drafts",
    "GET /new/review",
    "POST /new/review",
}


@pytest.fixture
def theirs() -> str:
    return f"globex-{uuid.uuid4().hex[:8]}"


async def provision(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.accounts = {ACCOUNT: "globex"}
    values = {**build_create_body(environment_id), "organisation": "globex"}
    await (await harness.start_provision(ProvisionRequest.model_validate(values))).result()
    harness.activities.calls.clear()


def test_every_page_is_in_one_table() -> None:
    modules = pkgutil.iter_modules(wizard_routes.__path__, f"{wizard_routes.__name__}.")
    pages = [importlib.import_module(module.name) for module in modules]
    routes = [route for page in pages for route in page.router.routes if isinstance(route, APIRoute)]
    found = {f"{method} {route.path}" for route in routes for method in route.methods or ()}

    assert found == ON_AN_ENVIRONMENT | WITHOUT_AN_ENVIRONMENT


@pytest.mark.parametrize("page", sorted(ON_AN_ENVIRONMENT))
async def test_environment_of_another_organisation_looks_nonexistent(
    visit: Open, harness: WorkflowHarness, theirs: str, page: str
) -> None:
    await provision(harness, theirs)
    browser = await sign_in(visit)
    await browser.open_page("/environments")
    method, path = page.split()

    answers = []
    for name in (theirs, NOWHERE):
        fields = {"form_token": browser.form_token} if method == "POST" else None
        answer: httpx.Response = await browser.http.request(method, path.format(environment_id=name), data=fields)
        answers.append((answer.status_code, re.sub(r'value="[^"]*"', "", answer.text.replace(name, "X"))))

    assert answers[0] == answers[1]  # contract 146
    assert answers[0][0] == 404
    assert harness.activities.calls == []
    assert (await harness.read_progress(theirs)).phase is Phase.READY


async def test_list_does_not_show_environments_of_others(visit: Open, harness: WorkflowHarness, theirs: str) -> None:
    await provision(harness, theirs)
    browser = await sign_in(visit)

    await browser.open_page("/environments")

    assert "globex" not in browser.page.text  # contract 146


@pytest.mark.parametrize("accounts", [{}, {ACCOUNT: "globex"}], ids=["no organisation", "another organisation"])
async def test_validation_uses_no_key_of_an_unregistered_account(
    visit: Open, harness: WorkflowHarness, accounts: dict[str, str]
) -> None:
    harness.activities.accounts = dict(accounts)
    browser = await sign_in(visit)
    await browser.open_page("/new/encryption", **DRAFT)

    await browser.validate_keys(DRAFT)

    assert f"AWS account {ACCOUNT} is not registered for acme" in browser.text  # contract 146
    assert harness.activities.calls == ["find_exceeded_quota", "plan_key_check", "find_unregistered_accounts"]


async def test_new_environment_belongs_to_the_users_organisation(
    visit: Open, harness: WorkflowHarness, service: EnvironmentService
) -> None:
    harness.activities.accounts = {ACCOUNT: "acme"}
    browser = await sign_in(visit)
    draft = {**DRAFT, "name": uuid.uuid4().hex[:8]}
    await browser.open_page("/new/review", **draft)

    await browser.submit_form("/new/review", {**draft, "confirmed": "1"})

    status = await service.read_status(f"acme-{draft['name']}")
    assert (status.organisation, status.requested_by) == ("acme", "acme-portal")
