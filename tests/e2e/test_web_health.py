"""An operator starts a sweep through its schedule, and the CLI and the API show what the sweep has found."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from byok.contracts import TASK_QUEUE, health_schedule_id
from byok.domain.models import HealthState
from byok.domain.phases import Phase
from byok.local.programs import PROGRAMS_ROOT
from byok.temporal_health import ensure_health_schedules
from tests.e2e.conftest import StackHarness
from tests.e2e.documented_commands import commands_in, run_documented_command
from tests.localaws.server import REGION

SWEEP_SECONDS = 60


async def read_api(web: StackHarness, environment_id: str) -> dict[str, Any]:
    """Return an environment's health as the HTTP API shows it."""
    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        answer = await http.get(f"/v1/environments/{environment_id}")
    assert answer.status_code == 200, answer.text
    health: dict[str, Any] = answer.json()["health"]
    return health


async def sweep_until(web: StackHarness, environment_id: str, state: HealthState) -> dict[str, Any]:
    """Trigger a sweep, wait until the API shows this health state with a new proof, and return the health."""
    before = await read_api(web, environment_id)
    await web.service.client.get_schedule_handle(health_schedule_id(REGION)).trigger()
    async with asyncio.timeout(SWEEP_SECONDS):
        while True:
            health = await read_api(web, environment_id)
            if health["state"] == state and health["proved_at"] > before["proved_at"]:
                return health


async def read_cli(web: StackHarness, environment_id: str) -> dict[str, Any]:
    """Return an environment's health as `byok status -o json` shows it."""
    health: dict[str, Any] = (await web.run_program("byok", "status", environment_id, "-o", "json")).json["health"]
    return health


async def wait_until_filtered(web: StackHarness, environment_id: str, state: HealthState) -> None:
    """Wait until the list of environments with this health state contains the environment."""
    async with asyncio.timeout(SWEEP_SECONDS):
        found: set[str] = set()
        while environment_id not in found:
            found = {one.environment_id for one in await web.service.list_environments(10_000, health=state)}


# contract 139, 140, 141
async def test_triggered_sweep_shows_the_loss_and_the_return_of_a_key(web: StackHarness, tmp_path: Path) -> None:
    request = web.build_request()
    name, kms = request.environment_id, web.aws.customer_client("kms")
    ready = await web.provision(request)
    assert ready.phase is Phase.READY
    assert ready.health is not None
    assert ready.health.state is HealthState.HEALTHY
    await wait_until_filtered(web, name, HealthState.HEALTHY)  # a sweep checks only environments that Temporal lists

    # This stack starts without a schedule, because the AWS calls of its sweeps would disturb other tests.
    await ensure_health_schedules(web.service.client, TASK_QUEUE, [REGION], timedelta(minutes=4))
    schedule = web.service.client.get_schedule_handle(health_schedule_id(REGION))
    await schedule.pause()

    await asyncio.to_thread(kms.disable_key, KeyId=request.s3_key_arn)
    lost = await sweep_until(web, name, HealthState.KEY_LOST)
    shown = await read_cli(web, name)

    assert shown == lost
    problem = lost["problems"][0]
    assert (problem["code"], problem["key_arn"]) == ("s3.KMS.DisabledException", request.s3_key_arn)
    assert {one["key"]: one["use"] for one in lost["keys"]} == {
        "s3": "cannot be used",
        "rds": "in use by grant; new use not verified",
    }
    await wait_until_filtered(web, name, HealthState.KEY_LOST)

    await asyncio.to_thread(kms.enable_key, KeyId=request.s3_key_arn)
    back = await sweep_until(web, name, HealthState.HEALTHY)

    assert await read_cli(web, name) == back
    assert back["problems"] == []
    assert back["since"] > lost["since"]
    assert (await web.service.read_status(name)).phase is Phase.READY

    temporal = {"PATH": f"{PROGRAMS_ROOT}/.venv/bin:{os.environ['PATH']}"}
    for command in commands_in("docs/health.md"):
        await run_documented_command(web, command, tmp_path, temporal)
    await schedule.delete()
