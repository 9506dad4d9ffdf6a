"""With real processes, the web server's and the worker's audit records contain the same request id (contract 147)."""

import asyncio
import shutil

import httpx

from byok.audit.record import AuditOutcome, RecordKind
from byok.contracts import environment_workflow_id
from tests.audit_journal import read_journal
from tests.e2e.conftest import StackHarness
from tests.e2e.documented_commands import commands_in, run_documented_command


async def test_server_and_worker_record_the_same_request(web: StackHarness) -> None:
    request = web.build_request()
    body = request.model_dump(mode="json", exclude_none=True)
    async with httpx.AsyncClient(base_url=f"{web.stack.web_url}/v1", timeout=30) as http:
        answer = await http.post("/environments", json=body, headers={"Byok-Reason": "ticket 42"})
        assert answer.status_code == 202, answer.text
    await web.wait_until_ended(request.environment_id)

    records = await asyncio.to_thread(read_journal, web.stack.data / "audit")
    own = [one for one in records if one.requester.request_id == answer.headers["X-Request-Id"]]
    by_kind = {one.kind: one for one in own}
    assert set(by_kind) == set(RecordKind)  # contract 147
    assert {one.requester.reason for one in own} == {"ticket 42"}
    assert by_kind[RecordKind.OUTCOME].outcome is AuditOutcome.ACCEPTED
    run = by_kind[RecordKind.RUN]
    assert (run.workflow_id, run.run_id) == (environment_workflow_id(request.environment_id), answer.json()["run_id"])
    assert run.temporal_identity is not None
    assert by_kind[RecordKind.INTENT].recorded_at < run.recorded_at

    if shutil.which("jq"):
        for command in commands_in("docs/audit.md"):
            if command.startswith("cat"):
                await run_documented_command(web, command, web.stack.data)
