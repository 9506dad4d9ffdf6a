"""docs/notifications.md shows an event as byok sends it, and a receiver that works."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from activities.webhooks import REQUEST_TIMEOUT, sign_webhook
from byok.domain.models import AttemptKind, Notification, NotificationData, NotificationType
from byok.domain.notifications import LONGEST_RETRY_PAUSE, WebhookEndpoint, choose_retry_pause, render_event
from byok.domain.phases import Phase
from tests.sentences import ROOT
from tests.webhook_receiver import NEW_SECRET, SECRET

PAGE: Final = (ROOT / "docs" / "notifications.md").read_text()
STOP: Final = Notification(
    id="1de7733e-4e7c-5ac6-9b9d-6d9f7e2a7a55",
    type=NotificationType.STOPPED,
    environment_id="acme-1",
    organisation="acme",
    region="eu-central-1",
    at=datetime(2026, 11, 30, 12, 0, tzinfo=UTC),
    data=NotificationData(
        phase=Phase.STOPPED,
        attempt=AttemptKind.PROVISIONING,
        problem_code="s3.KMS.DisabledException",
        problem_message="The key is disabled.",
    ),
)


def read_block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert isinstance(block, str)
    return block


def test_page_shows_an_event_as_byok_sends_it() -> None:
    assert json.loads(read_block("json")) == json.loads(render_event(STOP))


def test_page_lists_every_type_and_every_field_of_an_endpoint() -> None:
    rows = re.findall(r"^\| `([\w.]+)` \|", PAGE, re.MULTILINE)
    assert rows == [*WebhookEndpoint.model_fields, *NotificationType]


def test_page_names_the_pauses_and_the_timeout() -> None:
    pauses = [choose_retry_pause(attempt, uniform=min) for attempt in range(1, 9)]
    assert pauses[-1] == LONGEST_RETRY_PAUSE
    written = re.findall(r"(\d+) s\b", PAGE.partition("The pauses are ")[2].partition("random")[0])
    assert [timedelta(seconds=int(one)) for one in written] == pauses
    assert f"within {REQUEST_TIMEOUT.seconds} seconds" in PAGE


async def test_receiver_on_the_page_accepts_a_notification_once_and_refuses_forgeries(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BYOK_WEBHOOK_SECRET", SECRET)
    names: dict[str, Any] = {}
    exec(compile(read_block("python"), "docs/notifications.md", "exec"), names)  # the page's own code
    app = names["app"]
    assert isinstance(app, FastAPI)
    endpoint = WebhookEndpoint.model_validate(
        {"name": "portal", "url": "https://receiver.test/webhooks", "secrets": [NEW_SECRET, SECRET]}
    )
    body = render_event(STOP)
    headers = sign_webhook(endpoint.secrets, STOP.id, datetime.now(UTC), body)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://receiver.test") as client:
        accepted = [await client.post("/webhooks", content=body, headers=headers) for _ in range(2)]
        forged = await client.post("/webhooks", content=body.replace("acme", "evil"), headers=headers)
        garbled = await client.post("/webhooks", content=body, headers={**headers, "webhook-signature": "v1"})
        unsigned = await client.post("/webhooks", content=body)

    assert [one.status_code for one in (*accepted, forged, garbled, unsigned)] == [204, 204, 401, 401, 401]
    assert capsys.readouterr().out == "byok.environment.stopped acme-1\n"
