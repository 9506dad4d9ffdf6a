"""The log is a single stream of JSON lines, which includes the messages of other libraries and contains no secrets."""

import json
import subprocess
import sys
from typing import Any

import pytest

from byok.log import hide_secrets

SPEAK = """
import logging, structlog
from byok.log import configure_logging
from byok.settings import Settings

configure_logging(Settings())
structlog.get_logger("byok").info("bucket_made", bucket="b", master_password="hunter2")
with structlog.contextvars.bound_contextvars(workflow_id="environment/acme", attempt=2):
    logging.getLogger("botocore").warning("retry %s", 2)
"""


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    """The log lines of a separate process, because the test process already has a logging configuration."""
    finished = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, timeout=60, check=True)
    return [json.loads(line) for line in finished.stderr.splitlines()]


def test_every_line_is_json(lines: list[dict[str, Any]]) -> None:
    ours, botos = lines
    assert (ours["event"], ours["bucket"], ours["level"]) == ("bucket_made", "b", "info")
    assert (botos["event"], botos["logger"], botos["level"]) == ("retry 2", "botocore", "warning")
    assert ours["timestamp"].endswith("Z")


def test_bound_workflow_is_on_every_line(lines: list[dict[str, Any]]) -> None:
    assert (lines[1]["workflow_id"], lines[1]["attempt"]) == ("environment/acme", 2)


def test_secret_is_hidden(lines: list[dict[str, Any]]) -> None:
    assert lines[0]["master_password"] == "[hidden]"


@pytest.mark.parametrize(
    "name", ["password", "MasterUserPassword", "aws_secret_access_key", "api_key", "Authorization"]
)
def test_field_named_like_a_secret_is_hidden(name: str) -> None:
    assert hide_secrets(None, "info", {name: "x", "bucket": "b"}) == {name: "[hidden]", "bucket": "b"}
