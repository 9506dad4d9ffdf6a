"""Signing out ends a session on the server, and the cookie's name and attributes match the public URL.

The session ends in all processes that share a session directory.
"""

import asyncio
import os
import time
from http.cookies import SimpleCookie
from pathlib import Path
from typing import cast

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from byok.api.authentication import Caller
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.domain.phases import Phase
from byok.domain.scopes import Scope
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService
from byok.service.errors import TemporalUnreachableError
from byok.service.status import EnvironmentStatus, EnvironmentSummary
from byok.wizard import ended_sessions
from byok.wizard.ended_sessions import EndedSessions
from byok.wizard.sessions import COOKIE_NAME, LIFETIME_SECONDS, SECURE_COOKIE_NAME, Session, SessionCookies
from tests.api.test_access import TOKEN, build_static_auth
from tests.api.test_server import NeverReadyService, run_server
from tests.wizard.conftest import Browser, Open
from tests.wizard.test_visits import ALL, sign_in
from tests.workflows.fake_activities import PLATFORM

SECRET = "a-secret-of-more-than-thirty-two-characters"
ACCESS = build_static_auth("acme", *ALL)


def send_cookie(cookie: str, name: str = COOKIE_NAME) -> Request:
    """Build a request with a session's cookie."""
    headers = [(b"host", b"localhost"), (b"cookie", f"{name}={cookie}".encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": headers})


def copy_cookie(sessions: SessionCookies, session: Session) -> str:
    """Return the value of a session's cookie."""
    response = Response()
    sessions.set_cookie(send_cookie(""), response, session)
    return SimpleCookie(response.headers["set-cookie"])[COOKIE_NAME].value


def build_sessions(directory: Path | None = None) -> SessionCookies:
    """Build the `SessionCookies` object of one server process."""
    return SessionCookies(SECRET, anonymous=False, ended=EndedSessions(directory))


def start_session(sessions: SessionCookies) -> Session:
    return sessions.start_session(Caller("acme", frozenset(Scope), subject="ada", token_id="4711"))


async def test_stolen_cookie_is_useless_after_sign_out(visit: Open) -> None:
    browser: Browser = await sign_in(visit)
    stolen = browser.http.cookies[COOKIE_NAME]
    await browser.submit_form("/sign-out", {})
    assert browser.page.url.path == "/sign-in"
    assert COOKIE_NAME not in browser.http.cookies

    browser.http.cookies.set(COOKIE_NAME, stolen)
    for path in ("/environments", "/new", "/environments/acme-prod", "/environments/acme-prod/changes"):
        await browser.open_page(path)
        assert browser.page.url.path == "/sign-in", path
    browser.http.cookies.set(COOKIE_NAME, stolen)
    assert (await browser.http.post("/new/review", data={"name": "prod"})).headers["location"].startswith("/sign-in")


async def test_sign_out_ends_no_other_session(visit: Open) -> None:
    browser: Browser = await sign_in(visit)
    await browser.submit_form("/sign-out", {})
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": "/environments"})
    assert browser.page.url.path == "/environments"


class ChangingService(NeverReadyService):
    """An `EnvironmentService` whose only environment is in the phase that the test sets."""

    phase = Phase.AWAITING_DATABASE

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        return (await super().read_status(environment_id)).model_copy(update={"phase": self.phase})


async def test_open_stream_sends_nothing_after_sign_out(journal: AuditJournal) -> None:
    service = ChangingService()

    async def connect() -> EnvironmentService:
        return cast(EnvironmentService, service)

    state = ApiState(ACCESS, PLATFORM.role_arn, VendorProfile(), PLATFORM.regions, connect, SECRET, 500, journal)
    async with asyncio.timeout(20), run_server(state, ApiSettings(tokens=ACCESS.tokens)) as http:
        await http.post("/sign-in", data={"token": TOKEN, "next": "/new"})
        form_token = Browser(http, await http.get("/new")).form_token
        async with http.stream("GET", "/environments/acme-prod/changes") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: change"
            await http.post("/sign-out", data={"form_token": form_token})
            service.phase = Phase.VERIFYING
            rest = [line async for line in lines]
    assert not any(Phase.VERIFYING in line for line in rest)


def test_session_keeps_who_the_caller_is() -> None:
    sessions = build_sessions()
    session = start_session(sessions)
    found = sessions.load(send_cookie(copy_cookie(sessions, session)))
    assert found == session
    assert (session.caller.subject, session.caller.token_id) == ("ada", "4711")


def test_sign_out_in_one_process_ends_the_session_in_all_that_share_the_directory(tmp_path: Path) -> None:
    one, other, alone = build_sessions(tmp_path), build_sessions(tmp_path), build_sessions()
    ended, kept = start_session(one), start_session(one)
    cookies = [send_cookie(copy_cookie(one, session)) for session in (ended, kept)]

    one.end_session(ended)

    restarted = build_sessions(tmp_path)
    for process in (one, other, restarted):
        assert [process.load(cookie) for cookie in cookies] == [None, kept]
    assert alone.load(cookies[0]) == ended, "without the directory, only the process that handled the sign-out knows"


def test_file_of_an_ended_session_reveals_nothing_and_is_removed_once_the_session_has_expired(tmp_path: Path) -> None:
    sessions = build_sessions(tmp_path)
    first, second = start_session(sessions), start_session(sessions)
    sessions.end_session(first)
    (file,) = tmp_path.iterdir()
    assert (first.id in file.name, file.stat().st_size, file.stat().st_mode & 0o777) == (False, 0, 0o600)
    assert file.stat().st_mtime == pytest.approx(first.caller.until, abs=1)

    os.utime(file, (time.time() - 1,) * 2)
    sessions.end_session(second)

    assert file not in list(tmp_path.iterdir())
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_directory_lets_nobody_in(tmp_path: Path) -> None:
    sessions = build_sessions(tmp_path / "gone")
    cookie = send_cookie(copy_cookie(sessions, start_session(sessions)))
    with pytest.raises(NotADirectoryError, match="BYOK_API__SESSION_DIRECTORY"):
        sessions.load(cookie)


def test_too_many_ended_sessions_end_all_sessions_rather_than_revive_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_sessions, "MAX_ENDED_SESSIONS", 2)
    sessions = build_sessions()
    ended, others = start_session(sessions), [start_session(sessions) for _ in range(3)]
    for session in (ended, *others[:2]):
        sessions.end_session(session)
    for session in (ended, *others):
        assert sessions.load(send_cookie(copy_cookie(sessions, session))) is None
    later = start_session(sessions)
    assert sessions.load(send_cookie(copy_cookie(sessions, later))) == later


def test_expired_sessions_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_sessions, "MAX_ENDED_SESSIONS", 2)
    ended = EndedSessions()
    for number in range(5):
        ended.add(f"expired-{number}", time.time() - 1)
    assert not ended.contains("another", time.time() - LIFETIME_SECONDS)


async def test_cookie_of_an_https_server_belongs_to_its_host_alone(visit: Open) -> None:
    settings = ApiSettings(public_url="https://byok.example.com", tokens=ACCESS.tokens)
    browser: Browser = await visit(ACCESS, settings)
    browser.http.base_url = httpx.URL("https://byok.example.com")
    answer = await browser.http.post("/sign-in", data={"token": TOKEN, "next": "/new"})
    name, _, attributes = answer.headers["set-cookie"].partition("=")
    assert name == SECURE_COOKIE_NAME == "__Host-byok_session"
    parts = {part.strip().lower() for part in attributes.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax"} <= parts
    assert not any(part.startswith("domain") for part in parts)

    await browser.open_page("/new")
    assert browser.page.url.path == "/new"
    signed_out = await browser.http.post("/sign-out", data={"form_token": browser.form_token})
    assert "secure" in signed_out.headers["set-cookie"].lower(), "browsers ignore the deletion without Secure"
    assert SECURE_COOKIE_NAME not in browser.http.cookies


async def test_plain_cookie_is_not_accepted_by_https(visit: Open) -> None:
    settings = ApiSettings(public_url="https://byok.example.com", tokens=ACCESS.tokens)
    browser: Browser = await visit(ACCESS, settings)
    browser.http.base_url = httpx.URL("https://byok.example.com")
    await browser.http.post("/sign-in", data={"token": TOKEN, "next": "/new"})
    cookie = browser.http.cookies[SECURE_COOKIE_NAME]
    browser.http.cookies.clear()
    browser.http.cookies.set(COOKIE_NAME, cookie)
    await browser.open_page("/new")
    assert browser.page.url.path == "/sign-in"


async def test_page_says_when_to_try_again_if_temporal_is_silent(visit: Open, service: EnvironmentService) -> None:
    class Silent(EnvironmentService):
        async def list_environments_page(self, **_: object) -> tuple[list[EnvironmentSummary], bytes | None]:
            raise TemporalUnreachableError("Cannot reach the Temporal server: no answer within 1.5 s")

    browser: Browser = await visit(door=Silent(service.client))
    answer = await browser.open_page("/environments")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
