"""`byok token` prints tokens, and `byok web` and `byok worker` report which setting prevents them from starting."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from byok.api_settings import AccessToken
from byok.domain.scopes import Scope
from byok.local.programs import PROGRAMS_ROOT
from byok.settings import Settings
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "name", "days", "scopes"),
    [
        (["acme"], None, 90, tuple(Scope)),
        (["*", "--name", "support-desk", "--days", "7", "--read-only"], "support-desk", 7, (Scope.READ,)),
    ],
)
def test_token_prints_an_entry_with_name_and_expiry(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str | None, days: int, scopes: tuple[Scope]
) -> None:
    before = datetime.now(UTC)
    token, entry = run("token", *arguments).out.splitlines()
    monkeypatch.setenv("BYOK_API__TOKENS", f"[{entry}]")
    (found,) = Settings().api.tokens
    assert found.sha256 == hashlib.sha256(token.encode()).hexdigest()
    assert found.name == (name or f"acme-{found.sha256[:8]}")
    assert (found.organisation, found.scopes) == (arguments[0], scopes)
    assert found.expires is not None
    assert abs(found.expires - before - timedelta(days=days)) < timedelta(minutes=1)
    assert set(json.loads(entry)) == set(AccessToken.model_fields)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["Acme"], "ORGANISATION: must be up to 16 lower-case letters"),
        (["acme", "--name", "two words"], "--name: must be letters"),
        (["acme", "--days", "0"], "--days"),
        (["acme", "--days", "4000"], "--days"),
    ],
)
def test_token_refuses_what_the_settings_would_refuse(run: Run, arguments: list[str], reason: str) -> None:
    ended = run("token", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert reason in ended.err


@pytest.mark.parametrize(
    ("command", "setting", "code", "told"),
    [
        (["web"], {}, 2, "BYOK_PLATFORM_ROLE_ARN is not set"),
        (["web", "--host", "0.0.0.0"], {}, 2, "BYOK_API__TOKENS"),
        (["worker"], {"BYOK_ACTIVITY_THREADS": "none"}, 1, "BYOK_ACTIVITY_THREADS"),
    ],
)
def test_server_says_which_setting_prevents_its_start(
    command: list[str], setting: dict[str, str], code: int, told: str
) -> None:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("BYOK_", "AWS_"))}
    ended = subprocess.run(
        [sys.executable, "-m", "byok", *command],
        env={**outside, "PYTHONPATH": str(PROGRAMS_ROOT), **setting},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (ended.returncode, ended.stdout) == (code, "")
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr
