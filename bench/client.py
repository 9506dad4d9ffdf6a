"""`python -m bench.client`: create environments through `EnvironmentService` and print a `RunResult` as JSON."""

import argparse
import asyncio
import os
import sys
import time

from bench.request_generator import RequestGenerator
from bench.runs import RunTimer
from byok.service.connection import connect_service


async def main() -> None:
    """Create one environment as a warm-up, then the requested number of environments."""
    asking, chosen = RequestGenerator.from_arguments(argparse.ArgumentParser(description=__doc__))
    service = await connect_service()

    async def make() -> tuple[str, float]:
        request = asking.next_request("bench")
        began = time.perf_counter()
        created = await service.create(request)
        await service.client.get_workflow_handle(created.workflow_id, run_id=created.run_id).result()
        return request.environment_id, time.perf_counter() - began

    await make()
    turn = asyncio.Semaphore(chosen.concurrency)

    async def in_turn() -> tuple[str, float]:
        async with turn:
            return await make()

    clock = RunTimer()
    made = await asyncio.gather(*(in_turn() for _ in range(chosen.environments)))
    print(clock.finish([seconds for _, seconds in made], [name for name, _ in made]).model_dump_json())


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
    os._exit(0)  # skip the interpreter's shutdown, which the SDK's native threads can abort
