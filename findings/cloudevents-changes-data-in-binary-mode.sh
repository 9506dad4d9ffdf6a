#!/usr/bin/env bash
# Finding: the Python SDK for CloudEvents does not write JSON data as JSON in binary mode unless the data is an object.
# If a program receives an event in structured mode and forwards it in binary mode, the event's data changes.
#
# Versions: cloudevents 2.2.0. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: events in structured mode whose datacontenttype is application/json and whose data is any JSON value.
#   data         body of the forwarded event    what the same SDK reads from the forwarded event
#   ["a", 1]     ['a', 1]                       the string "['a', 1]"
#   true         True                           the string "True"
#   "12"         12                             the number 12
#   "true"       true                           the boolean true
#   {"a": 1}     {"a": 1}                       {"a": 1}
# An extension attribute with the value true becomes the header ce-sampled: True.
# cloudevents.v1, the old API in the same package, forwards all five values unchanged.
#
# Expected: the JSON text of the data, and ce-sampled: true. The content type of the forwarded event is still
# application/json, but the first two bodies are not JSON, and the next two are the JSON text of another value.
# CloudEvents 1.0 encodes booleans as true and false. Issue 291 of sdk-python reports Python syntax in the body only for
# objects whose content type is not JSON.
#
# Affected: gateways, and producers that pass a list, a string or a boolean as data: nothing fails until a receiver
# parses the body, and a string of digits arrives as a number. Structured mode keeps all values.
# Exits with 0 while the SDK behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check cloudevents==2.2.0 2> /dev/null

cat > forward.py << 'PYTHON'
import json

from cloudevents.core.bindings.http import HTTPMessage, from_http_event, to_binary_event
from cloudevents.v1.conversion import to_binary as old_to_binary
from cloudevents.v1.http import from_http as old_from_http

STRUCTURED = {"content-type": "application/cloudevents+json"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "datacontenttype": "application/json"}
FORWARDED = [
    (["a", 1], b"['a', 1]", "['a', 1]"),
    (True, b"True", "True"),
    ("12", b"12", 12),
    ("true", b"true", True),
    ({"a": 1}, b'{"a": 1}', {"a": 1}),
]

as_described = True
for data, body, read in FORWARDED:
    received = json.dumps(EVENT | {"sampled": True, "data": data}).encode()
    forwarded = to_binary_event(from_http_event(HTTPMessage(STRUCTURED, received)))
    seen = from_http_event(forwarded).get_data()
    headers = forwarded.headers["content-type"], forwarded.headers["ce-sampled"]
    _, old_body = old_to_binary(old_from_http(STRUCTURED, received))
    print(f"{json.dumps(data):9} -> {forwarded.body.decode():9} {headers}, read as {seen!r}; v1: {old_body.decode()}")
    as_described &= (forwarded.body, seen, type(seen)) == (body, read, type(read))
    as_described &= headers == ("application/json", "True") and json.loads(old_body) == data
raise SystemExit(0 if as_described else 1)
PYTHON
tools/bin/python -W ignore forward.py
