"""Test how byok identifies the holder of a token, when tokens expire, and which tokens identify the vendor's staff."""

import hashlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byok.api.app import build_authenticator
from byok.api.authentication import ANONYMOUS_CALLER, Authenticator, UnauthenticatedError
from byok.api_settings import AccessToken, ApiSettings
from byok.domain.scopes import Scope
from tests.api.oidc_issuer import AUDIENCE, ISSUER, OidcIssuer, generate_private_key

STAFF_ISSUER = "https://staff.example.com"


@pytest.fixture
def issuer() -> Iterator[OidcIssuer]:
    found = OidcIssuer()
    yield found
    found.close()


@pytest.fixture
def staff_issuer() -> Iterator[OidcIssuer]:
    found = OidcIssuer(key=generate_private_key("the staff issuer's"))
    yield found
    found.close()


def build_token(name: str = "portal", token: str = "secret", **changes: Any) -> AccessToken:
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = {"name": name, "sha256": digest, "organisation": "acme", "scopes": [Scope.READ], **changes}
    return AccessToken.model_validate(entry)


def build_auth(issuer: OidcIssuer, staff_issuer: OidcIssuer, *tokens: AccessToken) -> Authenticator:
    return build_authenticator(
        ApiSettings(
            issuer=ISSUER,
            jwks_url=issuer.jwks_url,
            staff_issuer=STAFF_ISSUER,
            staff_jwks_url=staff_issuer.jwks_url,
            audience=AUDIENCE,
            tokens=tokens,
        )
    )


async def test_oidc_caller_is_identified_by_sub_and_jti(issuer: OidcIssuer) -> None:
    caller = await issuer.build_auth().authenticate(issuer.issue_token(sub="ada", jti="4711"))
    assert (caller.subject, caller.token_id) == ("ada", "4711")
    without_id = await issuer.build_auth().authenticate(issuer.issue_token(sub="ada"))
    assert (without_id.subject, without_id.token_id) == ("ada", None)


async def test_holder_of_a_token_of_the_settings_is_identified_by_its_name() -> None:
    caller = await build_authenticator(ApiSettings(tokens=(build_token("portal"),))).authenticate("secret")
    assert (caller.organisation, caller.subject, caller.token_id) == ("acme", "portal", "portal")


def test_caller_of_an_open_server_is_anonymous() -> None:
    assert (ANONYMOUS_CALLER.subject, ANONYMOUS_CALLER.token_id) == ("anonymous", None)


async def test_expired_token_of_the_settings_is_refused_and_only_its_holder_learns_why() -> None:
    expired = build_token(expires=datetime.now(UTC) - timedelta(seconds=1))
    auth = build_authenticator(ApiSettings(tokens=(expired,)))
    with pytest.raises(UnauthenticatedError, match=r"The token has expired\."):
        await auth.authenticate("secret")
    with pytest.raises(UnauthenticatedError, match=r"Invalid token\."):
        await auth.authenticate("another secret")


async def test_expired_token_of_the_settings_is_not_offered_to_the_issuer(
    issuer: OidcIssuer, staff_issuer: OidcIssuer
) -> None:
    expired = build_token(expires=datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(UnauthenticatedError, match=r"The token has expired\."):
        await build_auth(issuer, staff_issuer, expired).authenticate("secret")


async def test_caller_ends_with_the_token_of_the_settings() -> None:
    expires = datetime.now(UTC) + timedelta(hours=1)
    caller = await build_authenticator(ApiSettings(tokens=(build_token(expires=expires),))).authenticate("secret")
    assert caller.until == expires.timestamp()


async def test_staff_are_those_whose_token_the_settings_or_the_staff_issuer_says_so(
    issuer: OidcIssuer, staff_issuer: OidcIssuer
) -> None:
    auth = build_auth(issuer, staff_issuer, build_token("staff-portal", organisation="*"))
    for token in ("secret", *(staff_issuer.issue_token(name, iss=STAFF_ISSUER) for name in ("acme", "*"))):
        assert (await auth.authenticate(token)).organisation is None
    assert (await auth.authenticate(issuer.issue_token("acme"))).organisation == "acme"


async def test_customers_issuer_cannot_make_anyone_staff(issuer: OidcIssuer, staff_issuer: OidcIssuer) -> None:
    auth = build_auth(issuer, staff_issuer)
    for token in (issuer.issue_token("*"), issuer.issue_token(iss=STAFF_ISSUER), issuer.issue_token("*,acme")):
        with pytest.raises(UnauthenticatedError):
            await auth.authenticate(token)


async def test_staff_issuer_cannot_speak_for_the_customers_issuer(issuer: OidcIssuer, staff_issuer: OidcIssuer) -> None:
    with pytest.raises(UnauthenticatedError):
        await build_auth(issuer, staff_issuer).authenticate(staff_issuer.issue_token("acme", iss=ISSUER))


async def test_token_of_a_stranger_makes_byok_ask_no_issuer(issuer: OidcIssuer, staff_issuer: OidcIssuer) -> None:
    auth = build_auth(issuer, staff_issuer)
    for token in ("nonsense", issuer.issue_token(iss="https://evil.example.com")):
        with pytest.raises(UnauthenticatedError):
            await auth.authenticate(token)
    assert (issuer.asked, staff_issuer.asked) == (0, 0)


async def test_expired_token_of_an_issuer_is_reported_as_expired(issuer: OidcIssuer, staff_issuer: OidcIssuer) -> None:
    now = int(time.time())
    with pytest.raises(UnauthenticatedError, match=r"The token has expired\."):
        await build_auth(issuer, staff_issuer).authenticate(issuer.issue_token(iat=now - 7200, exp=now - 3600))


@pytest.mark.parametrize(("iat", "exp", "accepted"), [(-10, 3590, True), (-10, 3591, False), ("-10", "3590", True)])
async def test_token_may_live_as_long_as_the_settings_allow(
    issuer: OidcIssuer, iat: int | str, exp: int | str, accepted: bool
) -> None:
    auth, now = issuer.build_auth(), int(time.time())
    auth.max_lifetime_seconds = 3600
    kind = type(iat)
    token = issuer.issue_token(iat=kind(now + int(iat)), exp=kind(now + int(exp)))
    if accepted:
        assert (await auth.authenticate(token)).until == now + int(exp)
    else:
        with pytest.raises(UnauthenticatedError, match="lifetime must not exceed 3600 seconds"):
            await auth.authenticate(token)
