"""`python -m bench.api`: compare the latencies of the API under load with those of a bare handler.

The bare handler makes the same Temporal calls as the API and does nothing else. In every round, the same load is sent
to the API and then to the bare handler, and both use the same Temporal server. No worker runs during the rounds,
because a worker would compete for the CPU.
"""

import asyncio
import hashlib
import json
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.api.load import LoadSpec
from bench.figures import Spread, compute_ratio_spread, percentile
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.stack import REGION, DevStack

CLIENT_COUNT: Final = 50
ROUND_COUNT: Final = 7
REQUESTS_PER_CLIENT: Final = 20
"""The number of requests that each client sends in a round."""

BEARER_TOKEN: Final = "a-token-for-the-benchmark"
SERVER_SETTINGS: Final = {
    "BYOK_DATABASE_POLL_SECONDS": "0.2",
    "BYOK_API__REQUESTS_PER_MINUTE": "1000000000",
    "BYOK_API__TOKENS": json.dumps(
        [
            {
                "name": "benchmark",
                "sha256": hashlib.sha256(BEARER_TOKEN.encode()).hexdigest(),
                "organisation": "acme",
                "scopes": ["environments:read", "environments:write"],
            }
        ]
    ),
}
TARGET_LATENCY_RATIOS: Final = {"create": 1.5, "get, running": 1.3, "get, READY": 1.3}

Requests = Callable[[], list[list[tuple[str, str, str]]]]


@dataclass
class LatencyComparison:
    """The latencies of one kind of request, in ms, for the API and for the bare handler: one list per round."""

    ours: list[list[float]] = field(default_factory=list)
    bare: list[list[float]] = field(default_factory=list)

    def render_row(self, kind: str) -> str:
        """Render a row of the table."""
        cells = [kind]
        for percent in (50, 95):
            ours, bare = ([percentile(one, percent) for one in side] for side in (self.ours, self.bare))
            cells += [str(Spread.of(ours)), str(Spread.of(bare)), str(compute_ratio_spread(ours, bare))]
        return f"| {' | '.join(cells)} | ≤ {TARGET_LATENCY_RATIOS[kind]} |"


async def measure_latencies_ms(port: int, requests: Requests, expected: int) -> list[float]:
    """Send the requests of all clients concurrently, and return the latencies of all requests in ms."""
    load = LoadSpec(port=port, requests=requests(), token=BEARER_TOKEN, expected=expected)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.api.load"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(load.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError("the server returned an unexpected response")
    return [seconds * 1000 for seconds in json.loads(out)]


async def measure() -> dict[str, LatencyComparison]:
    """Start Temporal and both servers, and run the rounds."""
    with tempfile.TemporaryDirectory(prefix="byok-bench-") as folder:
        ports = Ports.pick_free()
        async with DevStack(Path(folder), ports, web=True, database_seconds=0.2, settings=SERVER_SETTINGS) as stack:
            ready = await provision_ready_environment(stack)
            await stack.children["worker"].stop(30, stack.hurry)
            bare_port = Ports.pick_free().web
            environment = children_env_vars(stack.environment, SERVER_SETTINGS)
            bare = await ChildProcess.start(
                "bare", [sys.executable, "-m", "bench.api.bare", "--port", str(bare_port)],
                Path(folder) / "bare.log", environment,
            )  # fmt: skip
            try:
                await bare.wait_until_ready(lambda: require_listening(bare_port), 30)
                return await run_rounds(stack, bare_port, ready)
            finally:
                await bare.stop(10, stack.hurry)


async def run_rounds(stack: DevStack, bare_port: int, ready: str) -> dict[str, LatencyComparison]:
    """Send every kind of request to both servers in every round."""
    kinds: dict[str, tuple[Requests, int]] = {
        "create": (
            lambda: [[build_create_request(stack) for _ in range(REQUESTS_PER_CLIENT)] for _ in range(CLIENT_COUNT)],
            202,
        ),
        "get, running": (lambda: [[build_get_request(name)] * REQUESTS_PER_CLIENT for name in running], 200),
        "get, READY": (lambda: [[build_get_request(ready)] * REQUESTS_PER_CLIENT for _ in range(CLIENT_COUNT)], 200),
    }
    first = [build_create_request(stack) for _ in range(CLIENT_COUNT)]
    running = [str(json.loads(body)["environment_id"]) for _, _, body in first]
    for port in (stack.ports.web, bare_port):  # warm up: the first requests create objects that later requests reuse
        await measure_latencies_ms(port, kinds["create"][0], 202)
    await measure_latencies_ms(stack.ports.web, lambda: [[one] for one in first], 202)
    measured = {kind: LatencyComparison() for kind in kinds}
    for number in range(ROUND_COUNT):
        for kind, (requests, expected) in kinds.items():
            sides = [(stack.ports.web, measured[kind].ours), (bare_port, measured[kind].bare)]
            for port, found in sides if number % 2 else reversed(sides):
                found.append(await measure_latencies_ms(port, requests, expected))
    return measured


async def provision_ready_environment(stack: DevStack) -> str:
    """Provision an environment, wait until it is READY, and return its id."""
    service = await stack.connect_service()
    _, _, body = build_create_request(stack)
    request = ProvisionRequest.model_validate_json(body)
    await service.create(request)
    async for status in service.watch_status(request.environment_id):
        last = status
    if last.phase is not Phase.READY:
        raise RuntimeError(f"{request.environment_id} is {last.phase}: {last.problem}")
    return request.environment_id


def build_create_request(stack: DevStack) -> tuple[str, str, str]:
    """Build a request for a new environment."""
    body = {
        "environment_id": f"acme-{uuid.uuid4().hex[:12]}",
        "region": REGION,
        "s3_key_arn": stack.environment["S3_KEY_ARN"],
        "rds_key_arn": stack.environment["RDS_KEY_ARN"],
    }
    return "POST", "/v1/environments", json.dumps(body)


def build_get_request(environment_id: str) -> tuple[str, str, str]:
    return "GET", f"/v1/environments/{environment_id}", ""


async def require_listening(port: int) -> bool:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    return True


async def main() -> None:
    measured = await measure()
    print(
        f"{CLIENT_COUNT} concurrent clients, {ROUND_COUNT} rounds of {CLIENT_COUNT * REQUESTS_PER_CLIENT} requests "
        "each, minimum / median / maximum\n"
    )
    print("| | p50 ms | bare | ratio | p95 ms | bare | ratio | target (p95) |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, found in measured.items():
        print(found.render_row(kind))


if __name__ == "__main__":
    asyncio.run(main())
