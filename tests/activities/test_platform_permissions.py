"""docs/settings.md lists exactly the IAM actions that the platform role's calls to RDS and S3 need.

Sources: service authorization reference, "Actions, resources, and condition keys for Amazon RDS" and "… for Amazon S3";
the descriptions of the operations and parameters in botocore's RDS and S3 models.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.client import BaseClient

from byok.domain.problems.aws_errors import OPERATIONS_BY_SERVICE
from tests.activities.conftest import ActivityHarness

SETTINGS_PAGE: Final = Path(__file__).parents[2] / "docs" / "settings.md"

OTHER_NAMES: Final = {
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjectVersions": "ListBucketVersions",
    "ListObjectsV2": "ListBucket",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
}
"""The actions of the S3 operations that do not have the name of their operation."""

MORE_ACTIONS: Final = {
    ("CreateBucket", "Tags"): "TagResource",
    ("CreateDBCluster", "Tags"): "AddTagsToResource",
    ("CreateDBInstance", "Tags"): "AddTagsToResource",
    ("DeleteDBCluster", "FinalDBSnapshotIdentifier"): "CreateDBClusterSnapshot",
    ("DeleteObject", "VersionId"): "DeleteObjectVersion",
    ("GetObject", "VersionId"): "GetObjectVersion",
    ("GetObjectTagging", "VersionId"): "GetObjectVersionTagging",
    ("PutObject", "Tagging"): "PutObjectTagging",
}
"""The actions that a parameter of an operation needs in addition."""


def list_actions(service: str, operation: str, params: Mapping[str, Any]) -> set[str]:
    """List the IAM actions that a call needs."""
    given = {**params, **params.get("CreateBucketConfiguration", {})}
    needed = {OTHER_NAMES.get(operation, operation)}
    needed |= {action for (name, param), action in MORE_ACTIONS.items() if name == operation and param in given}
    return {f"{service}:{action}" for action in needed}


def read_documented_actions() -> set[str]:
    """Read the actions of RDS and S3 in the table of docs/settings.md."""
    section = SETTINGS_PAGE.read_text().partition("### Permissions of the platform role")[2].partition("\n### ")[0]
    rows = re.findall(r"^\| `(rds|s3)` \| ([^|]+) \|", section, re.MULTILINE)
    return {f"{service}:{action}" for service, actions in rows for action in actions.strip().split(", ")}


def test_documented_permissions_are_exactly_the_actions_of_the_calls(
    harness: ActivityHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = {
        action
        for service in ("rds", "s3")
        for operation in OPERATIONS_BY_SERVICE[service]
        for action in list_actions(service, operation, {})
    }
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def record(client: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        needed.update(list_actions(client.meta.service_model.service_name, operation, params))
        return call(client, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", record)
    harness.provision_environment()
    harness.run_with_retries(harness.evidence.collect_evidence, harness.plan)
    harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task("acme-final"))
    harness.run_with_retries(harness.database.remove_writer, harness.database_removal())
    harness.run_with_retries(harness.database.remove_cluster, harness.database_removal("acme-final"))
    for index in range(len(harness.plan.buckets)):
        harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal(index))

    assert {action for action in needed if action.startswith(("rds:", "s3:"))} == read_documented_actions()
