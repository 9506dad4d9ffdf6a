"""`python -m bench.api`: what the API adds to a bare handler that makes the same Temporal calls, under load.

Rounds of both alternate in one run against one Temporal. Nothing works on the environments meanwhile, so that neither
side competes with a worker.
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

from bench.api.load import Load
from bench.figures import Spread, percentile, ratios
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.local.env_vars import children_environment
from byok.local.ports import HOST, Ports
from byok.local.processes import Child
from byok.local.stack import REGION, DevStack

CLIENTS: Final = 50
ROUNDS: Final = 7
REQUESTS: Final = 20
"""By each client in a round."""

TOKEN: Final = "a-token-for-the-benchmark"
SETTINGS: Final = {
    "BYOK_DATABASE_POLL_SECONDS": "0.2",
    "BYOK_API__REQUESTS_PER_MINUTE": "1000000000",
    "BYOK_API__TOKENS": json.dumps(
        [
            {
                "sha256": hashlib.sha256(TOKEN.encode()).hexdigest(),
                "organisation": "acme",
                "scopes": ["environments:read", "environments:write"],
            }
        ]
    ),
}
MARKS: Final = {"create": 1.5, "get, running": 1.3, "get, READY": 1.3}

Requests = Callable[[], list[list[tuple[str, str, str]]]]


@dataclass
class Measured:
    """One kind of request: milliseconds of each round, at the API and at the bare handler."""

    ours: list[list[float]] = field(default_factory=list)
    bare: list[list[float]] = field(default_factory=list)

    def line(self, kind: str) -> str:
        """A row of the table."""
        cells = [kind]
        for percent in (50, 95):
            ours, bare = ([percentile(one, percent) for one in side] for side in (self.ours, self.bare))
            cells += [str(Spread.of(ours)), str(Spread.of(bare)), str(ratios(ours, bare))]
        return f"| {' | '.join(cells)} | ≤ {MARKS[kind]} |"


async def latencies(port: int, requests: Requests, expected: int) -> list[float]:
    """Milliseconds of all requests that fifty clients send at once."""
    load = Load(port=port, requests=requests(), token=TOKEN, expected=expected)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.api.load"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(load.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError("the clients met an answer that they did not expect")
    return [seconds * 1000 for seconds in json.loads(out)]


async def measure() -> dict[str, Measured]:
    """Start everything, and let the two take turns."""
    with tempfile.TemporaryDirectory(prefix="byok-bench-") as folder:
        ports = Ports.free()
        async with DevStack(Path(folder), ports, web=True, database_seconds=0.2, settings=SETTINGS) as stack:
            ready = await ready_environment(stack)
            await stack.children["worker"].stop(30, stack.hurry)
            bare_port = Ports.free().web
            environment = children_environment(stack.environment, SETTINGS)
            bare = await Child.start(
                "bare", [sys.executable, "-m", "bench.api.bare", "--port", str(bare_port)],
                Path(folder) / "bare.log", environment,
            )  # fmt: skip
            try:
                await bare.wait_until_ready(lambda: listening(bare_port), 30)
                return await rounds(stack, bare_port, ready)
            finally:
                await bare.stop(10, stack.hurry)


async def rounds(stack: DevStack, bare_port: int, ready: str) -> dict[str, Measured]:
    """Every kind of request, at the one and at the other, again and again."""
    kinds: dict[str, tuple[Requests, int]] = {
        "create": (lambda: [[new_creation(stack) for _ in range(REQUESTS)] for _ in range(CLIENTS)], 202),
        "get, running": (lambda: [[get_environment_request(name)] * REQUESTS for name in running], 200),
        "get, READY": (lambda: [[get_environment_request(ready)] * REQUESTS for _ in range(CLIENTS)], 200),
    }
    first = [new_creation(stack) for _ in range(CLIENTS)]
    running = [str(json.loads(body)["environment_id"]) for _, _, body in first]
    for port in (stack.ports.web, bare_port):  # warm up: the first requests build what later ones use
        await latencies(port, kinds["create"][0], 202)
    await latencies(stack.ports.web, lambda: [[one] for one in first], 202)
    measured = {kind: Measured() for kind in kinds}
    for number in range(ROUNDS):
        for kind, (requests, expected) in kinds.items():
            sides = [(stack.ports.web, measured[kind].ours), (bare_port, measured[kind].bare)]
            for port, found in sides if number % 2 else reversed(sides):
                found.append(await latencies(port, requests, expected))
    return measured


async def ready_environment(stack: DevStack) -> str:
    """Provision one."""
    service = await stack.service()
    _, _, body = new_creation(stack)
    request = ProvisionRequest.model_validate_json(body)
    await service.create(request)
    async for status in service.watch(request.environment_id):
        last = status
    if last.phase is not Phase.READY:
        raise RuntimeError(f"{request.environment_id} is {last.phase}: {last.problem}")
    return request.environment_id


def new_creation(stack: DevStack) -> tuple[str, str, str]:
    """A request for an environment that nobody has asked for before."""
    body = {
        "environment_id": f"acme-{uuid.uuid4().hex[:12]}",
        "region": REGION,
        "s3_key_arn": stack.environment["S3_KEY_ARN"],
        "rds_key_arn": stack.environment["RDS_KEY_ARN"],
    }
    return "POST", "/v1/environments", json.dumps(body)


def get_environment_request(environment_id: str) -> tuple[str, str, str]:
    return "GET", f"/v1/environments/{environment_id}", ""


async def listening(port: int) -> bool:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    return True


async def main() -> None:
    measured = await measure()
    print(f"{CLIENTS} clients at once, {ROUNDS} rounds of {CLIENTS * REQUESTS} requests each, least / median / most\n")
    print("| | p50 ms | bare | ratio | p95 ms | bare | ratio | mark (p95) |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, found in measured.items():
        print(found.line(kind))


if __name__ == "__main__":
    asyncio.run(main())
