"""The settings of the API and the wizard."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic_settings import SettingsError
from structlog.testing import capture_logs

from byok.api_settings import AccessToken, ApiSettings
from byok.domain.naming import ENVIRONMENT_ID_PATTERN
from byok.domain.scopes import ORGANISATION_PATTERN, Scope
from byok.settings import Settings, format_settings_error
from byok.web import warn_without_public_url

TOKEN = {"name": "portal", "sha256": "0" * 64, "organisation": "acme", "scopes": [Scope.READ]}
OIDC = {"issuer": "https://login.example.com", "audience": "byok", "jwks_url": "https://login.example.com/keys"}
STAFF = {"staff_issuer": "https://staff.example.com", "staff_jwks_url": "https://staff.example.com/keys"}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("BYOK_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://byok.example.com", "https://byok.example.com"),
        ("https://BYOK.Example.com:443/", "https://byok.example.com"),
        ("https://byok.example.com:8443", "https://byok.example.com:8443"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
def test_public_url_is_written_as_browsers_write_an_origin(given: str, origin: str) -> None:
    assert ApiSettings.model_validate({"public_url": given, **OIDC}).public_url == origin


@pytest.mark.parametrize(
    "url",
    [
        *("http://byok.example.com", "http://10.0.0.7", "http://localhost.example.com", "byok.example.com", "https://"),
        *("https://byok.example.com/path", "https://byok.example.com?a=b", "https://ada@byok.example.com"),
        *("https://byok.example.com\n", "https://byok.example.com:port", "ftp://localhost"),
    ],
)
def test_public_url_must_be_an_https_origin(url: str) -> None:
    with pytest.raises(ValidationError, match="public_url"):
        ApiSettings.model_validate({"public_url": url, **OIDC})


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://vendor.s3.eu-central-1.amazonaws.com/byok-kms-keys.yaml", True),
        ("https://s3.amazonaws.com/vendor/byok-kms-keys.yaml?versionId=1", True),
        ("https://vendor.s3.cn-north-1.amazonaws.com.cn/byok-kms-keys.yaml", True),
        ("https://vendor.example.com/byok-kms-keys.yaml", False),
        ("https://s3.amazonaws.com.example.com/byok-kms-keys.yaml", False),
        ("http://vendor.s3.eu-central-1.amazonaws.com/byok-kms-keys.yaml", False),
        ("https://s3.amazonaws.com/vendor/" + "x" * 1024, False),
    ],
)
def test_template_url_is_an_object_in_s3(url: str, *, fits: bool) -> None:
    if fits:
        assert ApiSettings(template_url=url).template_url == url
    else:
        with pytest.raises(ValidationError, match="template_url"):
            ApiSettings(template_url=url)


PUBLIC = {"public_url": "https://byok.example.com"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({**OIDC, "client_id": "wizard"}, "BYOK_API__PUBLIC_URL: missing; BYOK_API__CLIENT_ID needs it"),
        ({**STAFF, **PUBLIC, "audience": "byok", "client_id": "wizard"}, "BYOK_API__ISSUER: missing"),
        ({**OIDC, **PUBLIC, "staff_client_id": "wizard"}, "BYOK_API__STAFF_ISSUER: missing"),
        ({**OIDC, **PUBLIC, "client_secret": "s3cret"}, "BYOK_API__CLIENT_ID: missing"),
        ({**OIDC, **PUBLIC, "client_id": "wizard", "sign_in_scopes": "profile"}, "contain openid"),
    ],
)
def test_client_needs_an_issuer_a_public_url_and_openid(given: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(words)) as refusal:
        ApiSettings.model_validate(given)
    assert "s3cret" not in str(refusal.value)


def test_secret_of_a_client_is_not_printed() -> None:
    found = ApiSettings.model_validate({**OIDC, **PUBLIC, "client_id": "wizard", "client_secret": "s3cret"})
    assert "s3cret" not in repr(found)
    assert found.sign_in_scopes.split()[0] == "openid"


def test_server_without_access_control_has_no_public_address() -> None:
    with pytest.raises(ValidationError, match="everyone would otherwise have access"):
        ApiSettings(public_url="https://byok.example.com")
    assert ApiSettings(public_url="http://localhost:8000").allows_anonymous


def test_server_with_access_control_warns_if_it_does_not_know_its_public_url() -> None:
    for given, count in ((OIDC, 1), ({**OIDC, "public_url": "https://byok.example.com"}, 0), ({}, 0)):
        with capture_logs() as lines:
            warn_without_public_url(ApiSettings.model_validate(given))
        assert [line["log_level"] for line in lines] == ["warning"] * count
        assert all("BYOK_API__PUBLIC_URL" in line["fix"] for line in lines)


@pytest.mark.parametrize("field", ["issuer", "jwks_url", "staff_issuer", "staff_jwks_url"])
@pytest.mark.parametrize("url", ["http://login.example.com", "file:///etc/passwd", "login.example.com", "https://"])
def test_issuers_are_reached_by_https(field: str, url: str) -> None:
    with pytest.raises(ValidationError, match=rf"(?s){field}.*must be an https:// URL"):
        ApiSettings.model_validate({**OIDC, **STAFF, field: url})
    assert ApiSettings.model_validate({**OIDC, **STAFF, field: "http://127.0.0.1:9000/keys"})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"issuer": OIDC["issuer"]}, "BYOK_API__AUDIENCE, BYOK_API__JWKS_URL: missing"),
        ({"audience": "byok"}, "BYOK_API__ISSUER: missing"),
        ({**OIDC, "staff_issuer": STAFF["staff_issuer"]}, "BYOK_API__STAFF_JWKS_URL: missing"),
        (STAFF, "BYOK_API__AUDIENCE: missing"),
        ({**OIDC, **STAFF, "staff_issuer": OIDC["issuer"]}, "BYOK_API__STAFF_ISSUER: must differ"),
        ({"tokens": [TOKEN, {**TOKEN, "sha256": "1" * 64}]}, "two tokens have the same name"),
        ({"tokens": [TOKEN, {**TOKEN, "name": "other"}]}, "two tokens have the same sha256"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ApiSettings.model_validate(given)


def test_staff_issuer_alone_is_access_control() -> None:
    assert not ApiSettings.model_validate({**STAFF, "audience": "byok"}).allows_anonymous


@pytest.mark.parametrize(
    "change",
    [
        *({"name": name} for name in ("", "a b", "-a", "a" * 65, "portal\n")),
        *({"organisation": name} for name in ("", "**", "Acme", "acme-prod", "acme\n", "*\n")),
        *({"sha256": digest} for digest in ("0" * 63, "0" * 64 + "\n", "G" * 64)),
        {"expires": "2027-01-01T00:00:00"},
        {"name": None},
    ],
)
def test_invalid_token_entry_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AccessToken.model_validate({**TOKEN, **change})


def test_token_entry_needs_a_name() -> None:
    with pytest.raises(ValidationError, match="name"):
        AccessToken.model_validate({key: value for key, value in TOKEN.items() if key != "name"})


@pytest.mark.parametrize("pattern", [ENVIRONMENT_ID_PATTERN, ORGANISATION_PATTERN])
def test_dollar_of_a_pydantic_pattern_matches_no_trailing_line_break(pattern: str) -> None:
    """In Python's `re`, `$` also matches before a trailing line break, so code that uses `re` must use `fullmatch`."""

    class Model(BaseModel):
        value: Annotated[str, StringConstraints(pattern=pattern)]

    assert Model(value="acme").value == "acme"
    with pytest.raises(ValidationError):
        Model(value="acme\n")


def test_no_module_uses_re_match() -> None:
    found = [path for path in Path("byok").rglob("*.py") if "re.match(" in path.read_text()]
    assert found == []


def test_missing_session_directory_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BYOK_API__SESSION_DIRECTORY", str(tmp_path / "gone"))
    with pytest.raises((ValidationError, SettingsError)) as caught:
        Settings()
    assert isinstance(caught.value, ValidationError | SettingsError)
    assert "BYOK_API__SESSION_DIRECTORY: " in format_settings_error(caught.value)
