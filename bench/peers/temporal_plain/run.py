"""Plain Temporal: `temporal server start-dev` (in memory), a worker, and a client that awaits each workflow."""

import asyncio

from temporalio.client import Client

from bench.peers.driver import (
    CONCURRENCY,
    HOST,
    EnvironmentSpec,
    await_port,
    find_free_port,
    read_batches,
    run_in_background,
)
from bench.peers.temporal_plain.workflow import TASK_QUEUE, Provision


async def main() -> None:
    port = find_free_port()
    address = f"{HOST}:{port}"
    with run_in_background("temporal", "server", "start-dev", "--headless", "--ip", HOST, "--port", str(port)):
        await_port(port)
        with run_in_background("python", "-m", "bench.peers.temporal_plain.worker", address):
            client = await Client.connect(address)
            room = asyncio.Semaphore(CONCURRENCY)

            async def provision(environment: EnvironmentSpec) -> None:
                async with room:
                    await client.execute_workflow(
                        Provision.run, environment, id=environment["name"], task_queue=TASK_QUEUE
                    )

            for batch in read_batches():
                await asyncio.gather(*map(provision, batch))


if __name__ == "__main__":
    asyncio.run(main())
