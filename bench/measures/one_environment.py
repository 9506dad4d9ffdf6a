"""(a) Wall time and CPU time for one environment, warm and from a cold start, relative to a bare boto3 script.

The local AWS emulator responds within milliseconds, and databases are available immediately.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bench.machine import ROOT, ProcessUsage, pin_to_one_core, run_client, write_blueprint
from bench.request_generator import REGION
from bench.runs import RunResult
from byok.local.env_vars import children_env_vars
from byok.local.ports import Ports
from byok.local.stack import DevStack

BYOK_PATH: Final = str(Path(sys.executable).with_name("byok"))
_DATABASE_SECONDS: Final = 0.0


class OneEnvironmentSeconds(BaseModel):
    """Wall time or CPU time in seconds per environment, by round. Environments are created one at a time.

    Attributes:
        floor: Wall time of the bare boto3 script without threads.
        parallel_floor: Wall time of the bare boto3 script with two threads.
        warm: Wall time of byok, from the request to the result.
        cold: Wall time of the program `byok create --wait`, from start to exit.
        floor_cold: Wall time of the bare boto3 script with two threads, from start to exit, including its imports.
        floor_cpu: CPU time of the bare boto3 script without threads.
        client_cpu: CPU time of byok's client.
        worker_cpu: CPU time of byok's worker.
        temporal_cpu: CPU time of the Temporal server.
    """

    floor: list[float] = []
    parallel_floor: list[float] = []
    warm: list[float] = []
    cold: list[float] = []
    floor_cold: list[float] = []
    floor_cpu: list[float] = []
    client_cpu: list[float] = []
    worker_cpu: list[float] = []
    temporal_cpu: list[float] = []


async def measure(folder: Path, rounds: int, each: int = 5) -> OneEnvironmentSeconds:
    """Measure byok and the bare boto3 script in every round.

    Args:
        folder: The folder for state and logs.
        rounds: Number of rounds.
        each: Number of environments per round, created one after another. The figure for a round is the median over its
            environments.
    """
    found = OneEnvironmentSeconds()
    settings = {
        "BYOK_BLUEPRINT": str(write_blueprint(folder, 2)),
        "BYOK_DATABASE_POLL_SECONDS": "0.01",
        "BYOK_LOG_LEVEL": "WARNING",
    }
    async with DevStack(
        folder / "stack", Ports.pick_free(), worker=False, database_seconds=_DATABASE_SECONDS, settings=settings
    ) as stack:
        with pin_to_one_core():
            await stack.start_worker()
        environment = {**stack.environment, **settings}
        # Warm up, because provisioning the very first environment also creates the bucket for key probes.
        keys = await _keys(stack, folder, "first", 3)
        await run_client(environment, "-m", "bench.client", *keys, "--environments", "2")
        for number in range(rounds):
            for branches in ((), ("--branches",)):
                keys = await _keys(stack, folder, f"floor-{number}-{len(branches)}", each + 1)
                made = await run_client(environment, "-m", "bench.floor", *keys, "--environments", str(each), *branches)
                (found.parallel_floor if branches else found.floor).append(statistics.median(made.each_seconds))
                if not branches:
                    found.floor_cpu.append(made.cpu_seconds_each)
            keys = await _keys(stack, folder, f"warm-{number}", each + 1)
            before = _usage(stack)
            made = await run_client(environment, "-m", "bench.client", *keys, "--environments", str(each))
            _note(found, made, before, _usage(stack), each + 1)
            pair = await asyncio.to_thread(stack.customer.ensure_key_pair, f"cold-{number}")
            arguments = ("--s3-key-arn", pair.s3_key_arn, "--rds-key-arn", pair.rds_key_arn, "--region", REGION)
            found.cold.append(
                await _cold(environment, BYOK_PATH, "create", "--name", f"c-{number}", *arguments, "--wait")
            )
            keys = await _keys(stack, folder, f"floor-cold-{number}", 1)
            floor = (sys.executable, "-m", "bench.floor", *keys, "--environments", "1", "--branches", "--cold")
            found.floor_cold.append(await _cold(environment, *floor))
    return found


def _note(
    found: OneEnvironmentSeconds,
    made: RunResult,
    before: Mapping[str, ProcessUsage],
    after: Mapping[str, ProcessUsage],
    number: int,
) -> None:
    found.warm.append(statistics.median(made.each_seconds))
    found.client_cpu.append(made.cpu_seconds_each)
    found.worker_cpu.append((after["worker"].cpu - before["worker"].cpu) / number)
    found.temporal_cpu.append((after["temporal"].cpu - before["temporal"].cpu) / number)


def _usage(stack: DevStack) -> dict[str, ProcessUsage]:
    return {name: ProcessUsage.of_process(stack.children[name].pid) for name in ("worker", "temporal")}


async def _keys(stack: DevStack, folder: Path, name: str, number: int) -> tuple[str, str]:
    """Create pairs of keys in the local AWS emulator, and return the option that passes them to a program.

    The option's value is the path of a file with the keys' ARNs.
    """
    pairs = [await asyncio.to_thread(stack.customer.ensure_key_pair, f"{name}-{index}") for index in range(number)]
    file = folder / f"{name}.json"
    file.write_text(json.dumps([(pair.s3_key_arn, pair.rds_key_arn) for pair in pairs]))
    return "--keys", str(file)


async def _cold(environment: Mapping[str, str], *command: str) -> float:
    """Return the number of seconds from the start of a program to its exit."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**children_env_vars(environment, {}), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    code = await process.wait()
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with code {code}")
    return time.perf_counter() - began
