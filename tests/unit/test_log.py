"""Logs are one stream of JSON lines, ours and others', and no secret gets into it."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from byok.log import configure_logging, hide_secrets
from byok.settings import Settings


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What is logged from here on; the test run's own logging is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    configure_logging(Settings())
    yield capsys
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_every_line_is_json_whoever_writes_it(lines: pytest.CaptureFixture[str]) -> None:
    structlog.get_logger("byok").info("bucket_made", bucket="b")
    logging.getLogger("botocore").warning("retry %s", 2)

    ours, botos = map(json.loads, lines.readouterr().err.splitlines())

    assert (ours["event"], ours["bucket"], ours["level"]) == ("bucket_made", "b", "info")
    assert (botos["event"], botos["logger"], botos["level"]) == ("retry 2", "botocore", "warning")
    assert ours["timestamp"].endswith("Z")


def test_bound_workflow_is_on_every_line(lines: pytest.CaptureFixture[str]) -> None:
    with structlog.contextvars.bound_contextvars(workflow_id="environment/acme", attempt=2):
        logging.getLogger("urllib3").warning("slow")

    line = json.loads(lines.readouterr().err)

    assert (line["workflow_id"], line["attempt"]) == ("environment/acme", 2)


@pytest.mark.parametrize(
    "name", ["password", "MasterUserPassword", "aws_secret_access_key", "api_key", "Authorization"]
)
def test_field_that_sounds_like_a_secret_is_hidden(name: str) -> None:
    assert hide_secrets(None, "info", {name: "x", "bucket": "b"}) == {name: "[hidden]", "bucket": "b"}
