"""The settings of notifications are checked at the start, and no error or log line shows a secret or a URL."""

import json
import logging
import os
from typing import Any

import httpx
import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from byok.log import configure_logging
from byok.settings import Settings, format_settings_error
from tests.webhook_receiver import NEW_SECRET, SECRET

PORTAL = {"name": "portal", "url": "https://portal.example.com/hunter2", "secrets": [NEW_SECRET, SECRET]}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("BYOK_")]:
        monkeypatch.delenv(name)


def test_no_endpoint_and_no_private_address_by_default() -> None:
    assert Settings().notifications.endpoints == ()
    assert not Settings().notifications.allow_private_addresses


def test_endpoints_are_a_json_list_and_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = {**PORTAL, "name": "acme", "organisation": "acme", "types": ["byok.environment.stopped"]}
    monkeypatch.setenv("BYOK_NOTIFICATIONS__ENDPOINTS", json.dumps([PORTAL, stopped]))
    monkeypatch.setenv("BYOK_NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES", "true")

    settings = Settings()

    assert [one.name for one in settings.notifications.endpoints] == ["portal", "acme"]
    assert settings.notifications.endpoints[0].url == PORTAL["url"]
    assert [one.get_secret_value() for one in settings.notifications.endpoints[0].secrets] == [NEW_SECRET, SECRET]
    assert settings.notifications.allow_private_addresses
    for text in (repr(settings), str(settings), repr(settings.notifications), settings.model_dump_json()):
        assert SECRET not in text  # contract 144
        assert NEW_SECRET not in text


@pytest.mark.parametrize(
    ("endpoints", "words"),
    [
        ("portal", "BYOK_NOTIFICATIONS__ENDPOINTS: must be a JSON list, such as ["),
        ("{}", "BYOK_NOTIFICATIONS__ENDPOINTS: must be a JSON list, such as ["),
        ([PORTAL, PORTAL], "BYOK_NOTIFICATIONS__ENDPOINTS: two endpoints have the same name"),
        ([{**PORTAL, "secrets": []}], "BYOK_NOTIFICATIONS__ENDPOINTS__SECRETS: must have at least 1 item"),
        ([{**PORTAL, "secrets": ["hunter2"]}], "BYOK_NOTIFICATIONS__ENDPOINTS__SECRETS: must be whsec_ followed by"),
        ([{**PORTAL, "url": "http://hunter2/"}], "BYOK_NOTIFICATIONS__ENDPOINTS__URL: must be an https:// URL with"),
        (
            [{**PORTAL, "name": "Hunter2 "}],
            "BYOK_NOTIFICATIONS__ENDPOINTS__NAME: must be 1 to 32 lower-case letters, digits",
        ),
        ([{**PORTAL, "types": ["stopped"]}], "BYOK_NOTIFICATIONS__ENDPOINTS__TYPES: must be 'byok.environment"),
        ([{**PORTAL, "typ": []}], "BYOK_NOTIFICATIONS__ENDPOINTS__TYP: no such setting"),
    ],
)
def test_invalid_endpoint_is_named_without_its_values(
    monkeypatch: pytest.MonkeyPatch, endpoints: Any, words: str
) -> None:
    text = endpoints if isinstance(endpoints, str) else json.dumps(endpoints)
    monkeypatch.setenv("BYOK_NOTIFICATIONS__ENDPOINTS", text)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        Settings()
    assert isinstance(caught.value, ValidationError | SettingsError)
    message = format_settings_error(caught.value)
    assert message.startswith(words)
    for secret in ("hunter2", "Hunter2", SECRET, NEW_SECRET):
        assert secret not in message + str(caught.value)  # contract 144


def test_log_contains_no_url_of_a_request(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    monkeypatch.setenv("BYOK_LOG_LEVEL", "DEBUG")
    configure_logging(Settings())

    with httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(204))) as client:
        client.post("https://portal.example.com/hunter2")

    assert "hunter2" not in capfd.readouterr().err
