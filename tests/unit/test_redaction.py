"""A support bundle contains no secrets.

The bundle contains no known secret, no value of a field such as `token`, and no text that looks like a credential.
"""

import json
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from byok.domain.redaction import REMOVED, Redactor
from byok.settings import Settings
from byok.support_bundle import dump_settings, find_secrets

PLANTED = {
    "BYOK_API__SESSION_SECRET": "planted-session-secret-0123456789abcdef",
    "BYOK_API__AWS_EVENTS_SECRET": "planted-events-secret-0123456789abcdefgh",
    "BYOK_API__CLIENT_SECRET": "planted-client-secret",
    "BYOK_API__STAFF_CLIENT_SECRET": "planted-staff-secret",
    "BYOK_API__TOKENS": json.dumps(
        [{"name": "portal", "sha256": "a1" * 32, "organisation": "*", "scopes": ["environments:read"]}]
    ),
    "BYOK_NOTIFICATIONS__ENDPOINTS": json.dumps(
        [
            {
                "name": "pager",
                "url": "https://hooks.example.com/planted-url-token",
                "secrets": ["whsec_cGxhbnRlZC1zZWNyZXQtb2YtYS13ZWJob29rMDEyMw=="],
            }
        ]
    ),
    "AWS_SECRET_ACCESS_KEY": "planted-secret-access-key",
    "AWS_SESSION_TOKEN": "planted-session-token",
    "TEMPORAL_API_KEY": "planted-api-key",
}
"""byok settings and other environment variables, each with a value that contains a secret."""

REQUIRED = {
    "BYOK_API__PUBLIC_URL": "https://byok.example.com",
    "BYOK_API__AUDIENCE": "byok",
    **{
        f"BYOK_API__{staff}{name}": value
        for staff, host in (("", "customers"), ("STAFF_", "staff"))
        for name, value in (
            ("ISSUER", f"https://{host}.example.com"),
            ("JWKS_URL", f"https://{host}.example.com/keys"),
            ("CLIENT_ID", "wizard"),
        )
    },
}
"""Settings that byok requires as soon as one of the secret settings is set."""

SECRETS = (
    *("planted-session-secret", "planted-events-secret", "a1a1a1a1", "planted-url-token", "cGxhbnRlZC1zZWNyZXQ"),
    *("planted-client-secret", "planted-staff-secret"),
    *("planted-secret-access-key", "planted-session-token", "planted-api-key"),
)
"""Texts that occur in the planted secrets and nowhere else."""


def list_secret_settings(model: type[BaseModel], prefix: str = "BYOK") -> set[str]:
    """Return the names of all settings of a secret type, including the settings in nested models."""
    found = set()
    for name, field in model.model_fields.items():
        variable, kind = (
            f"{prefix}_{name}".upper() if prefix == "BYOK" else f"{prefix}__{name}".upper(),
            field.annotation,
        )
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            found |= list_secret_settings(kind, variable)
        elif SecretStr.__name__ in str(kind):
            found.add(variable)
    return found


def test_every_secret_setting_has_a_planted_secret() -> None:
    assert list_secret_settings(Settings) <= set(PLANTED), "plant a secret in the new setting"


def test_settings_in_the_bundle_contain_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (REQUIRED | PLANTED).items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    redactor = Redactor(find_secrets(settings, PLANTED))
    shown = json.dumps(redactor.redact(dump_settings(settings, PLANTED)))
    assert not [secret for secret in SECRETS if secret in shown]
    assert '"AWS_SESSION_TOKEN"' in shown, "that a variable is set is no secret"
    assert not [secret for secret in SECRETS if secret in redactor.redact_text(" ".join(PLANTED.values()))]


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdef0123456789",
        "AKIAABCDEFGHIJKLMNOP",
        "https://user:hunter22@example.com/",
        "eyJhbGciOi.eyJzdWIiOi.c2ln",
        "whsec_aGVsbG8gd29ybGQ=",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----",
        "https://s3.example.com/?X-Amz-Signature=0123abcd&X-Amz-Date=1",
    ],
)
def test_text_that_looks_like_a_credential_is_removed(text: str) -> None:
    shown = Redactor().redact_text(f"before {text} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert REMOVED in shown
    for secret in ("abcdef0123456789", "AKIA", "hunter22", "c2ln", "aGVsbG8", "MIIB", "0123abcd"):
        assert secret not in shown


@pytest.mark.parametrize("name", ["client_secret", "Authorization", "apiKey", "SecretAccessKey", "session_token"])
def test_field_whose_name_says_that_it_is_secret_is_removed(name: str) -> None:
    assert Redactor().redact({"outer": [{name: "value"}]}) == {"outer": [{name: REMOVED}]}


def test_arns_and_accounts_stay_unless_they_are_masked() -> None:
    data: dict[str, Any] = {
        "key": "arn:aws:kms:eu-central-1:444455556666:key/3d84b6a3-cc16-466a-9451-740412000000",
        "role": "arn:aws:iam::111122223333:role/platform",
        "again": ["444455556666"],
    }
    assert Redactor().redact(data) == data
    masked = Redactor(mask_accounts=True).redact(data)
    assert masked["key"] == "arn:aws:kms:eu-central-1:000000000001:key/3d84b6a3-cc16-466a-9451-740412000000"
    assert masked["role"] == "arn:aws:iam::000000000002:role/platform"
    assert masked["again"] == ["000000000001"]
