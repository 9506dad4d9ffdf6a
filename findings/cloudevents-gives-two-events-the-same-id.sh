#!/usr/bin/env bash
# Finding: the Python SDK for CloudEvents writes the generated id and time into the caller's dictionary. All events that
# a program makes from one dictionary have the same id, so a receiver that drops duplicates keeps only the first event.
#
# Versions: cloudevents 2.2.0. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: a dictionary with a type and a source, from which a program makes three events, each with its own data.
# cloudevents.core, constant dictionary            one id; a receiver that ignores known ids keeps event 0 of 0, 1, 2
# cloudevents.core, a new subject for each event   one id, and all three events have the subject of the last event
# cloudevents.v1, the old API in the same package  three ids; the receiver keeps 0, 1, 2
#
# Expected: three ids. According to the SDK's migration guide, version 2 generates ids as version 1 did, and its events
# are immutable after construction. CloudEvents 1.0 requires that no two events have the same source and id, and lets
# receivers treat such events as duplicates. We found no issue about this.
#
# Affected: producers that keep the attributes that never change in a constant, above all after an upgrade from
# version 1. Every event but the first is lost without an error. CloudEvent(dict(attributes), data) avoids this.
# Exits with 0 while the SDK behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 2> /dev/null

cat > ids.py << 'PYTHON'
import json

from cloudevents.core.bindings.http import to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_structured
from cloudevents.v1.http import CloudEvent as OldCloudEvent


def receive(bodies: list[bytes]) -> list[int]:
    seen, kept = set(), []
    for body in bodies:
        event = json.loads(body)
        if (event["source"], event["id"]) not in seen:
            seen.add((event["source"], event["id"]))
            kept.append(event["data"]["number"])
    return kept


def report(name: str, bodies: list[bytes]) -> tuple[int, list[int], list[str]]:
    events = [json.loads(body) for body in bodies]
    ids, subjects = len({event["id"] for event in events}), [event.get("subject", "") for event in events]
    kept = receive(bodies)
    print(f"{name}: {ids} id(s), subjects {subjects}, the receiver keeps {kept}")
    return ids, kept, subjects


attributes = {"type": "com.example.key.checked", "source": "/checks"}
events = [CloudEvent(attributes, {"number": number}) for number in range(3)]
new = report("core, constant dictionary", [to_structured_event(event).body for event in events])

attributes = {"type": "com.example.key.checked", "source": "/checks"}
events = []
for number in range(3):
    attributes["subject"] = f"key-{number}"
    events.append(CloudEvent(attributes, {"number": number}))
renamed = report("core, a new subject for each event", [to_structured_event(event).body for event in events])

attributes = {"type": "com.example.key.checked", "source": "/checks"}
old_events = [OldCloudEvent(attributes, {"number": number}) for number in range(3)]
old = report("v1, constant dictionary", [to_structured(event)[1] for event in old_events])

seen = [new, renamed, old]
expected = [(1, [0], [""] * 3), (1, [0], ["key-2"] * 3), (3, [0, 1, 2], [""] * 3)]
raise SystemExit(0 if seen == expected else 1)
PYTHON
tools/bin/python -W ignore ids.py
