"""Create an environment through byok's HTTP API, wait until the environment is READY, and handle errors by their code.

    pip install httpx
    export BYOK_URL=http://127.0.0.1:8000 BYOK_TOKEN=…    # no token for `byok up`
    python examples/client.py acme eu-central-1 "$S3_KEY_ARN" "$RDS_KEY_ARN"

The exit code is 0 if the environment is ready, 3 if it stopped because of a customer's key, and 1 otherwise.
"""

import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

RETRIED = {429, 503}
"""The HTTP statuses after which a retry can succeed. The header Retry-After contains the time to wait."""


class ByokError(Exception):
    """A request was refused, or an environment stopped (RFC 9457).

    Base decisions on `code`, which is part of the API. Show `message` and `help_url` to the user. `key` is `s3` or
    `rds` if a customer's key is the cause.
    """

    def __init__(self, code: str, message: str, help_url: str, key: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.help_url, self.key = code, message, help_url, key


class Client:
    """The part of the API that a portal needs to create environments."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=30)

    def create(self, name: str, region: str, s3_key_arn: str, rds_key_arn: str) -> None:
        """Request an environment. Repeating the request is safe: it never creates a second environment."""
        request = {"environment_id": name, "region": region, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        self._send("POST", "/v1/environments", json=request, headers={"Idempotency-Key": str(uuid.uuid4())})

    def watch(self, name: str, pause_seconds: float = 1) -> Iterator[Mapping[str, Any]]:
        """Yield the environment's status whenever the phase has changed, until the phase is final."""
        last = None
        while last not in {"READY", "STOPPED", "DELETED"}:
            status = self._send("GET", f"/v1/environments/{name}")
            if status["phase"] != last:
                yield status
            else:
                time.sleep(pause_seconds)
            last = status["phase"]

    def _send(self, method: str, path: str, **options: Any) -> Mapping[str, Any]:
        for attempt in range(5):
            response = self._http.request(method, path, **options)
            if response.status_code not in RETRIED or attempt == 4:
                break
            time.sleep(float(response.headers.get("Retry-After", 1)))
        answer: Mapping[str, Any] = response.json()
        if response.is_error:
            raise ByokError(answer["code"], answer["detail"], answer["type"])
        return answer


def create_and_wait(client: Client, name: str, region: str, s3_key_arn: str, rds_key_arn: str) -> None:
    """Create an environment and wait until it is ready.

    Raises:
        ByokError: The request was refused, or the environment stopped.
    """
    client.create(name, region, s3_key_arn, rds_key_arn)
    for status in client.watch(name):
        print(f"{name}: {status['phase']}", flush=True)
        if status["phase"] == "STOPPED":
            why = status["problem"]
            raise ByokError(why["code"], why["message"], why.get("help_url", ""), why["key"])


def main(arguments: list[str]) -> int:
    """Create an environment. If this fails, print the reason and the next step."""
    client = Client(os.environ.get("BYOK_URL", "http://127.0.0.1:8000"), os.environ.get("BYOK_TOKEN"))
    try:
        create_and_wait(client, *arguments)
    except ByokError as problem:
        print(f"{problem}\n{problem.help_url}", file=sys.stderr)
        if problem.code == "byok.EnvironmentConflict":
            print("Choose another name, or request the environment with the same values.", file=sys.stderr)
        if problem.key is not None:
            print(f"The customer must fix the {problem.key} key. Then replay the environment.", file=sys.stderr)
            return 3
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
