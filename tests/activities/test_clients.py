"""What every call to AWS carries."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from activities.aws import AwsClients


def test_calls_name_us_to_the_customers_cloudtrail(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "for-this-test")
    sent: list[Any] = []

    def answer(request: Any, **_: Any) -> Any:
        sent.append(request)
        return AWSResponse(request.url, 200, HTTPHeaders(), SimpleNamespace(stream=lambda: iter(())))

    moment = timedelta(seconds=1)
    s3 = AwsClients.from_settings(connect_timeout=moment, read_timeout=moment, connections=1).s3("eu-central-1")
    s3.meta.events.register("before-send.s3", answer)
    s3.head_bucket(Bucket="one")

    agent = sent[0].headers["User-Agent"].decode()
    assert [part.partition("/")[0] for part in agent.split()] == ["byok", "Boto3", "Botocore"]
