"""(d) Time from an AWS error until the status reports it. (e) Time from killing a worker until the next AWS call."""

import asyncio
import time
from pathlib import Path

from pydantic import BaseModel

from bench.machine import BenchStack, run_bench_stack
from bench.request_generator import RequestGenerator
from byok.contracts import environment_workflow_id
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService


class InterruptionSeconds(BaseModel):
    """byok's reaction time to each kind of interruption, in seconds, by round.

    Attributes:
        refusals: Time from the call that AWS denies because a key is disabled until the status is STOPPED.
        crashes: Time from killing a worker (SIGKILL) during an AWS call until another worker makes an AWS call.
    """

    refusals: list[float]
    crashes: list[float]


async def measure(folder: Path, rounds: int) -> InterruptionSeconds:
    """Measure each interruption once per round."""
    async with run_bench_stack(folder / "interruptions", database_seconds=0, poll_seconds=0.5) as one:
        await one.start_worker()
        await one.run_client("-m", "bench.client", "--environments", "3", "--concurrency", "3")
        refusals = [await _time_to_stopped(one) for _ in range(rounds)]
        crashes = [await _time_to_takeover(one, f"worker-{number}") for number in range(rounds)]
    return InterruptionSeconds(refusals=refusals, crashes=crashes)


async def _time_to_stopped(one: BenchStack) -> float:
    service, request = await one.connect_service(), RequestGenerator().next_request("refused")
    message = f"{request.s3_key_arn} is disabled."
    one.call_stand_in("DELETE", "calls")
    one.call_stand_in(
        "POST", "refuse", operation="PutObject", code="KMS.DisabledException", message=message, status=400
    )
    try:
        await service.create(request)
        while (await service.read_status(request.environment_id)).phase is not Phase.STOPPED:
            await asyncio.sleep(0.01)
        seen, refused = time.time(), one.call_stand_in("GET", "calls")["refused"]
        return seen - float(refused[0]["at"])
    finally:
        one.call_stand_in("DELETE", "refuse")


async def _time_to_takeover(one: BenchStack, other: str) -> float:
    """Kill the worker while the stand-in delays its AWS call, and return the seconds until the next AWS call."""
    service, request = await one.connect_service(), RequestGenerator().next_request("killed")
    await one.start_worker(name=other)
    one.call_stand_in("POST", "hold", operation="CreateDBCluster")
    try:
        await service.create(request)
        while not one.call_stand_in("GET", "calls")["held"]:
            await asyncio.sleep(0.01)
        holder = await _holder(service, request.environment_id)
        name, killed = next((name, child) for name, child in one.children.items() if holder.startswith(f"{child.pid}@"))
        at = time.time()
        await killed.kill()
        one.call_stand_in("DELETE", "calls")  # from now on, only the other worker makes calls
        del one.children[name]
    finally:
        one.call_stand_in("DELETE", "hold")
    async for _ in service.watch_status(request.environment_id):
        pass
    if "worker" not in one.children:
        one.children["worker"] = one.children.pop(other)
    return float(one.call_stand_in("GET", "calls")["first_at"]) - at


async def _holder(service: EnvironmentService, environment_id: str) -> str:
    """Return the identity of the worker that runs the environment's activity."""
    handle = service.client.get_workflow_handle(environment_workflow_id(environment_id))
    return (await handle.describe()).raw_description.pending_activities[0].last_worker_identity
