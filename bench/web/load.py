"""`python -m bench.web.load`: run concurrent HTTP clients in a separate process, and print the latencies in seconds.

The program reads a `LoadSpec` as JSON from standard input. Each client has its own connection and sends one request
after another. The clients write and read raw bytes, because a client library would use more CPU than the server and
distort the measurement.
"""

import asyncio
import json
import sys
import time
from collections.abc import Sequence

from pydantic import BaseModel


class LoadSpec(BaseModel):
    """The load to send.

    Attributes:
        requests: The requests of each client, in order: method, path and body.
        headers: Headers of every request, for example one that identifies the user.
        expected: The HTTP status that every response must have.
    """

    port: int
    requests: list[list[tuple[str, str, str]]]
    headers: dict[str, str]
    expected: int


async def run_client(load: LoadSpec, requests: Sequence[tuple[str, str, str]]) -> list[float]:
    """Send one client's requests in order, and return each request's latency in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    latencies = []
    extra = "".join(f"{name}: {value}\r\n" for name, value in load.headers.items())
    for method, path, body in requests:
        content = body.encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{load.port}\r\n{extra}"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in answer.split(b"\r\n")[1:] if line)
        said = await reader.readexactly(int(fields[b"content-length"]))
        latencies.append(time.perf_counter() - began)
        status = int(answer.split(b" ", 2)[1])
        if status != load.expected:
            raise RuntimeError(f"{method} {path}: {status} {said.decode()}")
    writer.close()
    return latencies


async def main() -> None:
    """Run all clients at the same time, and print the latencies."""
    load = LoadSpec.model_validate_json(sys.stdin.read())
    found = await asyncio.gather(*(run_client(load, requests) for requests in load.requests))
    print(json.dumps([latency for one in found for latency in one]))


if __name__ == "__main__":
    asyncio.run(main())
