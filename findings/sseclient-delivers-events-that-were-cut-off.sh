#!/usr/bin/env bash
# Finding: if a stream of server-sent events ends in the middle of an event, sseclient-py delivers the part that has
# arrived as if it were the whole event, with the event's id. A client that resumes after this id never gets the rest.
#
# Versions: sseclient-py 1.9.0 with requests 2.34.2; httpx-sse 0.4.3 with httpx 0.28.1. Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: a response without a length, which ends when the server closes the connection. It ends after the first two of
# four lines of event 8. The client reconnects with the last id that it knows, and the server sends the later events.
# sseclient-py  7 "ready", 8 "keys lost by:\nacme-1"                      then, after Last-Event-ID: 8,  9 "done"
# httpx-sse     7 "ready"    after Last-Event-ID: 7,  8 "keys lost by:\nacme-1\nacme-2\nacme-3"  and  9 "done"
#
# Expected: the same events as from httpx-sse. The HTML standard says that an incomplete event at the end of a stream is
# discarded, which is why a client can resume after the last event that it has received. We found no issue about this.
#
# Affected: clients whose server or proxy ends a response by closing the connection, as HTTP/1.0 does. If the data has
# several lines, as above, nothing shows that the event was cut off. If the data is JSON, it cannot be parsed, and the
# event is lost as well. If the connection breaks during a chunked response, requests raises an error instead.
# Exits with 0 while sseclient-py behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check sseclient-py==1.9.0 requests==2.34.2 httpx-sse==0.4.3 \
  httpx==0.28.1 2> /dev/null

cat > resume.py << 'PYTHON'
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import httpx_sse
import requests
import sseclient

EVENTS = [
    b"id: 7\ndata: ready\n\n",
    b"id: 8\ndata: keys lost by:\ndata: acme-1\ndata: acme-2\ndata: acme-3\n\n",
    b"id: 9\ndata: done\n\n",
]
CUT = b"id: 8\ndata: keys lost by:\ndata: acme-1\n"


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        last_id = self.headers["Last-Event-ID"]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if not last_id:
            self.wfile.write(EVENTS[0] + CUT)  # the server stops here
        else:
            self.wfile.write(b"".join(EVENTS[int(last_id) - 6 :]))

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def read_with_sseclient(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    with requests.Session() as session:
        session.trust_env = False
        for event in sseclient.SSEClient(session.get(url, headers=headers, stream=True, timeout=10)).events():
            yield event.id, event.data


def read_with_httpx_sse(url: str, headers: dict[str, str]) -> Iterator[tuple[str, str]]:
    with httpx.Client(trust_env=False) as client, httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
        for event in source.iter_sse():
            yield event.id, event.data


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
received = {}
for read in (read_with_sseclient, read_with_httpx_sse):
    events = list(read(url, {}))
    events += read(url, {"Last-Event-ID": events[-1][0]})
    received[read] = events
    print(read.__name__, events)
server.shutdown()

whole = "keys lost by:\nacme-1\nacme-2\nacme-3"
as_described = received == {
    read_with_sseclient: [("7", "ready"), ("8", "keys lost by:\nacme-1"), ("9", "done")],
    read_with_httpx_sse: [("7", "ready"), ("8", whole), ("9", "done")],
}
raise SystemExit(0 if as_described else 1)
PYTHON
tools/bin/python resume.py
