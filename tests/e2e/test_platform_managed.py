"""An environment with the platform's own keys, from its creation with the CLI to its deletion (contract 9, 14, 132)."""

import json
from pathlib import Path

from byok.contracts import environment_workflow_id
from byok.domain.arns import parse_key_arn
from byok.domain.models import DeleteRequest
from byok.domain.phases import Phase
from localaws.state import PLATFORM_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.requested_keys import keys_of


async def test_platform_managed_environment_lives_and_never_switches(machine: StackHarness, tmp_path: Path) -> None:
    request = machine.build_request()
    name, keys = request.environment_id, keys_of(request)
    place = ("--name", name, "--region", REGION)
    pair = ("--s3-key-arn", keys.s3_key_arn, "--rds-key-arn", keys.rds_key_arn)

    created = await machine.run_program("byok", "create", *place, "--platform-managed", "--wait", "-o", "json")
    assert created.code == 0, created
    evidence = created.json["evidence"]
    assert (created.json["phase"], created.json["encryption"]) == ("READY", "platform-managed")
    assert evidence["encryption"] == "platform-managed"
    assert parse_key_arn(evidence["database"]["key_arn"]).account == PLATFORM_ACCOUNT  # the key that AWS reports
    told = await machine.run_program("byok", "status", name)
    assert "(key of the platform)" in told.out

    refused = await machine.run_program("byok", "create", *place, *pair)
    assert (refused.code, "uses platform-managed keys and cannot be switched" in refused.err) == (1, True)  # contract 9
    checked = await machine.run_program("byok", "check", *place, *pair, "-o", "json")
    assert checked.code == 3
    assert {one["code"] for one in checked.json["problems"]} == {"byok.EncryptionCannotChange"}
    named = await machine.run_program("byok", "tenant", name, "-o", "json")
    assert (named.code, named.json["error"]["code"]) == (1, "byok.NoCustomerKeys")

    # Temporal's UI starts a workflow without `EnvironmentService`, so the workflow itself must reject invalid requests.
    client = await machine.stack.connect_client()
    for workflow, value, code in (
        ("DeleteEnvironment", _build_delete(name, **keys.__dict__), "byok.EncryptionCannotChange"),
        ("DeleteEnvironment", _build_delete(name, region="us-east-1"), "byok.RegionDiffers"),  # contract 137
        ("ProvisionEnvironment", request, "byok.EncryptionCannotChange"),
    ):
        await client.start_workflow(workflow, value, id=environment_workflow_id(name), task_queue="byok")
        stopped = await machine.wait_until_ended(name)
        assert stopped.problem is not None
        assert (stopped.phase, stopped.problem.code) == (Phase.STOPPED, code), workflow
    assert len(machine.list_environment_clusters(name)) == 1

    file = tmp_path / "environment.json"
    file.write_text(json.dumps({"environment_id": name, "region": REGION, "encryption": "platform-managed"}))
    adopted = await machine.run_program("byok", "create", "-f", str(file), "--wait", "-o", "json")
    assert (adopted.code, adopted.json["phase"]) == (0, "READY"), adopted
    deleted = await machine.run_program("byok", "delete", name, "--confirm", name, "--wait", "-o", "json")
    assert (deleted.code, deleted.json["phase"]) == (0, "DELETED"), deleted
    assert machine.list_environment_clusters(name) == []
    assert machine.list_environment_buckets(name) == []


def _build_delete(name: str, **values: str) -> DeleteRequest:
    return DeleteRequest.model_validate({"environment_id": name, "confirm": name, "region": REGION, **values})
