"""With real processes, every entry point still shows an environment after Temporal has deleted its workflows."""

import asyncio
import json
from typing import Any

import httpx

from byok.contracts import record_workflow_id
from byok.domain.phases import Phase
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.wizard.conftest import Browser
from tests.workflows.forgetting import delete_workflow, forget_workflows


async def ask_everywhere(web: StackHarness, name: str) -> dict[str, Any]:
    """Return what the CLI, the API and the wizard show for an environment, without the times of runs and checks."""
    verified = await web.run_program("byok", "verify", name, "-o", "json")
    status = (await web.run_program("byok", "status", name, "-o", "json")).json
    listed: list[dict[str, Any]] = []
    async with asyncio.timeout(20):  # visibility is eventually consistent
        while [one["phase"] for one in listed] != [status["phase"]]:
            found = json.loads((await web.run_program("byok", "list", "-o", "json")).out)
            listed = [one for one in found if one["environment_id"] == name]
    history = json.loads((await web.run_program("byok", "history", name, "-o", "json")).out)
    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        api = (await http.get(f"/v1/environments/{name}")).json()
        page = await Browser(http).open_page(f"/environments/{name}")
        pages = await Browser(http).open_page("/environments")
    for one in (status, api):
        del one["closed_at"]
        one["health"] = (one["health"]["state"], [key["use"] for key in one["health"]["keys"]])
        one["timeline"] = [entry["phase"] for entry in one["timeline"]]
        for attempt in one.get("attempts", ()):
            del attempt["ended_at"]
    return {
        "verified": (verified.code, verified.json["state"]),
        "status": status,
        "list": [(one["phase"], one["health"], one["region"], one["tenant_name"]) for one in listed],
        "history": [(one["run_id"], one["phase"], one["by"]) for one in history],
        "api": api,
        "page": [word in page.text for word in ("Ready", status["evidence"]["database"]["key_arn"])],
        "pages": name in pages.text,
    }


async def test_environment_outlives_its_workflows_at_every_entry_point(web: StackHarness) -> None:
    request = web.build_request()
    name = request.environment_id
    assert (await web.provision(request)).phase is Phase.READY
    before = await ask_everywhere(web, name)

    await forget_workflows(web.service.client, name)

    assert await ask_everywhere(web, name) == before  # contract 134
    assert all(before["page"])
    assert before["pages"]
    named = await web.run_program("byok", "tenant", name, "acme", "--commands-only", "-o", "json")
    assert (named.code, named.json["tenant"]) == (0, "acme"), named
    repeated = await web.run_program(
        *("byok", "create", "--name", name, "--region", REGION, "--key-grace-seconds", "0", "-o", "json"),
        *("--s3-key-arn", request.s3_key_arn or "", "--rds-key-arn", request.rds_key_arn or ""),
    )
    assert repeated.code == 0, repeated
    deleted = await web.run_program("byok", "delete", name, "--confirm", name, "--wait", "-o", "json")
    assert (deleted.code, deleted.json["phase"]) == (0, "DELETED"), deleted


async def test_environments_without_records_are_rebuilt_from_aws_or_deleted_by_their_region(web: StackHarness) -> None:
    kept, removed = web.build_request(tenant="acme"), web.build_request()
    names = [one.environment_id for one in (kept, removed)]
    before, _ = await asyncio.gather(web.provision(kept), web.provision(removed))
    await forget_workflows(web.service.client, *names)
    await asyncio.gather(*(delete_workflow(web.service.client, record_workflow_id(name)) for name in names))
    name = removed.environment_id

    unknown = await web.run_program("byok", "delete", name, "--confirm", name, "-o", "json")
    listed = await web.run_program("byok", "claims", "--limit", "10000", "-o", "json")
    gone = await web.run_program("byok", "delete", name, "--confirm", name, "--region", REGION, "--wait", "-o", "json")

    assert (unknown.code, unknown.json["error"]["code"]) == (1, "byok.EnvironmentNotFound")
    assert "pass the environment's Region" in unknown.err
    held = [one for one in json.loads(listed.out) if one["environment_id"] == name]
    assert [(one["state"], one["phase"], one["exists"]) for one in held] == [("in use", None, True)] * 2
    assert (gone.code, gone.json["phase"]) == (0, "DELETED"), gone
    again = web.build_request(s3_key_arn=removed.s3_key_arn, rds_key_arn=removed.rds_key_arn)
    assert (await web.provision(again)).phase is Phase.READY  # contract 138

    name = kept.environment_id
    rebuilt = await web.run_program(
        "byok", "inventory", "rebuild", "--reason", "Temporal's database was lost", "-o", "json"
    )

    assert rebuilt.code == 0, rebuilt
    assert (rebuilt.json["ready"], rebuilt.json["problems"]) == (1, [])
    assert rebuilt.json["unknown"]
    status = (await ask_everywhere(web, name))["status"]
    known = before.model_dump(mode="json")
    for field in ("region", "encryption", "s3_key_arn", "rds_key_arn", "resources", "phase"):
        assert without_creation(status[field]) == without_creation(known[field]), field  # contract 136
    assert status["evidence"]["database"] == known["evidence"]["database"]
    nothing = await web.run_program("byok", "inventory", "rebuild")
    assert (nothing.code, "Records rebuilt: 0" in nothing.out) == (0, True), nothing
    deleted = await web.run_program("byok", "delete", name, "--confirm", name, "--wait", "-o", "json")
    assert (deleted.code, deleted.json["phase"]) == (0, "DELETED"), deleted


def without_creation(value: Any) -> Any:
    """Return a value without `created`, because AWS does not show whether a run created or adopted a resource."""
    if isinstance(value, dict):
        return {key: without_creation(item) for key, item in value.items() if key != "created"}
    return [without_creation(item) for item in value] if isinstance(value, list) else value
