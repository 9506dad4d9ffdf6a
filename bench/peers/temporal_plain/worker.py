"""The worker, which runs activities in one thread per concurrent environment."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import Client
from temporalio.worker import Worker

from bench.peers.driver import CONCURRENCY
from bench.peers.steps import create_clients
from bench.peers.temporal_plain.workflow import ACTIVITIES, TASK_QUEUE, Provision


async def main(address: str) -> None:
    create_clients(os.environ["AWS_DEFAULT_REGION"])
    with ThreadPoolExecutor(CONCURRENCY) as threads:
        worker = Worker(
            await Client.connect(address),
            task_queue=TASK_QUEUE,
            workflows=[Provision],
            activities=ACTIVITIES,
            activity_executor=threads,
        )
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
