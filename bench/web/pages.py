"""`python -m bench.web.pages`: compare the latencies of the wizard's pages with those of a bare handler.

The bare handler makes the same Temporal calls as the page and does nothing else. Users read a page before they open the
next one, so a few concurrent clients already represent many users.
"""

import asyncio
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import httpx

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
from byok.local.ports import HOST, Ports
from byok.local.stack import DevStack
from byok.wizard.sessions import COOKIE_NAME

CLIENT_COUNT: Final = 4
REQUESTS_PER_ROUND: Final = 100
TARGET_RATIO: Final = 1.2
LISTED_ENVIRONMENTS: Final = 20


async def measure() -> dict[str, LatencyComparison]:
    """Start Temporal and both servers, and run the rounds."""
    with tempfile.TemporaryDirectory(prefix="byok-bench-") as folder:
        ports = Ports.pick_free()
        async with DevStack(Path(folder), ports, web=True, database_seconds=0.2, settings=SERVER_SETTINGS) as stack:
            ready = await provision_ready_environment(stack)
            headers = {"Cookie": await open_first_page(f"http://{HOST}:{ports.web}/environments/{ready}")}
            await stack.children["worker"].stop(30, stack.hurry)
            service = await stack.connect_service()
            for _ in range(LISTED_ENVIRONMENTS - 1):
                await service.create(running := build_request(stack))
            kinds = build_comparisons(
                {
                    "environment, READY": f"/environments/{ready}",
                    "environment, running": f"/environments/{running.environment_id}",
                    f"list of {LISTED_ENVIRONMENTS}": "/environments",
                    "new environment": "/new",
                }
            )
            async with run_bare_server(stack, Path(folder), SERVER_SETTINGS) as bare_port:
                for port in (ports.web, bare_port):  # warm up: the servers cache templates, connections and calls
                    for kind in kinds.values():
                        await measure_latencies_ms(port, kind.requests()[:1], kind.expected, headers)
                await run_rounds(kinds, ports.web, bare_port, headers)
                return kinds


def build_comparisons(paths: Mapping[str, str]) -> dict[str, LatencyComparison]:
    """Build the comparisons of the pages."""
    requests = {
        name: [[("GET", path, "")] * (REQUESTS_PER_ROUND // CLIENT_COUNT)] * CLIENT_COUNT
        for name, path in paths.items()
    }
    return {name: LatencyComparison(partial(list, sent), 200, TARGET_RATIO) for name, sent in requests.items()}


async def open_first_page(url: str) -> str:
    """Open a page, and return the session's cookie.

    The first page shows the external id. The server reads the id from a worker, so a worker must be running.
    """
    async with httpx.AsyncClient() as client:
        response = await client.get(url)
        response.raise_for_status()
        return f"{COOKIE_NAME}={client.cookies[COOKIE_NAME]}"


async def main() -> None:
    kinds = await measure()
    print(
        f"{CLIENT_COUNT} clients, {ROUND_COUNT} rounds of {REQUESTS_PER_ROUND} requests each, "
        "minimum / median / maximum\n"
    )
    print_table(kinds)


if __name__ == "__main__":
    asyncio.run(main())
