"""No organisation can use, block or learn of another organisation's keys or environments (contract 146).

The tests call every operation of the API. A test fails if an operation is missing from the tables of this module.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from tests.api.conftest import ApiClient, Serve, build_create_body
from tests.api.oidc_issuer import ALL, OidcIssuer
from tests.workflows.fake_activities import S3_KEY
from tests.workflows.temporal_env import WorkflowHarness

ACCOUNT = S3_KEY.split(":")[4]
NOWHERE = "globex-nowhere"

Call = tuple[str, dict[str, Any]]

ON_AN_ENVIRONMENT: dict[str, Callable[[str], Call]] = {
    "GET /v1/environments/{environment_id}": lambda name: (f"/v1/environments/{name}", {}),
    "GET /v1/environments/{environment_id}/events": lambda name: (f"/v1/environments/{name}/events", {}),
    "GET /v1/environments/{environment_id}/attempts": lambda name: (f"/v1/environments/{name}/attempts", {}),
    "POST /v1/environments/{environment_id}/replays": lambda name: (f"/v1/environments/{name}/replays", {"json": {}}),
    "POST /v1/environments/{environment_id}/verification": lambda name: (f"/v1/environments/{name}/verification", {}),
    "PUT /v1/environments/{environment_id}/tenant": lambda name: (f"/v1/environments/{name}/tenant", {"json": {}}),
    "POST /v1/environments/{environment_id}/cancellation": lambda name: (f"/v1/environments/{name}/cancellation", {}),
    "DELETE /v1/environments/{environment_id}": lambda name: (f"/v1/environments/{name}?confirm={name}", {}),
}
"""The operations on one environment, which respond as if another organisation's environments did not exist."""

WITH_KEYS: dict[str, Callable[[str], Call]] = {
    "POST /v1/environments": lambda name: ("/v1/environments", {"json": build_create_body(name)}),
    "POST /v1/key-checks": lambda name: ("/v1/key-checks", {"json": build_create_body(name)}),
}
"""The operations that use keys. The account of the keys must be registered for the caller's organisation."""

LISTS = {"GET /v1/environments": "environments", "GET /v1/accounts": "accounts"}
"""The operations that list the environments or accounts of the caller's organisation."""

FOR_STAFF: dict[str, Call] = {
    "GET /v1/claims": ("/v1/claims", {}),
    "PUT /v1/organisations/{organisation}/accounts/{account}": (f"/v1/organisations/acme/accounts/{ACCOUNT}", {}),
    "DELETE /v1/organisations/{organisation}/accounts/{account}": (f"/v1/organisations/globex/accounts/{ACCOUNT}", {}),
}
"""The operations that only the vendor's staff may call."""

BY_PROOF: dict[str, Call] = {
    "POST /v1/account-proofs/challenges": ("/v1/account-proofs/challenges", {}),
    "POST /v1/account-proofs": ("/v1/account-proofs", {"json": {"nonce": "acme.1.x.y", "token": "k8s-aws-v1.eA"}}),
}
"""The operations that an organisation uses to prove that it has credentials for an AWS account."""

BY_SECRET = {"POST /v1/events/aws"}
"""The operations that only EventBridge may call, with a secret (tests/api/test_aws_events.py)."""

ABOUT_NOBODY = {
    "GET /health",
    "GET /ready",
    "GET /v1/onboarding/{region}",
    "GET /v1/onboarding/{region}/template",
    "GET /v1/onboarding/{region}/statements/{key}",
    "GET /v1/onboarding/{region}/script",
    "POST /v1/policy-checks",
    "POST /v1/diagnoses",
}
"""The operations whose responses depend only on the request and on the vendor's settings."""


@pytest.fixture
def issuer() -> Any:
    found = OidcIssuer()
    yield found
    found.close()


@pytest.fixture
def theirs() -> str:
    return f"globex-{uuid.uuid4().hex[:8]}"


async def provision(harness: WorkflowHarness, environment_id: str, organisation: str) -> None:
    """Provision an environment whose keys are in an account that is registered for its organisation."""
    harness.activities.accounts = {ACCOUNT: organisation}
    values = {**build_create_body(environment_id), "organisation": organisation}
    handle = await harness.start_provision(ProvisionRequest.model_validate(values))
    await handle.result()
    harness.activities.calls.clear()


async def serve_acme(serve: Serve, issuer: OidcIssuer) -> ApiClient:
    made: ApiClient = await serve(issuer.build_auth(), token=issuer.issue_token("acme", f"{ALL} accounts:write"))
    return made


async def test_every_operation_is_in_one_table(serve: Serve) -> None:
    app = (await serve()).app
    operations = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}

    assert operations == {*ON_AN_ENVIRONMENT, *WITH_KEYS, *LISTS, *FOR_STAFF, *BY_PROOF, *BY_SECRET, *ABOUT_NOBODY}


@pytest.mark.parametrize("operation", ON_AN_ENVIRONMENT)
async def test_environment_of_another_organisation_looks_nonexistent(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer, theirs: str, operation: str
) -> None:
    await provision(harness, theirs, "globex")
    portal = await serve_acme(serve, issuer)
    method = operation.split(maxsplit=1)[0]

    answers = []
    for name in (theirs, NOWHERE):
        path, more = ON_AN_ENVIRONMENT[operation](name)
        answer = await portal.http.request(method, path, **more)
        answers.append((answer.status_code, without_times(answer.json(), name)))

    assert answers[0] == answers[1]  # contract 146
    assert answers[0][0] == 404
    assert harness.activities.calls == []
    assert (await harness.read_progress(theirs)).phase is Phase.READY


@pytest.mark.parametrize("operation", WITH_KEYS)
async def test_keys_of_another_organisation_get_the_answer_of_an_unregistered_account(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer, theirs: str, operation: str
) -> None:
    await provision(harness, theirs, "globex")
    portal = await serve_acme(serve, issuer)

    answers, calls = [], []
    for owners in ({ACCOUNT: "globex"}, {}):
        harness.activities.accounts = owners
        name = f"acme-{uuid.uuid4().hex[:8]}"
        path, more = WITH_KEYS[operation](name)
        answer = await portal.http.request("POST", path, **more)
        if answer.status_code == 202:
            await wait_for_stop(portal, name)
            answer = await portal.http.get(f"/v1/environments/{name}")
        answers.append(without_times(answer.json(), name))
        calls.append(list(harness.activities.calls))
        harness.activities.calls.clear()

    assert answers[0] == answers[1]  # contract 146
    assert calls[0] == calls[1]
    planning = {"plan_key_check", "plan_environment", "find_exceeded_quota", "record_stop"}
    assert set(calls[0]) - planning == {"find_unregistered_accounts"}
    assert json.dumps(answers[0]).count("byok.AccountNotRegistered") >= len(KeyPurpose)
    assert "globex" not in json.dumps(answers[0])


async def wait_for_stop(portal: ApiClient, environment_id: str) -> None:
    """Read an environment's events until the environment stops."""
    assert (await portal.read_events(environment_id))[-1].data["phase"] == Phase.STOPPED


def without_times(content: Any, environment_id: str) -> Any:
    """Return a JSON value without the fields that differ between two environments."""
    if isinstance(content, dict):
        varying = {"at", "run_id", "created_at", "started_at", "closed_at", "entered_at", "request_id"}
        return {name: without_times(value, environment_id) for name, value in content.items() if name not in varying}
    if isinstance(content, list):
        return [without_times(value, environment_id) for value in content]
    return content.replace(environment_id, "X") if isinstance(content, str) else content


@pytest.mark.parametrize("operation", LISTS)
async def test_lists_contain_only_what_the_organisation_owns(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer, theirs: str, operation: str
) -> None:
    await provision(harness, theirs, "globex")
    portal = await serve_acme(serve, issuer)

    page = (await portal.http.get(operation.split()[1], params={"size": 50})).json()

    assert all(item.get("organisation") == "acme" for item in page[LISTS[operation]])  # contract 146
    assert "globex" not in json.dumps(page)


@pytest.mark.parametrize("operation", FOR_STAFF)
async def test_organisation_cannot_call_the_operations_of_the_staff(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer, operation: str
) -> None:
    harness.activities.accounts = {ACCOUNT: "globex"}
    portal = await serve_acme(serve, issuer)
    path, more = FOR_STAFF[operation]

    answer = await portal.http.request(operation.split(maxsplit=1)[0], path, **more)

    assert (answer.status_code, answer.json()["code"]) == (403, "byok.Forbidden")
    assert harness.activities.accounts == {ACCOUNT: "globex"}


@pytest.mark.parametrize("operation", BY_PROOF)
async def test_organisation_registers_accounts_only_for_itself(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer, operation: str
) -> None:
    """tests/api/test_account_proofs.py tests the proof that an account belongs to an organisation."""
    path, more = BY_PROOF[operation]
    portal = await serve_acme(serve, issuer)
    reader: ApiClient = await serve(issuer.build_auth(), token=issuer.issue_token("acme", "environments:read"))
    more = (
        {"json": {**more.get("json", {}), "organisation": "globex"}} if more else {"params": {"organisation": "globex"}}
    )

    answer = await portal.http.post(path, **more)

    assert "globex" not in answer.text  # contract 146
    assert answer.json().get("nonce", "acme.").startswith("acme.")
    assert (await reader.http.post(path, **more)).json()["code"] == "byok.Forbidden"
    assert harness.activities.accounts == {}


async def test_request_for_another_organisation_is_refused(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer
) -> None:
    portal = await serve_acme(serve, issuer)

    for path in ("/v1/environments", "/v1/key-checks"):
        answer = await portal.http.post(path, json=build_create_body("globex-prod", organisation="globex"))
        assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["organisation"])
    assert harness.activities.calls == []


async def test_taken_name_says_nothing_about_the_environment_that_has_it(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer
) -> None:
    """An organisation learns only that a name is not available, even if one of the vendor's environments has it."""
    name = f"acme-{uuid.uuid4().hex[:8]}"
    await (await harness.start_provision(ProvisionRequest.model_validate(build_create_body(name)))).result()
    portal = await serve_acme(serve, issuer)

    answer = await portal.http.post("/v1/environments", json=build_create_body(name))

    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        f"The name {name} is not available. Choose another name.",
    )
    assert (await portal.http.get(f"/v1/environments/{name}")).status_code == 404


async def test_staff_registers_accounts_and_each_organisation_sees_its_own(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer
) -> None:
    staff = await serve()
    path = f"/v1/organisations/acme/accounts/{ACCOUNT}"

    assert (await staff.http.put(path)).status_code == 204
    refused = await staff.http.put(f"/v1/organisations/globex/accounts/{ACCOUNT}")
    assert (refused.status_code, refused.json()["code"]) == (409, "byok.AccountOfAnotherOrganisation")
    portal = await serve_acme(serve, issuer)
    (own,) = (await portal.http.get("/v1/accounts")).json()["accounts"]
    assert (own["account"], own["organisation"]) == (ACCOUNT, "acme")
    assert (await staff.http.delete(path)).status_code == (await staff.http.delete(path)).status_code == 204
    assert (await portal.http.get("/v1/accounts")).json()["accounts"] == []


async def test_environment_of_the_organisation_becomes_ready(
    serve: Serve, harness: WorkflowHarness, issuer: OidcIssuer
) -> None:
    harness.activities.accounts = {ACCOUNT: "acme"}
    portal = await serve_acme(serve, issuer)
    name = f"acme-{uuid.uuid4().hex[:8]}"

    created = await portal.http.post(
        "/v1/environments", json=build_create_body(name), headers={"Byok-Reason": "ticket 42"}
    )
    assert created.status_code == 202, created.text
    await portal.read_events(name)
    status = (await portal.http.get(f"/v1/environments/{name}")).json()

    assert (status["phase"], status["organisation"], status["reason"]) == ("READY", "acme", "ticket 42")
    listed = (await portal.http.get("/v1/environments", params={"prefix": name})).json()["environments"]
    assert [item["environment_id"] for item in listed] == [name]
