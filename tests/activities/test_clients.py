"""The headers that byok sends with every call to AWS."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from activities.clients import AwsClients, build_client_config


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests from the `s3` fixture's client, which gets empty responses without any network traffic."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-this-test")
    return []


@pytest.fixture
def s3(sent: list[Any]) -> Any:
    def answer(request: Any, **_: Any) -> Any:
        sent.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: iter(())))

    moment = timedelta(seconds=1)
    config = build_client_config(connect_timeout=moment, read_timeout=moment, connections=1)
    client = AwsClients(boto3.Session(), config, "111122223333").s3("eu-central-1")
    client.meta.events.register("before-send.s3", answer)
    return client


def test_user_agent_identifies_byok_in_the_customers_cloudtrail(s3: Any, sent: list[Any]) -> None:
    s3.head_bucket(Bucket="one")

    agent = sent[0].headers["User-Agent"].decode()
    assert [part.partition("/")[0] for part in agent.split()] == ["byok", "Boto3", "Botocore"]
