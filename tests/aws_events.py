"""Build AWS events as EventBridge sends them, with the fields that AWS's guides document."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.workflows.fake_activities import PLATFORM, RDS_KEY, REGION

PLATFORM_ACCOUNT: Final = PLATFORM.role_arn.split(":")[4]
CUSTOMER_ACCOUNT: Final = RDS_KEY.split(":")[4]


def _build_event(source: str, detail_type: str, account: str, detail: dict[str, Any], age: timedelta) -> dict[str, Any]:
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": f"{datetime.now(UTC) - age:%Y-%m-%dT%H:%M:%SZ}",
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def build_rds_event(event_id: str, name: str, age: timedelta = timedelta(), **changes: Any) -> dict[str, Any]:
    """Build an RDS event.

    The event id determines whether the event is about a cluster or an instance.
    """
    kind = "CLUSTER" if event_id.endswith(("0150", "0151")) else "INSTANCE"
    detail = {
        "EventCategories": ["notification"],
        "SourceType": kind if kind == "CLUSTER" else "DB_INSTANCE",
        "SourceArn": f"arn:aws:rds:{REGION}:{PLATFORM_ACCOUNT}:{'cluster' if kind == 'CLUSTER' else 'db'}:{name}",
        "Message": "Words that may change",
        "SourceIdentifier": name,
        "EventID": event_id,
    }
    return {**_build_event("aws.rds", f"RDS DB {kind.title()} Event", PLATFORM_ACCOUNT, detail, age), **changes}


def build_kms_event(detail_type: str, key_arn: str, age: timedelta = timedelta(), **changes: Any) -> dict[str, Any]:
    """Build an event that KMS sends directly to EventBridge, without CloudTrail."""
    detail = {"key-id": key_arn.rpartition("/")[2]}
    event = _build_event("aws.kms", detail_type, CUSTOMER_ACCOUNT, detail, age)
    return {**event, "resources": [key_arn], **changes}


def build_cloudtrail_event(
    operation: str, key_id: str, age: timedelta = timedelta(), *, resources: tuple[str, ...] = (), **detail: Any
) -> dict[str, Any]:
    """Build the CloudTrail event for a KMS API call in the customer's account."""
    content = {
        "eventSource": "kms.amazonaws.com",
        "eventName": operation,
        "awsRegion": REGION,
        "requestParameters": {"keyId": key_id},
        "resources": [{"accountId": CUSTOMER_ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn} for arn in resources],
        **detail,
    }
    return _build_event("aws.kms", "AWS API Call via CloudTrail", CUSTOMER_ACCOUNT, content, age)
