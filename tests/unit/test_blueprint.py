"""byok validates a blueprint when it loads the file, so that AWS does not reject the values during provisioning."""

from typing import Any

import pytest
from pydantic import ValidationError

from byok.domain.blueprint import Blueprint, DatabaseBlueprint, MasterAuthentication

KEY = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
OBJECT = {"key": "services/catalog/bootstrap.json", "content": "{}"}


def build_blueprint(**changes: Any) -> Blueprint:
    return Blueprint.model_validate({"buckets": [{"purpose": "catalog", "objects": [OBJECT]}], **changes})


def test_minimal_blueprint_has_one_bucket_with_one_object() -> None:
    assert build_blueprint().buckets[0].objects[0].content_type == "application/json"


def test_default_database_settings_are_safe() -> None:
    database = build_blueprint().database
    assert database.deletion_protection
    assert database.backup_retention_days >= 7
    assert database.authentication is MasterAuthentication.IAM  # contract D15


@pytest.mark.parametrize(
    ("buckets", "said"),
    [
        ([], "at least 1"),
        ([{"purpose": "catalog"}], "no bucket has an initial object"),  # contract 96: an object proves the key
        ([{"purpose": "a", "objects": [OBJECT]}, {"purpose": "a"}], "two buckets have the same purpose"),
        ([{"purpose": "a", "objects": [OBJECT, OBJECT]}], "two objects with the same key"),
        ([{"purpose": "Upper", "objects": [OBJECT]}], "purpose"),
        ([{"purpose": "with-hyphen", "objects": [OBJECT]}], "purpose"),
        ([{"purpose": "morethantwelve", "objects": [OBJECT]}], "purpose"),
        ([{"purpose": "a", "objects": [{**OBJECT, "key": "/leading"}]}], "key"),
        ([{"purpose": "a", "objects": [{**OBJECT, "key": ""}]}], "key"),
        ([{"purpose": "a", "objects": [{**OBJECT, "content": "x" * 16_385}]}], "content"),
        ([{"purpose": "a", "objects": [{**OBJECT, "content_type": "json"}]}], "content_type"),
        ([{"purpose": "a", "objects": [{**OBJECT, "acl": "public-read"}]}], "acl"),
        ([{"purpose": f"p{number}", "objects": [OBJECT]} for number in range(21)], "at most 20"),
    ],
)
def test_invalid_buckets_are_refused(buckets: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        build_blueprint(buckets=buckets)


@pytest.mark.parametrize(
    ("database", "said"),
    [
        ({"min_capacity": 8, "max_capacity": 4}, "min_capacity is larger"),
        ({"min_capacity": 0.7}, "min_capacity"),
        ({"max_capacity": 512}, "max_capacity"),
        ({"backup_retention_days": 6}, "backup_retention_days"),
        ({"backup_retention_days": 36}, "backup_retention_days"),
        ({"engine_version": "latest"}, "engine_version"),
        ({"database_name": "App-1"}, "database_name"),
        ({"database_name": "rdsadmin"}, "reserved"),
        ({"database_name": "template1"}, "reserved"),
        ({"master_username": "admin"}, "reserved"),
        ({"master_username": "rdsadmin"}, "reserved"),
        ({"master_username": "pg_monitor"}, "reserved"),
        ({"security_group_ids": ["default"]}, "security_group_ids"),
        ({"master_secret_key_arn": KEY}, "managed-secret"),
        ({"authentication": "managed-secret", "master_secret_key_arn": "alias/platform"}, "alias"),
        ({"authentication": "password"}, "authentication"),
        ({"storage_encrypted": False}, "storage_encrypted"),  # contract 85: not configurable
        ({"kms_key_id": KEY}, "kms_key_id"),  # contract 99: not configurable
    ],
)
def test_invalid_database_is_refused(database: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        build_blueprint(database=database)


def test_managed_secret_accepts_a_platform_key() -> None:
    database = DatabaseBlueprint(authentication=MasterAuthentication.MANAGED_SECRET, master_secret_key_arn=KEY)
    assert database.master_secret_key_arn == KEY  # contract D15


def test_unknown_version_is_refused() -> None:
    with pytest.raises(ValidationError, match="version"):
        build_blueprint(version=2)


def test_error_repeats_no_value() -> None:
    with pytest.raises(ValidationError) as refusal:
        build_blueprint(database={"master_username": "Hunter2!"})
    assert "Hunter2" not in str(refusal.value)
