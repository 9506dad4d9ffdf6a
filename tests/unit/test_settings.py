"""byok reads settings from environment variables once, and refuses a variable with a misspelt name."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError
from pydantic_settings import SettingsError

from byok.settings import LogFormat, Settings, format_settings_error


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("BYOK_")]:
        monkeypatch.delenv(name)


def test_all_settings_have_defaults() -> None:
    settings = Settings()
    assert settings.platform_role_arn is None
    assert settings.blueprint is None
    assert settings.vendor.name == "Ataccama"
    assert settings.log_format is LogFormat.JSON
    assert settings.database_poll_seconds == 60


def test_setting_names_have_the_prefix_and_double_underscores_for_nesting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_PLATFORM_ROLE_ARN", "arn:aws:iam::111122223333:role/path/Platform")
    monkeypatch.setenv("BYOK_VENDOR__NAME", "Acme")
    monkeypatch.setenv("BYOK_BLUEPRINT", "some/blueprint.yaml")
    settings = Settings()
    assert settings.platform_role_arn == "arn:aws:iam::111122223333:role/path/Platform"
    assert settings.vendor.s3_access_sid == "AllowAcmePlatformS3Access"
    assert settings.blueprint == Path("some/blueprint.yaml")


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_PLATFORM_ROLE_ARN", "")
    monkeypatch.setenv("BYOK_DATABASE_POLL_SECONDS", "")
    assert Settings().platform_role_arn is None
    assert Settings().database_poll_seconds == 60


def test_misspelt_name_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_PLATFROM_ROLE_ARN", "arn:aws:iam::111122223333:role/Platform")
    with pytest.raises(
        ValidationError, match=r"unknown: BYOK_PLATFROM_ROLE_ARN; known settings: .*BYOK_PLATFORM_ROLE_ARN"
    ):
        Settings()


def test_misspelt_nested_name_is_refused_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_VENDOR__NAMME", "Acme")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert [fault["loc"] for fault in caught.value.errors()] == [("vendor", "namme")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BYOK_PLATFORM_ROLE_ARN", "arn:aws:iam::111122223333:user/Someone"),
        ("BYOK_PLATFORM_ROLE_ARN", "arn:aws:sts::111122223333:assumed-role/Platform/session"),
        ("BYOK_DATABASE_POLL_SECONDS", "0"),
        ("BYOK_ACTIVITY_THREADS", "many"),
        ("BYOK_LOG_LEVEL", "LOUD"),
        ("BYOK_LOG_FORMAT", "xml"),
        ("BYOK_VENDOR__NAME", "not pascal case"),
    ],
)
def test_invalid_value_is_refused_with_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as caught:
        Settings()
    field = name.removeprefix("BYOK_").lower().split("__")
    assert list(caught.value.errors()[0]["loc"]) == field


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().activity_threads = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        *(
            (
                "BYOK_VENDOR__NAME",
                name,
                "BYOK_VENDOR__NAME: must start with a capital letter and have at most 32 characters, only digits and "
                "letters without accents",
            )
            for name in ("Globex Corp", "globex", "Müller", "3M", "G" * 33)
        ),
        (
            "BYOK_VENDOR__NAME",
            "Aws",
            "BYOK_VENDOR__TENANT_TAGS: AWS reserves tag keys that start with aws:, such as aws:auto",
        ),
        *(
            ("BYOK_VENDOR__TENANT_TAGS", text, "BYOK_VENDOR__TENANT_TAGS: must be a JSON list, such as [")
            for text in ("bla", '"a"', "[1]", "{}")
        ),
        ("BYOK_VENDOR", "x", "BYOK_VENDOR: must be a JSON object"),
        ("BYOK_VENDOR__NAMME", "Acme", "BYOK_VENDOR__NAMME: no such setting"),
        ("BYOK_VENDOR__RESOURCE_PREFIX", "Globex", "BYOK_VENDOR__RESOURCE_PREFIX: must be 2 to 8 lower-case letters"),
        ("BYOK_VENDOR__TAG_PREFIX", "a:b", "BYOK_VENDOR__TAG_PREFIX: must be at most 31 lower-case letters"),
        ("BYOK_NONSENSE", "1", "unknown: BYOK_NONSENSE"),
        ("BYOK_WORKER_DEPLOYMENT", "byok", "BYOK_WORKER_BUILD_ID: missing; a versioned worker needs BYOK_WORKER_D"),
        ("BYOK_WORKER_BUILD_ID", "1.0", "BYOK_WORKER_DEPLOYMENT: missing; a versioned worker needs BYOK_WORKER_D"),
        ("BYOK_WORKER_DEPLOYMENT", "by.ok", "BYOK_WORKER_DEPLOYMENT: must be letters, digits, _ and -"),
        ("BYOK_WORKER_BUILD_ID", "1:0", "BYOK_WORKER_BUILD_ID: must be letters, digits and . _ + -"),
    ],
)
def test_settings_error_names_its_variable_once_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises((ValidationError, SettingsError)) as caught:
        Settings()
    assert isinstance(caught.value, ValidationError | SettingsError)
    words = format_settings_error(caught.value)
    assert words.startswith(told)
    assert words.count("BYOK_VENDOR__") <= 1


def test_home_region_is_the_only_region_in_use_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (Settings().home_region, Settings().regions) == ("eu-central-1", ("eu-central-1",))
    monkeypatch.setenv("BYOK_HOME_REGION", "us-east-1")
    assert Settings().regions == ("us-east-1",)


def test_regions_in_use_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_REGIONS", "eu-central-1, us-east-1,us-east-1")
    assert Settings().regions == ("eu-central-1", "us-east-1")


@pytest.mark.parametrize(
    ("regions", "reason"),
    [
        ("us-east-1", "BYOK_REGIONS: must contain the home Region, eu-central-1 (BYOK_HOME_REGION)"),
        ("eu-central-1,us-eas-1", "BYOK_REGIONS: not an AWS Region; the nearest name is us-east-1"),
        ("eu-central-1,cn-north-1", "BYOK_REGIONS: cn-north-1 is not in the partition of eu-central-1, aws"),
    ],
)
def test_regions_that_do_not_belong_together_are_refused(
    monkeypatch: pytest.MonkeyPatch, regions: str, reason: str
) -> None:
    monkeypatch.setenv("BYOK_REGIONS", regions)
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert format_settings_error(caught.value) == reason


def test_audit_bucket_needs_an_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_AUDIT__BUCKET", "my-audit")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "BYOK_AUDIT__BUCKET_OWNER: missing" in format_settings_error(caught.value)

    monkeypatch.setenv("BYOK_PLATFORM_ROLE_ARN", "arn:aws:iam::111122223333:role/Platform")
    assert Settings().audit_bucket_owner == "111122223333"
    monkeypatch.setenv("BYOK_AUDIT__BUCKET_OWNER", "999988887777")
    assert Settings().audit_bucket_owner == "999988887777"


def test_sweeps_are_close_enough_to_report_a_lost_key_within_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().health_check_seconds == 240  # contract 141
    monkeypatch.setenv("BYOK_HEALTH_CHECK_SECONDS", "301")
    with pytest.raises(ValidationError, match="less than or equal to 300"):
        Settings()
