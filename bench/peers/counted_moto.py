"""`python -m bench.peers.counted_moto`: run moto's server on a free port, and count the calls.

The first line of the program's output is the port. `GET /_calls` returns the number of calls by AWS service. The server
runs until the process is terminated.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from bench.peers.driver import HOST

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

COUNT_PATH = "/_calls"


class CallCounter:
    """WSGI middleware that counts the requests to an application, by the AWS service in each request's signature."""

    def __init__(self, application: "WSGIApplication") -> None:
        self._application = application
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] == COUNT_PATH:
            start_response("200 OK", [("Content-Type", "application/json")])
            with self._lock:
                return [json.dumps(self._calls).encode()]
        service = parse_service(environ.get("HTTP_AUTHORIZATION", ""))
        with self._lock:
            self._calls[service] += 1
        return self._application(environ, start_response)


def parse_service(authorization: str) -> str:
    """Return the service in the credential scope: `…Credential=ID/20260101/eu-central-1/kms/aws4_request, …`."""
    scope = authorization.partition("Credential=")[2].partition(",")[0].split("/")
    return scope[3] if len(scope) == 5 else "unsigned"


def main() -> None:
    """Serve."""
    application = CallCounter(DomainDispatcherApplication(create_backend_app))
    server = make_server(HOST, 0, application, threaded=True, request_handler=MotoRequestHandler)
    os.environ["MOTO_PORT"] = str(server.server_port)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
