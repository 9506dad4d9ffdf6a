"""The audit trail is shipped to a bucket with Object Lock (contract 147)."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from byok.audit.journal import AuditJournal, read_backlog
from byok.audit.record import AuditAction, AuditRecord, RecordKind
from byok.audit.shipping import AuditShipper, S3AuditSink
from byok.domain.models import EntryPoint, Requester
from localaws.state import CUSTOMER_ACCOUNT, PLATFORM_ACCOUNT
from tests.localaws.server import REGION, AwsHarness

RETENTION = timedelta(days=400)


@pytest.fixture
def bucket(aws: AwsHarness) -> str:
    """A bucket with Object Lock in the platform's account."""
    name = f"audit-{uuid.uuid4().hex}"
    aws.operator_client("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
        ObjectLockEnabledForBucket=True,
    )
    return name


def make_sink(aws: AwsHarness, bucket: str, owner: str = PLATFORM_ACCOUNT) -> S3AuditSink:
    return S3AuditSink(aws.platform_client("s3"), bucket, owner, "COMPLIANCE", RETENTION)


def test_shipped_piece_cannot_be_deleted_before_its_retention_ends(aws: AwsHarness, bucket: str) -> None:
    make_sink(aws, bucket).put("audit/piece.jsonl", b"{}\n")

    s3 = aws.operator_client("s3")
    kept = s3.get_object(Bucket=bucket, Key="audit/piece.jsonl")
    assert kept["Body"].read() == b"{}\n"
    assert kept["ObjectLockMode"] == "COMPLIANCE"
    left = kept["ObjectLockRetainUntilDate"] - datetime.now(UTC)
    assert timedelta(days=399) < left <= RETENTION
    with pytest.raises(ClientError) as caught:
        s3.delete_object(Bucket=bucket, Key="audit/piece.jsonl", VersionId=kept["VersionId"])
    assert caught.value.response["Error"]["Code"] == "AccessDenied"


def test_piece_that_was_shipped_already_is_not_stored_again(aws: AwsHarness, bucket: str) -> None:
    sink = make_sink(aws, bucket)
    sink.put("audit/piece.jsonl", b"{}\n")
    sink.put("audit/piece.jsonl", b"{}\n")

    versions = aws.operator_client("s3").list_object_versions(Bucket=bucket)["Versions"]
    assert [one["Key"] for one in versions] == ["audit/piece.jsonl"]


async def test_bucket_of_another_account_gets_no_records(aws: AwsHarness, bucket: str, tmp_path: Path) -> None:
    journal = AuditJournal(tmp_path, max_piece_age=timedelta(0))
    sender = Requester(via=EntryPoint.API, subject="ana", request_id="1")
    await journal.append(AuditRecord(kind=RecordKind.INTENT, action=AuditAction.CANCEL, requester=sender))
    with pytest.raises(ClientError) as caught:
        await AuditShipper(journal, make_sink(aws, bucket, CUSTOMER_ACCOUNT)).ship_closed_pieces()
    assert caught.value.response["Error"]["Code"] == "AccessDenied"  # contract 154
    assert read_backlog(tmp_path).pieces == 1

    assert await AuditShipper(journal, make_sink(aws, bucket)).ship_closed_pieces() == 1
    (shipped,) = aws.operator_client("s3").list_objects_v2(Bucket=bucket)["Contents"]
    body = aws.operator_client("s3").get_object(Bucket=bucket, Key=shipped["Key"])["Body"].read()
    assert AuditRecord.model_validate_json(body).requester == sender
    assert read_backlog(tmp_path).pieces == 0
