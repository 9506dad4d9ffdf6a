"""Compares the latencies of two web servers under the same load.

Every round sends the same load to byok's server and to a bare server, and the order of the two servers alternates. Both
servers use the same Temporal server. No worker runs during the rounds, because a worker would compete for the CPU.
"""

import asyncio
import json
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.figures import Spread, compute_ratio_spread, percentile
from bench.web.load import LoadSpec
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.stack import REGION, DevStack

ROUND_COUNT: Final = 7

SERVER_SETTINGS: Final = {
    "BYOK_DATABASE_POLL_SECONDS": "0.2",
    "BYOK_API__REQUESTS_PER_MINUTE": "1000000000",
    "BYOK_API__TEMPORAL_TIMEOUT_SECONDS": "10",
}
"""The settings of both servers. byok's own limits are so high that no request reaches them."""

Requests = list[list[tuple[str, str, str]]]
"""The requests of each client, in order: method, path and body."""


@dataclass
class LatencyComparison:
    """The latencies of one kind of request, in ms, for byok and for the bare server: one list per round.

    Attributes:
        requests: Builds the requests of all clients.
        expected: The HTTP status that every response must have.
        target: The maximum acceptable ratio of the p95 latencies.
    """

    requests: Callable[[], Requests]
    expected: int
    target: float
    ours: list[list[float]] = field(default_factory=list)
    bare: list[list[float]] = field(default_factory=list)

    def render_row(self, kind: str) -> str:
        """Render a row of the table."""
        cells = [kind]
        for percent in (50, 95):
            ours, bare = ([percentile(one, percent) for one in side] for side in (self.ours, self.bare))
            cells += [str(Spread.of(ours)), str(Spread.of(bare)), str(compute_ratio_spread(ours, bare))]
        return f"| {' | '.join(cells)} | ≤ {self.target} |"


async def measure_latencies_ms(port: int, requests: Requests, expected: int, headers: Mapping[str, str]) -> list[float]:
    """Send the requests of all clients concurrently, and return the latencies of all requests in ms.

    Raises:
        RuntimeError: A response has an unexpected status.
    """
    load = LoadSpec(port=port, requests=requests, headers=dict(headers), expected=expected)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.web.load"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(load.model_dump_json().encode())
    if process.returncode:
        raise RuntimeError("the server returned an unexpected response")
    return [seconds * 1000 for seconds in json.loads(out)]


async def run_rounds(
    kinds: Mapping[str, LatencyComparison], port: int, bare_port: int, headers: Mapping[str, str]
) -> None:
    """Send every kind of request to both servers in every round, and add the latencies to `kinds`."""
    for number in range(ROUND_COUNT):
        for kind in kinds.values():
            sides = [(port, kind.ours), (bare_port, kind.bare)]
            for one, found in sides if number % 2 else reversed(sides):
                found.append(await measure_latencies_ms(one, kind.requests(), kind.expected, headers))


@asynccontextmanager
async def run_bare_server(stack: DevStack, folder: Path, settings: Mapping[str, str]) -> AsyncIterator[int]:
    """Run the bare server alongside the stack, and return its port."""
    port = Ports.pick_free().web
    bare = await ChildProcess.start(
        "bare", [sys.executable, "-m", "bench.web.bare", "--port", str(port)],
        folder / "bare.log", children_env_vars(stack.environment, settings),
    )  # fmt: skip
    try:
        await bare.wait_until_ready(lambda: _require_listening(port), 30)
        yield port
    finally:
        await bare.stop(10, stack.hurry)


def build_request(stack: DevStack) -> ProvisionRequest:
    """Build a request for a new environment that uses the stack's ready-made keys."""
    return ProvisionRequest(
        environment_id=f"acme-{uuid.uuid4().hex[:12]}",
        region=REGION,
        s3_key_arn=stack.environment["S3_KEY_ARN"],
        rds_key_arn=stack.environment["RDS_KEY_ARN"],
    )


async def provision_ready_environment(stack: DevStack) -> str:
    """Provision an environment, wait until it is READY, and return its id.

    Raises:
        RuntimeError: The environment is not READY.
    """
    service, request = await stack.connect_service(), build_request(stack)
    await service.create(request)
    async for status in service.watch_status(request.environment_id):
        last = status
    if last.phase is not Phase.READY:
        raise RuntimeError(f"{request.environment_id} is {last.phase}: {last.problem}")
    return request.environment_id


def print_table(kinds: Mapping[str, LatencyComparison]) -> None:
    """Print the comparison as a Markdown table."""
    print("| | p50 ms | bare | ratio | p95 ms | bare | ratio | target (p95) |")
    print("|---|---|---|---|---|---|---|---|")
    for kind, found in kinds.items():
        print(found.render_row(kind))


async def _require_listening(port: int) -> bool:
    _, writer = await asyncio.open_connection(HOST, port)
    writer.close()
    return True
