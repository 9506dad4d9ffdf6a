"""`python -m bench.web.api`: compare the latencies of the HTTP API under load with those of a bare handler.

The bare handler makes the same Temporal calls as the API and does nothing else.
"""

import asyncio
import hashlib
import json
import tempfile
from pathlib import Path
from typing import Final

from bench.web.comparison import (
    ROUND_COUNT,
    SERVER_SETTINGS,
    LatencyComparison,
    build_request,
    measure_latencies_ms,
    print_table,
    provision_ready_environment,
    run_bare_server,
    run_rounds,
)
from byok.local.ports import Ports
from byok.local.stack import DevStack

CLIENT_COUNT: Final = 50
REQUESTS_PER_CLIENT: Final = 20
"""The number of requests that each client sends in a round."""

BEARER_TOKEN: Final = "a-token-for-the-benchmark"
HEADERS: Final = {"Authorization": f"Bearer {BEARER_TOKEN}"}
TOKEN_SETTINGS: Final = SERVER_SETTINGS | {
    "BYOK_API__TOKENS": json.dumps(
        [
            {
                "name": "benchmark",
                "sha256": hashlib.sha256(BEARER_TOKEN.encode()).hexdigest(),
                "organisation": "*",  # no quota applies
                "scopes": ["environments:read", "environments:write"],
            }
        ]
    ),
}


async def measure() -> dict[str, LatencyComparison]:
    """Start Temporal and both servers, and run the rounds."""
    with tempfile.TemporaryDirectory(prefix="byok-bench-") as folder:
        ports = Ports.pick_free()
        async with DevStack(Path(folder), ports, web=True, database_seconds=0.2, settings=TOKEN_SETTINGS) as stack:
            ready = await provision_ready_environment(stack)
            await stack.children["worker"].stop(30, stack.hurry)
            async with run_bare_server(stack, Path(folder), TOKEN_SETTINGS) as bare_port:
                return await compare(stack, bare_port, ready)


async def compare(stack: DevStack, bare_port: int, ready: str) -> dict[str, LatencyComparison]:
    """Compare all kinds of requests."""
    first = [build_create_request(stack) for _ in range(CLIENT_COUNT)]
    running = [str(json.loads(body)["environment_id"]) for _, _, body in first]
    each = range(REQUESTS_PER_CLIENT)
    kinds = {
        "create": LatencyComparison(
            lambda: [[build_create_request(stack) for _ in each] for _ in range(CLIENT_COUNT)], 202, 1.5
        ),
        "get, running": LatencyComparison(
            lambda: [[build_get_request(name) for _ in each] for name in running], 200, 1.3
        ),
        "get, READY": LatencyComparison(
            lambda: [[build_get_request(ready) for _ in each] for _ in range(CLIENT_COUNT)], 200, 1.3
        ),
    }
    for port in (stack.ports.web, bare_port):  # warm up: the first requests create objects that later requests reuse
        await measure_latencies_ms(port, kinds["create"].requests(), 202, HEADERS)
    await measure_latencies_ms(stack.ports.web, [[one] for one in first], 202, HEADERS)
    await run_rounds(kinds, stack.ports.web, bare_port, HEADERS)
    return kinds


def build_create_request(stack: DevStack) -> tuple[str, str, str]:
    """Build a create request that sets only the required fields."""
    return "POST", "/v1/environments", build_request(stack).model_dump_json(exclude_unset=True)


def build_get_request(environment_id: str) -> tuple[str, str, str]:
    return "GET", f"/v1/environments/{environment_id}", ""


async def main() -> None:
    kinds = await measure()
    print(
        f"{CLIENT_COUNT} concurrent clients, {ROUND_COUNT} rounds of {CLIENT_COUNT * REQUESTS_PER_CLIENT} requests "
        "each, minimum / median / maximum\n"
    )
    print_table(kinds)


if __name__ == "__main__":
    asyncio.run(main())
