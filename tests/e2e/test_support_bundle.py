"""`byok support-bundle` on a real stack writes a complete file that contains no planted secret."""

import json
import stat
import zipfile
from pathlib import Path

import pytest
from temporalio.api.common.v1 import Header, Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest

from byok.contracts import record_workflow_id
from byok.domain.phases import Phase
from tests.e2e.conftest import StackHarness
from tests.unit.test_redaction import PLANTED, REQUIRED, SECRETS

AFFECT_CONNECTIONS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "TEMPORAL_API_KEY")
"""Variables that would change how the command connects to the stack. Only unit tests plant secrets in these variables.
"""


async def test_bundle_has_status_histories_and_doctor_but_no_secret(
    machine: StackHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = machine.build_request()
    name = request.environment_id
    options = ("--name", name, "--region", request.region, "--reason", "Authorization: Bearer planted-bearer-0123")
    keys = ("--s3-key-arn", str(request.s3_key_arn), "--rds-key-arn", str(request.rds_key_arn))
    assert (await machine.run_program("byok", "create", *options, *keys, "--wait")).code == 0
    client = machine.service.client
    header = Header(fields={"x-trace": Payload(metadata={"encoding": b"json/plain"}, data=b'"planted-header-value"')})
    await client.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=record_workflow_id(name)),
            signal_name="unknown",
            header=header,
        )
    )
    for variable, value in (REQUIRED | PLANTED).items():
        if variable not in AFFECT_CONNECTIONS:
            monkeypatch.setenv(variable, value)

    path = tmp_path / "bundle.zip"
    ended = await machine.run_program("byok", "support-bundle", name, "--out", str(path), "-o", "json")

    assert ended.code == 0, ended.err
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with zipfile.ZipFile(path) as archive:
        files = {one: archive.read(one).decode() for one in archive.namelist()}
    assert [one["name"] for one in ended.json["contents"]] == list(files)[1:]
    assert json.loads(files["status.json"])["phase"] == Phase.READY
    assert len(json.loads(files["attempts.json"])) == 1
    checks = {one["name"]: one["ok"] for one in json.loads(files["doctor.json"])}
    assert checks["Temporal"]
    assert checks["AWS"]
    histories = {one: text for one, text in files.items() if one.startswith("histories/")}
    assert any(f"environment-{name}" in one for one in histories)
    assert any(f"record-{name}" in one for one in histories)
    assert any(f'"environment_id": "{name}"' in text for text in histories.values()), "the inputs are decoded"
    for secret in (*SECRETS, "planted-bearer", "planted-header-value"):
        assert not [one for one, text in files.items() if secret in text], secret
    for one in ended.json["contents"]:
        assert one["name"] in files["README.txt"]

    again = await machine.run_program("byok", "support-bundle", name, "--out", str(path))
    assert again.code == 2
    assert again.err == f"error: Cannot write {path}: File exists.\n"
    missing = await machine.run_program("byok", "support-bundle", "missing", "--out", str(tmp_path / "none.zip"))
    assert (missing.code, (tmp_path / "none.zip").exists()) == (1, False)
