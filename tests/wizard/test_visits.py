"""Access to the wizard, and the wizard's resistance to hostile input."""

import re
import time
from html import unescape

import pytest

from byok.api.authentication import AllowAllAuth, Caller
from byok.api_settings import ApiSettings
from byok.domain.phases import Phase
from byok.domain.scopes import Scope
from byok.service.environments import EnvironmentService
from byok.wizard.routes import environments
from byok.wizard.sessions import COOKIE_NAME, LIFETIME_SECONDS, Session, SessionCookies
from tests.api.test_access import TOKEN, build_static_auth
from tests.wizard.conftest import DRAFT, Browser, Open
from tests.workflows.fake_activities import build_provision_request
from tests.workflows.watching import wait_until_ended

ALL = tuple(Scope)
HOSTILE = (
    '"><script>alert(1)</script>',
    "'; DROP TABLE x; --",
    "{{ 7*7 }}",
    "\x00\x07\x1b[31m",
    "%0d%0aSet-Cookie: a=b",
    "../../etc/passwd",
    "[" * 5000,
    '{"S3KmsKeyArn":"\\ud800","RdsKmsKeyArn":"x"}',
    "arn:aws:kms:eu-central-1:444455556666:key/" + "1" * 3000,
)


async def sign_in(visit: Open, organisation: str = "acme", *scopes: str) -> Browser:
    access = build_static_auth(organisation, *(scopes or ALL))
    browser: Browser = await visit(access, ApiSettings(requests_per_minute=100_000, tokens=access.tokens))
    await browser.open_page("/sign-in")
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": "/environments"})
    return browser


async def test_no_page_is_visible_before_sign_in(visit: Open) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    for path in ("/new", "/new/encryption", "/new/review", "/environments", "/environments/acme-prod", "/new/template"):
        await browser.open_page(path)
        assert (browser.page.url.path, "Access token" in browser.text) == ("/sign-in", True), path


async def test_sign_in_returns_to_the_requested_page(visit: Open) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    await browser.open_page("/new/encryption", name="prod", region="eu-central-1")
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": browser.page.url.params["next"]})
    assert browser.page.url.path == "/new/encryption"
    assert browser.page.url.params["name"] == "prod"


@pytest.mark.parametrize(
    "to", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com", "javascript:alert(1)"]
)
async def test_sign_in_never_redirects_to_another_site(visit: Open, to: str) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    answer = await browser.http.post("/sign-in", data={"token": TOKEN, "next": to})
    assert answer.headers["location"] == "/environments"


@pytest.mark.parametrize("cookie", ["", "expired"])
async def test_ended_session_keeps_the_entries(visit: Open, cookie: str) -> None:
    browser = await sign_in(visit)
    await browser.open_page("/new/encryption", **DRAFT)
    token = browser.form_token
    browser.http.cookies.clear()
    browser.http.cookies.set(COOKIE_NAME, cookie)

    await browser.submit_form("/new/encryption", {**DRAFT, "profile": "mine", "do": "next"}, form_token=token)
    assert "your entries are kept" in browser.text
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": browser.page.url.params["next"]})

    assert browser.page.url.path == "/new/encryption"
    for value in (*DRAFT.values(), "mine"):
        assert value in browser.page.text


async def test_form_of_an_ended_session_offers_the_page_with_the_entries(visit: Open) -> None:
    browser = await sign_in(visit)
    await browser.submit_form("/new/encryption", {**DRAFT, "do": "next"}, form_token="of-another-session")
    assert browser.page.status_code == 403
    assert "Open the page again" in browser.text
    assert f"name={DRAFT['name']}" in browser.page.text


async def test_wrong_token_is_reported_and_not_repeated(visit: Open) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    await browser.open_page("/sign-in")
    await browser.submit_form("/sign-in", {"token": "wrong-token", "next": "/"})
    assert browser.page.status_code == 401
    assert "Invalid token." in browser.text
    assert "wrong-token" not in browser.page.text


async def test_cookie_is_restricted_and_contains_no_token(visit: Open) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    answer = await browser.http.post("/sign-in", data={"token": TOKEN, "next": "/"})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert TOKEN not in cookie
    secure = await browser.http.post("https://localhost/sign-in", data={"token": TOKEN, "next": "/"})
    assert "Secure" in secure.headers["set-cookie"]


async def test_forged_or_invalid_cookies_are_rejected(visit: Open) -> None:
    browser: Browser = await visit(build_static_auth("acme", *ALL))
    stranger = SessionCookies("another-secret-of-thirty-two-characters", anonymous=False)
    theirs = Session(Caller(None, frozenset(Scope), time.time() + 60, subject="x"), "x", "id", time.time())
    response = type("Response", (), {"set_cookie": lambda self, *given, **_: setattr(self, "given", given)})()
    stranger.set_cookie(type("Request", (), {"url": browser.http.base_url})(), response, theirs)
    for cookie in (response.given[1], "nonsense", ""):
        browser.http.cookies.set(COOKIE_NAME, cookie)
        await browser.open_page("/environments")
        assert browser.page.url.path == "/sign-in"


def test_session_ends_with_its_token() -> None:
    sessions = SessionCookies("a-secret-of-more-than-thirty-two-characters", anonymous=False)
    kept: dict[str, str] = {}

    class Response:
        def set_cookie(self, name: str, value: str, **_: object) -> None:
            kept[name] = value

    class Request:
        cookies = kept
        url = type("Url", (), {"scheme": "http"})

    for until, good in ((time.time() + 60, True), (time.time() - 1, False), (None, True)):
        session = sessions.start_session(Caller("acme", frozenset(Scope), until, subject="user-1"))
        sessions.set_cookie(Request, Response(), session)  # type: ignore[arg-type]
        assert (sessions.load(Request) == session) is good  # type: ignore[arg-type]


def test_session_ends_after_a_working_day_regardless_of_use() -> None:
    sessions = SessionCookies("a-secret-of-more-than-thirty-two-characters", anonymous=False)
    session = sessions.start_session(Caller("acme", frozenset(Scope), subject="user-1"))
    assert session.caller.until is not None
    assert session.caller.until <= time.time() + LIFETIME_SECONDS


async def test_caller_without_write_scope_cannot_start_the_wizard(visit: Open) -> None:
    browser = await sign_in(visit, "acme", "environments:read")  # contract 4
    for path in ("/new", "/new/encryption", "/new/review"):
        await browser.open_page(path)
        assert browser.page.status_code == 403
        assert "environments:write" in browser.text


async def test_cross_site_forms_are_refused(visit: Open, service: EnvironmentService) -> None:
    for browser in (await sign_in(visit), await visit(AllowAllAuth())):
        for path in ("/new/review", "/new/encryption", "/environments/acme-x", "/sign-out"):
            await browser.open_page("/environments")
            sent = {**DRAFT, "confirmed": "1", "do": "validate"}
            assert (await browser.submit_form(path, sent, form_token="guessed")).status_code == 403
            assert (await browser.submit_form(path, sent, form_token="")).status_code == 403
        origin = {"Origin": "https://evil.example.com"}
        refused = await browser.http.post("/new/review", data={"form_token": browser.form_token}, headers=origin)
        assert (refused.status_code, refused.json()["code"]) == (403, "byok.ForeignOrigin")
        blind = await browser.http.post("/v1/environments/acme-x/cancellation", headers=origin)
        assert blind.status_code == 403


async def test_open_server_answers_only_to_its_own_host_names(browser: Browser) -> None:
    answer = await browser.http.get("/environments", headers={"Host": "evil.example.com"})
    assert answer.status_code == 400


async def test_environment_of_another_organisation_looks_nonexistent(
    visit: Open, service: EnvironmentService, environment_id: str
) -> None:
    theirs = f"globex-{environment_id[-8:]}"
    await service.create(build_provision_request(theirs))
    assert (await wait_until_ended(service, theirs)).phase is Phase.READY
    browser = await sign_in(visit)
    there = await browser.open_page(f"/environments/{theirs}")
    nowhere = await browser.open_page("/environments/globex-nowhere")
    assert there.status_code == nowhere.status_code == 404
    assert there.text.replace(theirs, "globex-nowhere") == nowhere.text
    assert (await browser.submit_form(f"/environments/{theirs}", {}, form_token="x")).status_code in (403, 404)
    assert theirs not in (await browser.open_page("/environments")).text


async def test_new_environment_gets_its_organisations_prefix(visit: Open, service: EnvironmentService) -> None:
    browser = await sign_in(visit)
    name = f"x{time.monotonic_ns()}"[:12]
    await browser.open_page("/new/review", **DRAFT | {"name": name})
    await browser.submit_form("/new/review", {**DRAFT, "name": name, "confirmed": "1"})
    assert browser.page.url.path == f"/environments/acme-{name}"


@pytest.mark.parametrize("text", HOSTILE)
async def test_hostile_input_is_shown_as_text_or_not_at_all(browser: Browser, text: str) -> None:
    for field in ("name", "region", "s3_key_arn", "rds_key_arn", "profile", "stack", "tab", "encryption", "on_failure"):
        for path in ("/new", "/new/encryption", "/new/review"):
            await browser.open_page(path, **{**DRAFT, field: text, "next": "1"})
            assert browser.page.status_code < 500, (path, field)
            assert "<script>alert" not in browser.page.text, (path, field)
            assert ">49<" not in browser.page.text
    await browser.open_page("/new/encryption", **DRAFT)
    for sent in ({"do": text}, {"do": "policy", "policy": text}, {"do": "validate", "s3_key_arn": text}):
        await browser.submit_form("/new/encryption", {**DRAFT, **sent})
        assert browser.page.status_code < 500
        assert "<script>alert" not in browser.page.text


async def test_oversized_requests_are_refused(browser: Browser) -> None:
    await browser.open_page("/new/encryption", **DRAFT)
    large = await browser.http.post("/new/encryption", data={"policy": "x" * 10_000_000})
    many = await browser.http.post("/new/encryption", data={f"f{number}": "x" for number in range(1000)})
    assert large.status_code == 413
    assert many.status_code == 400


async def test_content_security_policy_allows_no_other_origins(browser: Browser) -> None:
    answer = await browser.open_page("/new")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "style=" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/nowhere", "/environments/Bad_Id", "/static/"]
)
async def test_unknown_path_shows_a_not_found_page(browser: Browser, path: str) -> None:
    answer = await browser.open_page(path)
    assert answer.status_code == 404
    assert "Page not found" in browser.text


async def test_list_is_paged(
    browser: Browser, service: EnvironmentService, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "_PAGE", 1)
    for name in ("a", "b"):
        await service.create(build_provision_request(f"{environment_id}-{name}"))
        await wait_until_ended(service, f"{environment_id}-{name}")
    await browser.open_page("/environments")
    for name in ("b", "a"):  # the latest first; other tests created the environments on the later pages
        shown = re.findall(rf"{environment_id}-[ab]", browser.text)
        assert set(shown) == {f"{environment_id}-{name}"}, "each page must show one environment"
        following = re.search(r'href="([^"]+)">Next page', browser.page.text)
        if following is not None:
            await browser.open_page(unescape(following[1]))
    assert "First page" in browser.text

    await browser.open_page("/environments?after=made-up")
    assert browser.page.status_code == 422
