"""Authentication to the API, the permissions that each scope grants, and the isolation between organisations."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from byok.api.app import build_authenticator
from byok.api.authentication import AllowAllAuth, StaticTokenAuth
from byok.api_settings import AccessToken, ApiSettings
from byok.web import is_loopback_host
from tests.api.conftest import Serve, build_create_body
from tests.api.oidc_issuer import ALL, OidcIssuer, generate_private_key

TOKEN = "a-token-of-the-settings"
OURS, THEIRS = "acme-prod", "globex-prod"


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    found = OidcIssuer()
    yield found
    found.close()


def build_static_auth(organisation: str, *scopes: str) -> StaticTokenAuth:
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    entry = {"name": f"{organisation.strip('*') or 'staff'}-portal", "sha256": digest, "organisation": organisation}
    return StaticTokenAuth([AccessToken.model_validate({**entry, "scopes": scopes})])


async def test_valid_tokens_are_accepted(serve: Serve, issuer: OidcIssuer) -> None:
    signed = await serve(issuer.build_auth(), token=issuer.issue_token())
    from_settings = await serve(build_static_auth("acme", "environments:read"), token=TOKEN)
    for portal in (signed, from_settings):
        assert (await portal.http.get(f"/v1/environments/{OURS}")).status_code == 404


def build_bad_tokens(issuer: OidcIssuer) -> dict[str, str | None]:
    """Return tokens that each have one fault, keyed by the name of the fault."""
    stranger = generate_private_key("a stranger's")
    good = issuer.issue_token()
    head, claims, signature = good.split(".")
    public = issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","kid":"key-1"}').rstrip(b"=").decode()
    # Sign the token with the public key, as if the key were a shared secret. PyJWT refuses to create such a token.
    confused_head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"key-1"}').rstrip(b"=").decode()
    mac = hmac.new(public, f"{confused_head}.{claims}".encode(), hashlib.sha256).digest()
    confused = f"{confused_head}.{claims}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    more = json.loads(base64.urlsafe_b64decode(claims + "=="))
    more["organisation"] = "*"
    altered = base64.urlsafe_b64encode(json.dumps(more).encode()).rstrip(b"=").decode()
    nested = base64.urlsafe_b64encode(b"[" * 100_000).rstrip(b"=").decode()
    return {
        "none": None,
        "empty": "",
        "nonsense": "nonsense",
        "expired": issuer.issue_token(exp=int(time.time()) - 3600),
        "without an expiry": issuer.issue_token(exp=None),
        "not valid yet": issuer.issue_token(nbf=int(time.time()) + 3600),
        "of another issuer": issuer.issue_token(iss="https://evil.example.com"),
        "for another audience": issuer.issue_token(aud="another-audience"),
        "without an audience": issuer.issue_token(aud=None),
        "without an issue time": issuer.issue_token(iat=None),
        "issued in the future": issuer.issue_token(iat=int(time.time()) + 3600, exp=int(time.time()) + 7200),
        "valid for longer than a day": issuer.issue_token(exp=int(time.time()) + 24 * 3600 + 1),
        "without a subject": issuer.issue_token(sub=None),
        "with an empty subject": issuer.issue_token(sub=""),
        "of the vendor's staff, by its organisation": issuer.issue_token(organisation="*"),
        "of an organisation name with a line break": issuer.issue_token(organisation="acme\n"),
        "of deeply nested JSON": f"{head}.{nested}.{signature}",
        "without an organisation": issuer.issue_token(organisation=None),  # type: ignore[arg-type]
        "of an illegal organisation name": issuer.issue_token(organisation="acme-prod"),
        "of an organisation with a wildcard": issuer.issue_token(organisation="*acme"),
        "signed by a stranger": issuer.issue_token(key=stranger),
        "with an unknown key": issuer.issue_token(key=stranger, kid="key-2"),
        "unsigned": f"{unsigned}.{claims}.",
        "signed with the public key": confused,
        "altered": f"{head}.{altered}.{signature}",
    }


async def test_invalid_tokens_are_rejected(serve: Serve, issuer: OidcIssuer) -> None:
    portal, let_in = await serve(issuer.build_auth()), []
    for name, token in build_bad_tokens(issuer).items():
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = await portal.http.get(f"/v1/environments/{OURS}", headers=headers)
        if answer.status_code != 401 or answer.json()["code"] != "byok.Unauthenticated":
            let_in.append((name, answer.status_code, answer.text))
        assert answer.headers.get("www-authenticate", "").startswith("Bearer"), name
        assert not token or token not in answer.text, name
    assert let_in == []


async def test_unknown_key_ids_do_not_query_the_issuer_each_time(serve: Serve, issuer: OidcIssuer) -> None:
    portal = await serve(issuer.build_auth())
    for number in range(20):
        token = issuer.issue_token(kid=f"unknown-{number}")
        answer = await portal.http.get("/v1/environments", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401
    assert issuer.asked <= 2


async def test_rotated_issuer_key_is_found(serve: Serve, issuer: OidcIssuer) -> None:
    portal = await serve(issuer.build_auth())
    assert (await portal.http.get("/v1/environments", headers=bearer_header(issuer.issue_token()))).status_code == 200
    issuer.key, issuer.name = generate_private_key("a stranger's"), "key-2"
    assert (await portal.http.get("/v1/environments", headers=bearer_header(issuer.issue_token()))).status_code == 200


@pytest.mark.parametrize("keys", [None, [], "<html>"])
async def test_unreachable_issuer_rejects_everyone_and_is_reported(
    serve: Serve, issuer: OidcIssuer, keys: object
) -> None:
    portal = await serve(issuer.build_auth())
    issuer.reachable, issuer.instead = keys is not None, keys
    answer = await portal.http.get("/v1/environments", headers=bearer_header(issuer.issue_token()))
    assert (answer.status_code, answer.json()["code"]) == (503, "byok.IdentityUnreachable")


@pytest.mark.parametrize("origin", ["http://[", "null", "", "http://evil.example.com"])
async def test_cross_origin_requests_are_refused(serve: Serve, origin: str) -> None:
    portal = await serve(AllowAllAuth())
    answer = await portal.http.post(f"/v1/environments/{OURS}/cancellation", headers={"Origin": origin})
    assert (answer.status_code, answer.json()["code"]) == (403, "byok.ForeignOrigin")


@pytest.mark.parametrize("scope", [None, 7, {"a": 1}])
async def test_invalid_scopes_grant_no_access(serve: Serve, issuer: OidcIssuer, scope: object) -> None:
    portal = await serve(issuer.build_auth())
    claims = {"scope": scope, "scp": scope} if scope is not None else {"scope": None}
    answer = await portal.http.get("/v1/environments", headers=bearer_header(issuer.issue_token(**claims)))
    assert answer.status_code in (401, 403)


CALLS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("environments:read", "GET", "/v1/onboarding/eu-central-1?environment_id=acme", {}),
    ("environments:read", "GET", "/v1/environments", {}),
    ("environments:read", "GET", f"/v1/environments/{OURS}", {}),
    ("environments:read", "GET", f"/v1/environments/{OURS}/events", {}),
    ("environments:write", "POST", "/v1/environments", {"json": build_create_body(OURS)}),
    ("environments:write", "POST", f"/v1/environments/{OURS}/replays", {"json": {}}),
    ("environments:write", "PUT", f"/v1/environments/{OURS}/tenant", {"json": {"tenant": "acme"}}),
    ("environments:write", "POST", f"/v1/environments/{OURS}/cancellation", {}),
    ("environments:write", "POST", f"/v1/environments/{OURS}/verification", {}),
    ("environments:delete", "DELETE", f"/v1/environments/{OURS}?confirm={OURS}", {}),
]


@pytest.mark.parametrize(("scope", "method", "path", "more"), CALLS, ids=[f"{one[1]} {one[2]}" for one in CALLS])
async def test_each_call_requires_its_scope(
    serve: Serve, issuer: OidcIssuer, scope: str, method: str, path: str, more: dict[str, Any]
) -> None:
    others = " ".join(one for one in ALL.split() if one != scope)
    portal = await serve(issuer.build_auth(), token=issuer.issue_token(scope=others))

    refused = await portal.http.request(method, path, **more)

    assert (refused.status_code, refused.json()["code"]) == (403, "byok.Forbidden")
    assert f'scope="{scope}"' in refused.headers["www-authenticate"]


async def test_environment_of_another_organisation_looks_nonexistent(serve: Serve, issuer: OidcIssuer) -> None:
    operator = await serve(AllowAllAuth())
    assert (await operator.http.post("/v1/environments", json=build_create_body(THEIRS))).status_code in (200, 202)
    portal = await serve(issuer.build_auth(), token=issuer.issue_token("acme"))

    def paths(name: str) -> list[tuple[str, str, dict[str, Any]]]:
        path = f"/v1/environments/{name}"
        return [
            ("GET", path, {}),
            ("GET", f"{path}/events", {}),
            ("POST", f"{path}/replays", {"json": {}}),
            ("PUT", f"{path}/tenant", {"json": {"tenant": "acme"}}),
            ("POST", f"{path}/cancellation", {}),
            ("DELETE", f"{path}?confirm={name}", {}),
            ("POST", "/v1/environments", {"json": build_create_body(name)}),
        ]

    for there, nowhere in zip(paths(THEIRS), paths("globex-nowhere"), strict=True):
        one = await portal.http.request(there[0], there[1], **there[2])
        other = await portal.http.request(nowhere[0], nowhere[1], **nowhere[2])
        assert one.status_code == other.status_code in (404, 422)
        own_id, other_id = (answer.headers["X-Request-Id"] for answer in (one, other))
        assert one.text.replace(THEIRS, "globex-nowhere").replace(own_id, other_id) == other.text
    listed = (await portal.http.get("/v1/environments", params={"prefix": "globex"})).json()
    assert listed == {"environments": [], "next": None}
    for prefix in ("", "a", "acme", "acme-"):
        page = (await portal.http.get("/v1/environments", params={"prefix": prefix})).json()
        assert all(item["environment_id"].startswith("acme-") for item in page["environments"])


async def test_organisation_with_a_common_name_prefix_is_separate(serve: Serve, issuer: OidcIssuer) -> None:
    portal = await serve(issuer.build_auth(), token=issuer.issue_token("glob"))
    assert (await portal.http.get(f"/v1/environments/{THEIRS}")).status_code == 404


async def test_key_check_for_an_environment_of_another_organisation_is_refused(
    serve: Serve, issuer: OidcIssuer
) -> None:
    """A key check would reveal whether the other organisation's environment uses the keys."""
    portal = await serve(issuer.build_auth(), token=issuer.issue_token("acme"))
    body = build_create_body(THEIRS)
    answer = await portal.http.post("/v1/key-checks", json=body)
    assert (answer.status_code, [one["field"] for one in answer.json()["errors"]]) == (422, ["environment_id"])


async def test_new_environment_needs_its_organisations_prefix(serve: Serve, issuer: OidcIssuer) -> None:
    portal = await serve(issuer.build_auth(), token=issuer.issue_token("acme"))
    refused = await portal.http.post("/v1/environments", json=build_create_body("prod"))
    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {
            "field": "environment_id",
            "message": "must begin with acme-, like all ids of this organisation",
        }
    ]


def test_api_is_open_only_without_configured_tokens() -> None:
    assert isinstance(build_authenticator(ApiSettings()), AllowAllAuth)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    entry = AccessToken(name="portal", sha256=digest, organisation="acme", scopes=("environments:read",))
    assert not isinstance(build_authenticator(ApiSettings(tokens=(entry,))), AllowAllAuth)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_loopback_hosts_are_recognised(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


def bearer_header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
