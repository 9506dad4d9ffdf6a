"""Ships closed pieces of the journal to an S3 bucket with Object Lock (contract 147).

A piece stays on disk until S3 has confirmed that the piece's object is stored, so the shipper does not need to record
its progress. An S3 outage delays shipping, but does not affect the journal.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import ClientError

from byok.audit.journal import AuditJournal, list_pieces, lock_closed_piece, read_backlog

SHIPPING_INTERVAL: Final = timedelta(seconds=10)
_LONGEST_INTERVAL: Final = timedelta(minutes=5)
_CLIENT: Final = Config(connect_timeout=5, read_timeout=20, retries={"total_max_attempts": 1, "mode": "standard"})

log = structlog.get_logger(__name__)


class AuditSink(Protocol):
    """The destination to which the shipper copies pieces."""

    def put(self, name: str, content: bytes) -> None:
        """Store a piece durably. Storing the same piece again changes nothing.

        Raises:
            BotoCoreError: S3 cannot be reached.
            ClientError: S3 refuses the request.
        """
        ...


@dataclass(frozen=True)
class S3AuditSink:
    """Stores pieces in a bucket with Object Lock.

    Attributes:
        client: An S3 client for the bucket's Region.
        owner: The account that owns the bucket. S3 refuses the call if another account owns the bucket (contract 154).
        mode: `COMPLIANCE`, so that no user can shorten the retention, or `GOVERNANCE`.
        retention: How long S3 refuses to delete an object.
    """

    client: Any
    bucket: str
    owner: str
    mode: str
    retention: timedelta

    @classmethod
    def create(cls, bucket: str, owner: str, region: str, mode: str, retention: timedelta) -> "S3AuditSink":
        """Create the sink with credentials from boto3's default credential chain."""
        return cls(boto3.client("s3", region_name=region, config=_CLIENT), bucket, owner, mode, retention)

    def put(self, name: str, content: bytes) -> None:
        """See `AuditSink`."""
        try:
            self.client.put_object(
                Bucket=self.bucket,
                Key=name,
                Body=content,
                ContentType="application/jsonl",
                # "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload an
                # object with a retention period configured using Amazon S3 Object Lock" (botocore's S3 model).
                ChecksumAlgorithm="SHA256",
                ObjectLockMode=self.mode,
                ObjectLockRetainUntilDate=datetime.now(UTC) + self.retention,
                # S3 stores the object only if the bucket has no object with this key. If the bucket has such an object,
                # S3 returns "412 Precondition Failed" (botocore's S3 model).
                IfNoneMatch="*",
                ExpectedBucketOwner=self.owner,
            )
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:  # noqa: PLR2004 - HTTP's own number
                raise
            # An earlier attempt stored the piece, but its response was lost. The object's name contains a digest of the
            # content, so the object in the bucket has the same content as this piece.


class AuditShipper:
    """Ships closed pieces, oldest first, until the task is cancelled.

    Args:
        journal: The journal whose directory contains the pieces. The shipper also ships pieces that were left behind by
            processes that have ended.
        sink: Where to ship the pieces.
    """

    def __init__(self, journal: AuditJournal, sink: AuditSink) -> None:
        self._journal = journal
        self._sink = sink

    async def run(self) -> None:
        """Ship pieces as they are closed. If the sink fails, log an error and retry at growing intervals."""
        interval = SHIPPING_INTERVAL
        while True:
            try:
                await self.ship_closed_pieces()
                interval = SHIPPING_INTERVAL
            except Exception as error:  # shipping must continue after any error
                interval = min(interval * 2, _LONGEST_INTERVAL)
                await asyncio.to_thread(self._report, error)
            await asyncio.sleep(interval.total_seconds())

    async def ship_closed_pieces(self) -> int:
        """Ship all closed pieces, and return how many were shipped.

        Raises:
            BotoCoreError: The sink cannot be reached. The piece stays on disk.
            ClientError: The sink refuses a piece. The piece stays on disk.
        """
        await self._journal.close_old_piece()
        return await asyncio.to_thread(self._ship)

    def _ship(self) -> int:
        shipped = 0
        for piece in list_pieces(self._journal.directory):
            with lock_closed_piece(piece) as content:
                if content is None:
                    continue
                if content:
                    self._sink.put(build_object_name(piece, content), content)
                    shipped += 1
                piece.unlink(missing_ok=True)
        return shipped

    def _report(self, error: Exception) -> None:
        backlog = read_backlog(self._journal.directory)
        log.error(
            "audit_shipping_failed",
            pieces=backlog.pieces,
            size_bytes=backlog.size_bytes,
            oldest=backlog.oldest.isoformat() if backlog.oldest else None,
            error=str(error),
        )


def build_object_name(piece: Path, content: bytes) -> str:
    """Return the name of a piece's object, which consists of the day, the piece's name and a digest of the content.

    If the shipper ships a piece again, the name is the same, so nothing changes in the bucket.
    """
    day = piece.name[:8]
    return f"audit/{day[:4]}/{day[4:6]}/{day[6:8]}/{piece.stem}-{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
