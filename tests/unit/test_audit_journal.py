"""The audit journal survives crashes, full disks and an outage of the bucket (contract 147)."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from botocore.exceptions import EndpointConnectionError

from byok.audit.journal import (
    AuditJournal,
    JournalUnwritableError,
    list_pieces,
    lock_closed_piece,
    read_backlog,
    read_records,
)
from byok.audit.record import AuditAction, AuditRecord, RecordKind
from byok.audit.shipping import AuditShipper, build_object_name
from byok.domain.models import EntryPoint, Requester
from tests.audit_journal import read_journal

ROOT = Path(__file__).resolve().parents[2]
PREAMBLE = """
import asyncio, sys
from pathlib import Path
from byok.audit.journal import AuditJournal, JournalUnwritableError
from tests.unit.test_audit_journal import build_record
journal = AuditJournal(Path(sys.argv[1]))
"""


def build_record(request_id: str) -> AuditRecord:
    """Build an intent record."""
    sender = Requester(via=EntryPoint.API, subject="ana", request_id=request_id)
    return AuditRecord(kind=RecordKind.INTENT, action=AuditAction.CREATE_ENVIRONMENT, requester=sender)


def list_request_ids(directory: Path) -> list[str]:
    return [record.requester.request_id for record in read_journal(directory)]


class Bucket:
    """A sink that can be unavailable, and that never stores an object twice, like S3 with If-None-Match."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.away = False

    def put(self, name: str, content: bytes) -> None:
        if self.away:
            raise EndpointConnectionError(endpoint_url="https://s3.invalid")
        assert self.objects.setdefault(name, content) == content


async def test_concurrent_records_share_a_flush(journal: AuditJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes: list[int] = []
    flush = os.fsync

    def count(descriptor: int) -> None:
        flushes.append(descriptor)
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", count)
    await asyncio.gather(*(journal.append(build_record(str(number))) for number in range(200)))

    assert sorted(list_request_ids(journal.directory), key=int) == [str(number) for number in range(200)]
    assert len(flushes) < 10


async def test_pieces_are_closed_by_size_and_by_age(tmp_path: Path) -> None:
    small = AuditJournal(tmp_path / "small", max_piece_bytes=1)
    young = AuditJournal(tmp_path / "young", max_piece_age=timedelta(0))
    for number in range(3):
        await small.append(build_record(str(number)))
        await young.append(build_record(str(number)))
    assert len(list_pieces(tmp_path / "small")) == len(list_pieces(tmp_path / "young")) == 3
    assert list_request_ids(tmp_path / "small") == ["0", "1", "2"]


def test_killed_process_loses_no_flushed_record(tmp_path: Path) -> None:
    """Records that `append` confirmed are in the journal after `kill -9`; an incomplete last line is skipped."""
    program = (
        PREAMBLE
        + """
async def main():
    number = 0
    while True:
        await journal.append(build_record(str(number)))
        print(number, flush=True)
        number += 1
asyncio.run(main())
"""
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    confirmed = [writer.stdout.readline().strip() for _ in range(50)]
    with lock_closed_piece(list_pieces(tmp_path)[0]) as content:
        assert content is None, "the piece of a running process is open"
    writer.send_signal(signal.SIGKILL)
    confirmed += writer.communicate()[0].split()

    (piece,) = list_pieces(tmp_path)
    assert set(confirmed) <= set(list_request_ids(tmp_path))
    with lock_closed_piece(piece) as content:
        assert content, "the kernel released the lock of the killed process"
    with piece.open("ab") as file:
        file.write(b'{"schema_version":1,"rec')
    assert set(confirmed) <= set(list_request_ids(tmp_path))


def test_damaged_line_before_the_last_one_is_reported(tmp_path: Path) -> None:
    piece = tmp_path / "piece.jsonl"
    piece.write_text("{}\n" + build_record("1").model_dump_json() + "\n")
    with pytest.raises(ValueError, match="line 1, is not an audit record"):
        list(read_records(piece))


def test_full_disk_refuses_the_record_and_the_next_record_goes_to_a_new_piece(tmp_path: Path) -> None:
    program = (
        PREAMBLE
        + """
import resource
async def main():
    await journal.append(build_record("before"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))
    try:
        await journal.append(build_record("refused"))
    except JournalUnwritableError as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.append(build_record("after"))
asyncio.run(main())
"""
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert "cannot be written" in told.stdout
    assert len(list_pieces(tmp_path)) == 2
    assert list_request_ids(tmp_path) == ["before", "after"]


async def test_outage_of_the_bucket_loses_nothing_and_does_not_delay_records(tmp_path: Path) -> None:
    bucket = Bucket()
    journal = AuditJournal(tmp_path, max_piece_bytes=1)
    shipper = AuditShipper(journal, bucket)
    bucket.away = True
    for number in range(5):
        await journal.append(build_record(str(number)))
        with pytest.raises(EndpointConnectionError):
            await shipper.ship_closed_pieces()
    backlog = read_backlog(tmp_path)
    assert backlog.pieces == 5
    assert backlog.oldest is not None
    assert abs(time.time() - backlog.oldest.timestamp()) < 60

    bucket.away = False
    assert await shipper.ship_closed_pieces() == 4 + 1
    assert read_backlog(tmp_path).pieces == 0
    lines = b"".join(bucket.objects[name] for name in sorted(bucket.objects)).splitlines()
    ids = [AuditRecord.model_validate_json(line).requester.request_id for line in lines]
    assert ids == ["0", "1", "2", "3", "4"]


async def test_shipping_resumes_on_its_own_after_an_outage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("byok.audit.shipping.SHIPPING_INTERVAL", timedelta(milliseconds=1))
    monkeypatch.setattr("byok.audit.shipping._LONGEST_INTERVAL", timedelta(milliseconds=4))
    refused, stored = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    class Unsteady(Bucket):
        attempts = 0

        def put(self, name: str, content: bytes) -> None:
            self.attempts += 1
            if self.attempts > 3:
                super().put(name, content)
                loop.call_soon_threadsafe(stored.set)
                return
            loop.call_soon_threadsafe(refused.set)
            if self.attempts > 1:
                raise RuntimeError("an error that the shipper does not expect")
            super().put(name, content)  # the object is stored, but the response is lost
            raise EndpointConnectionError(endpoint_url="https://s3.invalid")

    bucket = Unsteady()
    journal = AuditJournal(tmp_path, max_piece_age=timedelta(0))
    await journal.append(build_record("1"))
    shipping = asyncio.create_task(AuditShipper(journal, bucket).run())
    async with asyncio.timeout(20):
        await refused.wait()
        await journal.append(build_record("2"))
        await stored.wait()
        while read_backlog(tmp_path).pieces:  # noqa: ASYNC110 - another thread removes the pieces
            await asyncio.sleep(0.01)
    shipping.cancel()
    lines = b"".join(bucket.objects[name] for name in sorted(bucket.objects)).splitlines()
    assert [AuditRecord.model_validate_json(line).requester.request_id for line in lines] == ["1", "2"]


async def test_lost_response_of_the_bucket_stores_no_piece_twice(tmp_path: Path) -> None:
    bucket = Bucket()
    journal = AuditJournal(tmp_path, max_piece_age=timedelta(0))
    await journal.append(build_record("1"))
    await journal.close_old_piece()
    (piece,) = list_pieces(tmp_path)
    content = piece.read_bytes()
    bucket.put(build_object_name(piece, content), content)

    assert await AuditShipper(journal, bucket).ship_closed_pieces() == 1
    (name,) = bucket.objects
    assert hashlib.sha256(content).hexdigest()[:16] in name


async def test_unwritable_directory_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = AuditJournal(tmp_path / "file")
    with pytest.raises(JournalUnwritableError, match="cannot be written"):
        journal.require_writable()
    with pytest.raises(JournalUnwritableError, match="cannot be written"):
        await journal.append(build_record("1"))
