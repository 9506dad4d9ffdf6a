"""`python -m bench.stand_in --port N --database-seconds S`: serve on this machine until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal

from bench.stand_in.app import StandIn, run_server


async def _serve(port: int, stand_in: StandIn) -> None:
    ended = asyncio.Event()
    for one in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(one, ended.set)
    async with run_server(stand_in, port) as bound:
        print(f"The stand-in for AWS listens at http://127.0.0.1:{bound}", flush=True)
        await ended.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.stand_in", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 picks a free port")
    parser.add_argument(
        "--database-seconds",
        type=float,
        required=True,
        help="how long it takes to create or delete a cluster or writer",
    )
    parser.add_argument("--clusters-per-page", type=int, default=100, help="page size for calls without MaxRecords")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, StandIn(given.database_seconds, given.clusters_per_page)))


if __name__ == "__main__":
    main()
