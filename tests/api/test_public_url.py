"""byok refuses requests whose host, scheme or origin does not match the public URL, and sets response headers."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from byok.api.authentication import AllowAllAuth
from byok.api_settings import ApiSettings
from tests.api.conftest import Serve
from tests.api.test_access import TOKEN, build_static_auth
from tests.api.test_server import build_state, run_server

ACCESS = build_static_auth("acme", "environments:read", "environments:write")
SETTINGS = ApiSettings(public_url="https://byok.example.com", tokens=ACCESS.tokens)
HSTS = "strict-transport-security"


@pytest_asyncio.fixture
async def server() -> AsyncIterator[httpx.AsyncClient]:
    """A real server that has an https URL as its public URL and trusts the test as a proxy."""
    async with run_server(build_state(ACCESS), SETTINGS) as http:
        http.headers.update(
            {"Host": "byok.example.com", "X-Forwarded-Proto": "https", "Authorization": f"Bearer {TOKEN}"}
        )
        yield http


@pytest.mark.parametrize("host", ["byok.example.com", "BYOK.example.com", "byok.example.com:443"])
async def test_requests_by_the_public_url_are_answered(server: httpx.AsyncClient, host: str) -> None:
    answer = await server.get("/v1/openapi.json", headers={"Host": host})
    assert (answer.status_code, answer.headers[HSTS]) == (200, "max-age=31536000")


@pytest.mark.parametrize(
    "host", ["evil.example.com", "byok.example.com.evil.example.com", "byok.example.com:80", "127.0.0.1", ""]
)
@pytest.mark.parametrize("path", ["/v1/openapi.json", "/sign-in", "/static/page.js", "/docs/"])
async def test_requests_for_another_host_are_refused(server: httpx.AsyncClient, host: str, path: str) -> None:
    answer = await server.get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "byok.WrongHost")
    assert "https://byok.example.com" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/v1/environments", "/sign-in"])
async def test_requests_by_http_are_refused(server: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await server.request(method, path, headers={"X-Forwarded-Proto": "http"})
    assert (answer.status_code, answer.json()["code"]) == (421, "byok.WrongScheme")
    assert "FORWARDED_ALLOW_IPS" in answer.json()["detail"]
    assert HSTS not in answer.headers


async def test_only_a_trusted_proxy_can_say_that_a_request_came_by_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "192.0.2.1")
    async with run_server(build_state(ACCESS), SETTINGS) as http:
        headers = {"Host": "byok.example.com", "X-Forwarded-Proto": "https"}
        answer = await http.get("/v1/openapi.json", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (421, "byok.WrongScheme")


async def test_liveness_needs_no_public_url_because_platforms_ask_by_address(server: httpx.AsyncClient) -> None:
    answer = await server.get("/health", headers={"Host": "10.0.0.7:8000", "X-Forwarded-Proto": "http"})
    assert (answer.status_code, HSTS in answer.headers) == (200, False)


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://byok.example.com", 404),
        ("http://byok.example.com", 403),
        ("https://byok.example.com:8443", 403),
        ("https://evil.example.com", 403),
        ("null", 403),
    ],
)
async def test_only_pages_of_the_public_url_may_change_anything(serve: Serve, origin: str, status: int) -> None:
    portal = await serve(ACCESS, SETTINGS, TOKEN)
    url = "https://byok.example.com/v1/environments/acme-nowhere/cancellation"
    assert (await portal.http.post(url, headers={"Origin": origin})).status_code == status


async def test_browsers_are_not_sent_to_https_without_an_https_url() -> None:
    async with run_server(build_state(AllowAllAuth())) as http:
        assert HSTS not in (await http.get("/health")).headers


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        *((path, "no-store") for path in ("/health", "/v1/openapi.json", "/v1/environments/acme/events", "/nowhere")),
        *((path, "no-store") for path in ("/v1/nowhere", "/new", "/sign-in", "/environments/acme/changes")),
        *((path, "no-cache") for path in ("/static/page.js", "/docs/")),
    ],
)
async def test_no_response_with_data_may_be_stored(path: str, rule: str) -> None:
    async with run_server(build_state(AllowAllAuth())) as http, http.stream("GET", path) as answer:
        assert answer.headers["cache-control"] == rule


async def test_refusals_may_not_be_stored_either(server: httpx.AsyncClient) -> None:
    for headers in ({"Host": "evil.example.com"}, {"Authorization": "Bearer wrong"}):
        answer = await server.get("/v1/environments", headers=headers)
        assert answer.headers["cache-control"] == "no-store"
