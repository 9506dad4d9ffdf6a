"""Users sign in with an identity provider, and a forged or replayed response does not sign in any user."""

import base64
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import jwt
import pytest
from authlib.oauth2.auth import encode_client_secret_basic
from authlib.oauth2.client import OAuth2Client
from cryptography.hazmat.primitives import serialization
from itsdangerous import URLSafeTimedSerializer
from structlog.testing import capture_logs

from byok.api.app import build_authenticator
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome
from byok.wizard import identity_provider, pending_sign_ins
from byok.wizard.sessions import COOKIE_NAME
from tests.api.oidc_issuer import ALL, AUDIENCE, OidcIssuer, generate_private_key
from tests.audit_journal import read_journal
from tests.wizard.conftest import DRAFT, Browser, Open
from tests.wizard.test_audit import outcomes

CLIENT, SECRET = "wizard", "s3cret: +%"
CODE = "the-authorization-code"
ENCRYPTION_STEP = f"/new/encryption?{urlencode(DRAFT)}"
SIGN_IN_COOKIE = "byok_sign_in"


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    found = OidcIssuer()
    yield found
    found.close()


def build_settings(issuer: OidcIssuer, **changes: Any) -> ApiSettings:
    values = {
        "public_url": "http://localhost",
        "requests_per_minute": 100_000,
        "issuer": issuer.url,
        "jwks_url": issuer.jwks_url,
        "audience": AUDIENCE,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "sign_in_name": "Example Login",
    }
    return ApiSettings.model_validate(values | changes)


async def visit_with_provider(visit: Open, issuer: OidcIssuer, **changes: Any) -> Browser:
    settings = build_settings(issuer, **changes)
    browser: Browser = await visit(build_authenticator(settings), settings)
    return browser


async def start(browser: Browser, to: str = ENCRYPTION_STEP, provider: str = "customers") -> dict[str, str]:
    """Start a sign-in, and return the parameters of the request to the provider."""
    answer = await browser.http.get("/sign-in/start", params={"provider": provider, "next": to})
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def answer_code(issuer: OidcIssuer, asked: dict[str, str], **changes: Any) -> None:
    """Set the tokens that the provider issues for the code: valid tokens, unless `changes` makes them invalid."""
    access_token = changes.pop("access_token", issuer.issue_token(iss=issuer.url))
    claims = {"iss": issuer.url, "aud": CLIENT, "nonce": asked["nonce"], "scope": None, "organisation": None}
    tokens = {"id_token": issuer.issue_token(**claims | changes), "access_token": access_token, "token_type": "Bearer"}
    issuer.answers[CODE] = {name: value for name, value in tokens.items() if value is not None}


async def finish(browser: Browser, asked: dict[str, str], issuer: OidcIssuer, **changes: str | None) -> httpx.Response:
    """Send the provider's response from the browser, without following the redirect."""
    values = {"code": CODE, "state": asked["state"], "iss": issuer.url, **changes}
    query = {name: value for name, value in values.items() if value is not None}
    return await browser.http.get("/sign-in/callback", params=query)


async def require_refused(browser: Browser, answer: httpx.Response, fault: str) -> None:
    """Check that byok redirects to the sign-in page with the reason, and does not create a session."""
    assert answer.status_code == 303
    address = urlsplit(answer.headers["location"])
    assert (address.path, dict(parse_qsl(address.query))["fault"]) == ("/sign-in", fault)
    assert not {CODE, "state", "code"} & {part for pair in parse_qsl(address.query) for part in pair}
    assert COOKIE_NAME not in browser.http.cookies
    await browser.open_page("/environments")
    assert browser.page.url.path == "/sign-in"


async def test_user_signs_in_and_returns_to_the_page_with_the_draft(
    visit: Open, issuer: OidcIssuer, journal: AuditJournal
) -> None:
    browser = await visit_with_provider(visit, issuer)
    await browser.open_page(ENCRYPTION_STEP)
    assert "Sign in with Example Login" in browser.text
    assert "Access token" in browser.text
    asked = await start(browser, browser.page.url.params["next"])
    assert (asked["response_type"], asked["client_id"], asked["code_challenge_method"]) == ("code", CLIENT, "S256")
    assert asked["scope"].split() == ["openid", *ALL.split()]
    assert asked["redirect_uri"] == "http://localhost/sign-in/callback"
    answer_code(issuer, asked)

    answer = await finish(browser, asked, issuer)
    await browser.open_page(answer.headers["location"])

    assert str(browser.page.url) == f"http://localhost{ENCRYPTION_STEP}"
    assert browser.page.status_code == 200
    (exchange,) = issuer.exchanged
    digest = hashlib.sha256(exchange["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
    # RFC 6749, section 2.3.1: the secret is form-encoded before it becomes an HTTP Basic password.
    assert base64.b64decode(exchange["authorization"].removeprefix("Basic ")) == b"wizard:s3cret%3A+%2B%25"
    assert exchange["redirect_uri"] == asked["redirect_uri"]
    assert outcomes(journal) == [(AuditAction.SIGN_IN, AuditOutcome.ACCEPTED, None)]
    assert {(one.requester.organisation, one.requester.subject) for one in read_journal(journal.directory)} == {
        ("acme", "user-1")
    }


def test_authlib_does_not_encode_the_client_secret() -> None:
    headers: dict[str, str] = {}
    encode_client_secret_basic(OAuth2Client(None, CLIENT, SECRET), "POST", "https://login.example.com", headers, "")
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == f"{CLIENT}:{SECRET}"


async def test_pending_sign_in_is_encrypted_and_bound_to_the_browser(visit: Open, issuer: OidcIssuer) -> None:
    settings = {"public_url": "https://localhost"}
    browser = await visit_with_provider(visit, issuer, **settings)
    browser.http.base_url = httpx.URL("https://localhost")
    answer = await browser.http.get("/sign-in/start", params={"provider": "customers"})
    name, _, rest = answer.headers["set-cookie"].partition("=")
    value, *attributes = (part.strip().lower() for part in rest.split(";"))
    assert name == f"__Host-{SIGN_IN_COOKIE}"
    assert {"secure", "httponly", "path=/", "samesite=lax", "max-age=600"} <= set(attributes)
    asked = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    readable = base64.urlsafe_b64decode(rest.partition(";")[0] + "==")
    assert not {asked["state"].encode(), asked["nonce"].encode(), b"verifier"} & {readable[i : i + 8] for i in range(9)}
    assert asked["state"].lower() not in value


async def test_opaque_access_token_leaves_the_claims_to_the_id_token(visit: Open, issuer: OidcIssuer) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    answer_code(issuer, asked, access_token="opaque", organisation="acme")
    issuer.answers[CODE]["scope"] = "openid environments:read"
    await finish(browser, asked, issuer)
    assert (await browser.open_page("/environments")).status_code == 200
    assert (await browser.open_page("/new")).status_code == 403, "the provider did not grant environments:write"


async def test_access_token_for_the_api_decides_even_if_the_id_token_says_more(visit: Open, issuer: OidcIssuer) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    access_token = issuer.issue_token(iss=issuer.url, scope="environments:read")
    answer_code(issuer, asked, access_token=access_token, organisation="globex", scope=ALL)
    await finish(browser, asked, issuer)
    assert (await browser.open_page("/environments")).status_code == 200
    assert (await browser.open_page("/new")).status_code == 403


async def test_staff_sign_in_with_an_issuer_of_their_own(
    visit: Open, issuer: OidcIssuer, journal: AuditJournal
) -> None:
    customers = OidcIssuer(generate_private_key("the customers' issuer's"))
    names = ("staff_issuer", "staff_jwks_url", "staff_client_id")
    staff = dict(zip(names, (issuer.url, issuer.jwks_url, CLIENT), strict=True))
    browser = await visit_with_provider(visit, customers, **staff)
    customers.close()
    await browser.open_page("/sign-in")
    assert "Sign in with Example Login" in browser.text
    assert "Sign in with 127.0.0.1 (staff)" in browser.text
    asked = await start(browser, provider="staff")
    answer_code(issuer, asked)
    await finish(browser, asked, issuer)
    assert (await browser.open_page("/environments")).status_code == 200
    assert issuer.exchanged[0]["client_id"] == CLIENT, "a public client sends its id, and no secret"
    assert [one.requester.organisation for one in read_journal(journal.directory)] == [None, None]


def sign_with_public_key(issuer: OidcIssuer, claims: dict[str, Any]) -> str:
    """Sign a token with HMAC, and use the public key as the secret, as in an algorithm confusion attack."""
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parts = [json.dumps({"alg": "HS256", "kid": issuer.name}).encode(), json.dumps(claims).encode()]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.new(public, text, "sha256").digest()).rstrip(b"=")
    return (text + b"." + mac).decode()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"nonce": "of another sign-in"}, "refused"),
        ({"nonce": None}, "refused"),
        ({"iss": "https://evil.example.com"}, "refused"),
        ({"aud": "another-client"}, "refused"),
        ({"aud": [CLIENT, "another-client"]}, "refused"),
        ({"azp": "another-client"}, "refused"),
        ({"key": generate_private_key("a stranger's")}, "refused"),
        ({"sub": None}, "refused"),
        ({"exp": -60}, "clock"),
        ({"iat": 120}, "clock"),
        ({"access_token": "opaque"}, "organisation"),
        ({"access_token": "opaque", "organisation": "*"}, "organisation"),
    ],
    ids=[
        "nonce of another sign-in",
        "no nonce",
        "another issuer",
        "another audience",
        "two audiences",
        "another authorized party",
        "another key",
        "no subject",
        "expired",
        "issued in the future",
        "opaque access token",
        "opaque access token, all organisations",
    ],
)
async def test_forged_id_token_lets_nobody_in(
    visit: Open, issuer: OidcIssuer, changes: dict[str, Any], fault: str
) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    now = int(time.time())
    answer_code(issuer, asked, **{name: now + to if isinstance(to, int) else to for name, to in changes.items()})
    await require_refused(browser, await finish(browser, asked, issuer), fault)


@pytest.mark.parametrize("forgery", ["alg none", "HS256 with the public key", "missing", "not a JWT"])
async def test_unsigned_id_token_lets_nobody_in(visit: Open, issuer: OidcIssuer, forgery: str) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    answer_code(issuer, asked)
    claims = jwt.decode(issuer.answers[CODE]["id_token"], options={"verify_signature": False})
    issuer.answers[CODE]["id_token"] = {
        "alg none": jwt.encode(claims, "", algorithm="none"),
        "HS256 with the public key": sign_with_public_key(issuer, claims),
        "missing": None,
        "not a JWT": "opaque",
    }[forgery]
    await require_refused(browser, await finish(browser, asked, issuer), "refused")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"state": "guessed"}, "stale"),
        ({"state": None}, "stale"),
        ({"code": None}, "refused"),
        ({"code": "another-code"}, "stale"),
        ({"iss": "https://evil.example.com"}, "refused"),
        ({"iss": None}, "refused"),
        ({"code": None, "error": "access_denied", "error_description": CODE}, "denied"),
        ({"code": None, "error": "server_error"}, "unavailable"),
        ({"code": None, "error": "invalid_scope"}, "refused"),
    ],
    ids=str,
)
async def test_response_that_does_not_belong_to_the_sign_in_lets_nobody_in(
    visit: Open, issuer: OidcIssuer, changes: dict[str, str | None], fault: str
) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    answer_code(issuer, asked)
    await require_refused(browser, await finish(browser, asked, issuer, **changes), fault)


async def test_response_in_another_browser_lets_nobody_in(
    visit: Open, issuer: OidcIssuer, journal: AuditJournal
) -> None:
    attacker, victim = await visit_with_provider(visit, issuer), await visit_with_provider(visit, issuer)
    asked = await start(attacker)
    answer_code(issuer, asked)
    await require_refused(victim, await finish(victim, asked, issuer), "stale")
    await start(victim)
    await require_refused(victim, await finish(victim, asked, issuer), "stale")
    assert not issuer.exchanged, "the code is not even sent to the provider"
    assert outcomes(journal)[0] == (AuditAction.SIGN_IN, AuditOutcome.REFUSED, "byok.Unauthenticated")


async def test_response_has_an_effect_only_once(visit: Open, issuer: OidcIssuer) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    copied = browser.http.cookies[SIGN_IN_COOKIE]
    answer_code(issuer, asked)
    await finish(browser, asked, issuer)
    assert SIGN_IN_COOKIE not in browser.http.cookies
    assert COOKIE_NAME in browser.http.cookies

    browser.http.cookies.clear()
    browser.http.cookies.set(SIGN_IN_COOKIE, copied)
    answer_code(issuer, asked)
    await require_refused(browser, await finish(browser, asked, issuer), "stale")
    assert len(issuer.exchanged) == 1


async def test_response_is_too_late_after_ten_minutes(
    visit: Open, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pending_sign_ins.LIFETIME_SECONDS == 600
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser)
    answer_code(issuer, asked)
    monkeypatch.setattr(pending_sign_ins, "LIFETIME_SECONDS", -1)
    await require_refused(browser, await finish(browser, asked, issuer), "stale")


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        ("denied", 401, "Example Login did not grant access."),
        ("stale", 401, "Start the sign-in again."),
        ("clock", 401, "The clock of Example Login"),
        ("organisation", 401, "Ask your administrator to add the claim organisation"),
        ("refused", 401, "The response from Example Login is not valid"),
        ("unavailable", 503, "Example Login cannot be reached"),
    ],
)
async def test_sign_in_page_says_what_to_do(
    visit: Open, issuer: OidcIssuer, fault: str, status: int, words: str
) -> None:
    browser = await visit_with_provider(visit, issuer)
    await browser.open_page("/sign-in", fault=fault, provider="customers", next=ENCRYPTION_STEP)
    assert (browser.page.status_code, words in browser.text) == (status, True)
    assert browser.page.headers.get("retry-after") == ("5" if status == 503 else None)
    assert f"next={urlencode({'': ENCRYPTION_STEP})[1:]}" in browser.page.text, "the user can start again from here"


async def test_unreachable_provider_is_reported_at_once(
    visit: Open, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert identity_provider.TIMEOUT_SECONDS == 2
    browser = await visit_with_provider(visit, issuer)
    issuer.reachable = False
    answer = await browser.http.get("/sign-in/start", params={"provider": "customers", "next": "/new"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert SIGN_IN_COOKIE not in browser.http.cookies

    issuer.reachable = True
    asked = await start(browser)
    issuer.reachable = False
    await require_refused(browser, await finish(browser, asked, issuer), "unavailable")


@pytest.mark.parametrize("metadata", [{"issuer": "https://evil.example.com"}, {"token_endpoint": "http://example.com"}])
async def test_metadata_of_another_issuer_or_without_https_is_not_used(
    visit: Open, issuer: OidcIssuer, metadata: dict[str, str]
) -> None:
    browser = await visit_with_provider(visit, issuer)
    issuer.metadata = metadata
    answer = await browser.http.get("/sign-in/start", params={"provider": "customers"})
    assert answer.status_code == 503


@pytest.mark.parametrize("to", ["https://evil.example.com", "//evil.example.com", "/\\evil.example.com"])
async def test_sign_in_never_returns_to_another_site(visit: Open, issuer: OidcIssuer, to: str) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser, to)
    answer_code(issuer, asked)
    assert (await finish(browser, asked, issuer)).headers["location"] == "/environments"


async def test_address_that_does_not_fit_into_a_cookie_loses_its_query(visit: Open, issuer: OidcIssuer) -> None:
    browser = await visit_with_provider(visit, issuer)
    asked = await start(browser, f"/new?name={random.Random(1).randbytes(2500).hex()}")
    answer_code(issuer, asked)
    assert (await finish(browser, asked, issuer)).headers["location"] == "/new"


@pytest.mark.parametrize("at_issuer", [True, False])
async def test_sign_out_also_ends_the_session_at_the_provider(visit: Open, issuer: OidcIssuer, at_issuer: bool) -> None:
    browser = await visit_with_provider(visit, issuer, sign_out_at_issuer=at_issuer)
    asked = await start(browser)
    answer_code(issuer, asked)
    await finish(browser, asked, issuer)
    await browser.open_page("/environments")
    stolen = browser.http.cookies[COOKIE_NAME]

    await browser.submit_form("/sign-out", {})

    query = urlencode({"client_id": CLIENT, "post_logout_redirect_uri": "http://localhost/sign-in"})
    address = f'content="0; url={issuer.url}/logout?{query.replace("&", "&amp;")}"'
    assert (address in browser.page.text) is at_issuer
    browser.http.cookies.set(COOKIE_NAME, stolen)
    await browser.open_page("/environments")
    assert browser.page.url.path == "/sign-in"


async def test_nothing_secret_is_logged_or_stored(
    visit: Open, issuer: OidcIssuer, journal: AuditJournal, caplog: pytest.LogCaptureFixture
) -> None:
    browser = await visit_with_provider(visit, issuer)
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "httpx")  # this test's own requests
    with capture_logs() as lines:
        asked = await start(browser)
        cookie = browser.http.cookies[SIGN_IN_COOKIE]
        answer_code(issuer, asked)
        tokens = {value for name, value in issuer.answers[CODE].items() if name.endswith("token")}
        await finish(browser, asked, issuer)
        await finish(browser, asked, issuer)
    serializer = URLSafeTimedSerializer("a secret of tests", salt="byok.session")
    session = str(serializer.loads(browser.http.cookies[COOKIE_NAME]))
    assert "'organisation': 'acme'" in session
    assert "sign_in_failed" in str(lines)
    records = "".join(one.model_dump_json() for one in read_journal(journal.directory))
    secrets = {CODE, SECRET, cookie, issuer.exchanged[0]["code_verifier"], asked["state"], asked["nonce"], *tokens}
    assert not {secret for secret in secrets if secret in f"{caplog.text}{lines}{records}{session}"}
