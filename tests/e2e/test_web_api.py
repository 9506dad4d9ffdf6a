"""Call the API of real processes with the documented requests, and with generated valid and invalid requests."""

import asyncio
import hashlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckKeysRequest
from byok.domain.scopes import Scope
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.programs import PROGRAMS_ROOT
from tests.e2e.conftest import StackHarness
from tests.e2e.test_key_proofs import THREE_FAULTS, break_key, wait_until_nothing_is_left
from tests.key_faults import KeyFault

EXAMPLES = int(os.environ.get("BYOK_TEST_API_EXAMPLES", "8"))
"""The number of requests for each operation and kind of test. `make api-fuzz` generates 10,000 or more."""

CONFIG = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
COMMANDS = re.findall(
    r"^(curl .*?)(?: +# until ([A-Z]+))?$", (PROGRAMS_ROOT / "docs" / "api.md").read_text(), re.MULTILINE
)
"""The documented commands, each with the phase in which its event stream ends (empty if no event stream follows)."""


async def test_documented_requests_work_in_order(web: StackHarness) -> None:
    pair = await asyncio.to_thread(web.stack.customer.ensure_key_pair, "documented")
    keys = {"S3_KEY_ARN": pair.s3_key_arn, "RDS_KEY_ARN": pair.rds_key_arn, "API": f"{web.stack.web_url}/v1"}
    # This stack creates a database in half a second, so hold CreateDBCluster until a command has cancelled the
    # workflow.
    where = {"service": "rds", "operation": "CreateDBCluster", "about": "acme-prod"}
    web.aws.call_control("POST", "faults", kind="hold_call", **where)
    reached = []
    for command, phase in COMMANDS:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", command), env={**os.environ, **keys}, stdout=asyncio.subprocess.PIPE
        )
        out, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, f"{command}\n{out.decode()}"
        if "/cancellation" in command:
            web.aws.call_control("DELETE", "faults")
            web.aws.call_control("DELETE", "held")
        if phase:
            assert f'"phase":"{phase}"' in out.decode().rpartition("event: status")[2], command
            reached.append(phase)
    assert reached == ["STOPPED", "READY", "DELETED", "READY"]


async def test_stop_is_streamed_and_replayed(web: StackHarness) -> None:
    asked = web.build_request()
    path = f"/v1/environments/{asked.environment_id}"
    await asyncio.to_thread(web.aws.customer_client("kms").disable_key, KeyId=asked.s3_key_arn)
    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        await http.post(
            "/v1/environments", content=asked.model_dump_json(), headers={"Content-Type": "application/json"}
        )
        heard = (await http.get(f"{path}/events")).text
        assert "s3.KMS.DisabledException" in heard
        await asyncio.to_thread(web.aws.customer_client("kms").enable_key, KeyId=asked.s3_key_arn)
        assert (await http.post(f"{path}/replays", json={})).status_code == 202
        async with http.stream("GET", f"{path}/events") as stream:
            lines = [line async for line in stream.aiter_lines()]
    assert [line for line in lines if line.startswith("event: phase")][5:], "the stream reports every phase"
    assert any('"phase":"READY"' in line for line in lines[-4:])


@asynccontextmanager
async def run_authenticated_server(web: StackHarness, organisation: str = "*") -> AsyncIterator[tuple[str, str]]:
    """Run another API server, which requires a token and uses the same Temporal server.

    Yield the API server's URL and a token.
    """
    port, token = Ports.pick_free().web, "fuzz"
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = {"name": "fuzz", "sha256": digest, "organisation": organisation, "scopes": [*Scope]}
    settings = {"BYOK_API__TOKENS": json.dumps([entry]), "BYOK_API__REQUESTS_PER_MINUTE": "1000000"}
    server = await ChildProcess.start(
        "guarded",
        (sys.executable, "-m", "byok", "web", "--port", str(port)),
        web.stack.data / "logs" / "guarded.log",
        children_env_vars(web.stack.environment, settings),
    )
    async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}") as http:

        async def answers() -> bool:
            try:
                return (await http.get("/ready")).is_success
            except httpx.TransportError:
                return False

        try:
            await server.wait_until_ready(answers, 30)
            yield str(http.base_url), token
        finally:
            await server.stop(10, web.stack.hurry)


def parse_operation_counts(said: str) -> dict[str, int]:
    """Return how many operations passed in each test phase.

    The exit code is not enough, because schemathesis does not report an aborted phase as a failure.
    """
    found = re.findall(r"(Coverage|Fuzzing) \(in [^)]+\)\s+✅\s+([0-9]+) passed", said)
    return {phase: int(number) for phase, number in found}


async def test_generated_requests_conform_to_the_openapi_document(web: StackHarness, tmp_path: Path) -> None:
    checks = (
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
        "response_headers_conformance,negative_data_rejection,unsupported_method,ignored_auth"
    )
    # A key check can take up to its grace period, which is at most 300 s.
    often = ("--max-examples", str(EXAMPLES), "--seed", "1", "--request-timeout", "330")
    await web.provision(web.build_request(environment_id="acme-prod"))  # the OpenAPI examples use this environment
    async with run_authenticated_server(web) as (address, token):
        process = await asyncio.create_subprocess_exec(
            *(
                str(Path(sys.executable).with_name("schemathesis")),
                "--config-file",
                str(CONFIG),
                "run",
                f"{address}/v1/openapi.json",
            ),
            *(*often, "--checks", checks, "--no-color", "--header", f"Authorization: Bearer {token}"),
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), "PYTHONPATH": str(PROGRAMS_ROOT)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 3600)
        async with httpx.AsyncClient(base_url=address) as http:
            paths = (await http.get("/v1/openapi.json")).json()["paths"]
    said = out.decode()
    (tmp_path / "said.txt").write_text(said)
    assert process.returncode == 0, f"{tmp_path}/said.txt: {said[-3000:]}"
    operations = sum(len(methods) for methods in paths.values())
    assert parse_operation_counts(said) == {"Coverage": operations, "Fuzzing": operations}, (
        f"{tmp_path}/said.txt: some operations are missing"
    )
    assert "Traceback" not in said, f"{tmp_path}/said.txt"
    sys.stdout.write(said[-1500:])


async def test_broken_keys_are_refused_by_the_api(web: StackHarness) -> None:
    async def check(http: httpx.AsyncClient, fault: KeyFault, which: KeyPurpose) -> CheckKeysRequest:
        request = await asyncio.to_thread(break_key, web, fault, which)
        body = request.model_dump(mode="json") | {"prove_aurora_key": which is KeyPurpose.RDS}
        answer = (await http.post("/v1/key-checks", json=body)).json()
        assert answer["keys"][which.value]["verdict"] == "cannot be used", (fault.name, answer)
        assert [one["code"] for one in answer["findings"]] == [fault.code_for(which)]
        return request

    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        checks = (check(http, fault, which) for fault in THREE_FAULTS for which in KeyPurpose)
        made = await asyncio.gather(*checks)
    await wait_until_nothing_is_left(web, *made)
