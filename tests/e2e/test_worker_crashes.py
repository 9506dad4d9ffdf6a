"""If a worker is killed or defective, another worker continues the workflows."""

import asyncio
import os
import re
import sys
import time
from pathlib import Path

from byok.contracts import environment_workflow_id
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from tests.e2e.conftest import StackHarness
from tests.e2e.test_replay import list_writes, wait_until, wait_until_call_held

OTHER_WORKER = 15.0
"""The number of seconds within which another worker must take over a killed worker's workflows and activities."""


async def restore_single_worker(machine: StackHarness) -> None:
    """Replace all workers of the stack with a single new worker."""
    for name in [name for name in machine.stack.children if name.startswith("worker")]:
        await machine.stack.children.pop(name).kill()
    await machine.stack.start_worker()


async def test_another_worker_continues_after_one_is_killed(machine: StackHarness) -> None:
    request = machine.build_request()
    where = {"service": "s3", "operation": "PutBucketPolicy", "about": f"-{request.environment_id}-catalog-"}
    try:
        await machine.stack.start_worker("worker-2")
        machine.aws.call_control("POST", "faults", kind="hold_call", **where)
        await machine.service.create(request)
        await wait_until_call_held(machine)
        handle = machine.service.client.get_workflow_handle(environment_workflow_id(request.environment_id))
        pending = (await handle.describe()).raw_description.pending_activities
        (holder,) = {item.last_worker_identity for item in pending if item.activity_type.name == "ensure_bucket"}
        children = machine.stack.children
        (killed,) = [one for name, one in children.items() if holder.startswith(f"{one.pid}@") and "worker" in name]
        assert ("PutBucketPolicy", "catalog") not in list_operations_and_bucket_purposes(machine, request)

        began = time.monotonic()
        await killed.kill()
        machine.aws.call_control("DELETE", "held")
        await wait_until(
            lambda: ("PutBucketPolicy", "catalog") in list_operations_and_bucket_purposes(machine, request)
        )

        assert time.monotonic() - began < OTHER_WORKER
        assert (await machine.wait_until_ended(request.environment_id)).phase is Phase.READY
        done = list_writes(machine, request)
        assert len(done) == len(set(done)), "a write was repeated"
    finally:
        await restore_single_worker(machine)


def list_operations_and_bucket_purposes(machine: StackHarness, request: ProvisionRequest) -> set[tuple[str, str]]:
    """Return the write operations on buckets that AWS has executed, each with the bucket's purpose."""
    purposes = (
        (done, re.search(r"-(catalog|quality|exports)-", about)) for done, about in list_writes(machine, request)
    )
    return {(done, purpose.group(1)) for done, purpose in purposes if purpose is not None}


BROKEN_WORKER = '''
"""A defective worker: its version of the workflow cannot make progress."""
import asyncio
import os
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn(name="ProvisionEnvironment")
class Broken:
    @workflow.run
    async def run(self, request: Any) -> Any:
        raise RuntimeError("the plan of buckets has no purpose 'exports'")


async def main() -> None:
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    await Worker(client, task_queue="byok", workflows=[Broken], workflow_runner=UnsandboxedWorkflowRunner()).run()


asyncio.run(main())
'''


async def test_defective_worker_is_reported_with_the_cause_and_another_one_continues(
    machine: StackHarness, tmp_path: Path
) -> None:
    request = machine.build_request()
    (tmp_path / "broken_worker.py").write_text(BROKEN_WORKER)
    await machine.stack.children.pop("worker").kill()
    broken = await asyncio.create_subprocess_exec(
        sys.executable, str(tmp_path / "broken_worker.py"), env={**os.environ, **machine.stack.environment},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await machine.service.create(request)

        async def told() -> str:
            while True:
                shown = (await machine.run_program("byok", "status", request.environment_id)).out
                if "cannot make progress" in shown:
                    return shown

        shown = await asyncio.wait_for(told(), 30)

        assert "the worker cannot make progress, attempt " in shown
        assert "the plan of buckets has no purpose 'exports'" in shown
    finally:
        broken.kill()
        await broken.wait()
        await machine.stack.start_worker()
    assert (await machine.wait_until_ended(request.environment_id)).phase is Phase.READY
