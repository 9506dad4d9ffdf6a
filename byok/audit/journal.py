"""The journal: the audit trail on this machine's disk, as append-only JSON Lines files (contract 147).

Each process writes to one file at a time, called a *piece*, and holds a lock (flock) on this file. The kernel releases
the lock when the process ends, even after `kill -9`, so a piece without a lock is closed.
"""

import asyncio
import contextlib
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError

from byok.audit.record import AuditRecord

PIECE_SUFFIX: Final = ".jsonl"
_TIME_FORMAT: Final = "%Y%m%dT%H%M%S%fZ"

log = structlog.get_logger(__name__)


class JournalUnwritableError(Exception):
    """A record could not be flushed to disk. The error's message gives the reason."""


@dataclass
class _OpenPiece:
    path: Path
    descriptor: int
    opened_at: float
    size: int = 0


class AuditJournal:
    """Appends records to the journal. A journal can be used from only one event loop.

    Records that arrive while the disk is busy share the next flush (group commit), so the flush adds latency to each
    request, but does not limit the number of requests per second.

    Args:
        directory: The directory that contains the pieces. Several processes can share the directory.
        max_piece_bytes: The size at which a piece is closed.
        max_piece_age: The age at which a piece is closed, so that its records can be shipped.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_piece_bytes: int = 16 * 1024 * 1024,
        max_piece_age: timedelta = timedelta(minutes=1),
    ) -> None:
        self.directory = directory
        self._max_bytes = max_piece_bytes
        self._max_age = max_piece_age.total_seconds()
        # The journal has its own thread, so that a flush does not wait for AWS calls, which can occupy all threads of
        # the default executor.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="audit-journal")
        self._piece: _OpenPiece | None = None
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._flushing: asyncio.Task[None] | None = None

    async def append(self, record: AuditRecord) -> None:
        """Append a record, and return once the record is on disk.

        Raises:
            JournalUnwritableError: The record might not be on disk.
        """
        flushed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record.model_dump_json(exclude_none=True).encode() + b"\n", flushed))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await flushed

    async def close_old_piece(self) -> None:
        """Close the open piece if it has reached its maximum size or age, so that the piece can be shipped."""
        await asyncio.get_running_loop().run_in_executor(self._disk, self._close_piece_if_due)

    def require_writable(self) -> None:
        """Verify that the journal's directory exists or can be created, and that a piece can be created in it.

        Raises:
            JournalUnwritableError: The directory cannot be written.
        """
        try:
            self._disk.submit(self._open_piece).result()
            self._disk.submit(self._close_piece).result()
        except OSError as error:
            raise JournalUnwritableError(f"The audit journal {self.directory} cannot be written: {error}") from error

    def close(self) -> None:
        """Close the open piece. Call this method after the last `append`."""
        self._disk.submit(self._close_piece).result()
        self._disk.shutdown()

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    await loop.run_in_executor(self._disk, self._write, b"".join(line for line, _ in batch))
                except (OSError, RuntimeError) as error:  # RuntimeError: the journal is closed
                    log.exception("audit_journal_unwritable", directory=str(self.directory))
                    failure = JournalUnwritableError(f"The audit journal {self.directory} cannot be written: {error}")
                    for _, flushed in batch:
                        if not flushed.done():
                            flushed.set_exception(failure)
                else:
                    for _, flushed in batch:
                        if not flushed.done():
                            flushed.set_result(None)
        finally:
            self._flushing = None

    def _write(self, lines: bytes) -> None:
        self._close_piece_if_due()
        piece = self._open_piece()
        try:
            rest = memoryview(lines)
            while rest:
                written = os.write(piece.descriptor, rest)
                piece.size += written
                rest = rest[written:]
            os.fsync(piece.descriptor)
        except OSError:
            # The write failed, so the piece's last line might be incomplete. The next record goes to a new piece, so
            # that only the last line of a piece can be incomplete.
            self._close_piece()
            raise

    def _close_piece_if_due(self) -> None:
        piece = self._piece
        if piece is None or not piece.size:
            return
        if piece.size >= self._max_bytes or time.monotonic() - piece.opened_at >= self._max_age:
            self._close_piece()

    def _open_piece(self) -> _OpenPiece:
        if self._piece is not None:
            return self._piece
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = f"{datetime.now(UTC):{_TIME_FORMAT}}-{uuid.uuid4().hex[:8]}{PIECE_SUFFIX}"
        # The piece gets its final name only after the piece is locked, so that a shipper cannot mistake the empty file
        # for a closed piece.
        hidden, path = self.directory / f".{name}", self.directory / name
        descriptor = os.open(hidden, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            hidden.rename(path)
            _flush_directory(self.directory)
        except OSError:
            os.close(descriptor)
            raise
        self._piece = _OpenPiece(path, descriptor, time.monotonic())
        return self._piece

    def _close_piece(self) -> None:
        piece, self._piece = self._piece, None
        if piece is None:
            return
        if not piece.size:
            with contextlib.suppress(OSError):
                piece.path.unlink()
        os.close(piece.descriptor)


@dataclass(frozen=True)
class JournalBacklog:
    """The number and size of the pieces in a journal's directory, including open pieces.

    Attributes:
        pieces: How many pieces the directory contains.
        size_bytes: The total size of the pieces.
        oldest: When the oldest piece was opened; None if there is no piece.
    """

    pieces: int
    size_bytes: int
    oldest: datetime | None


def list_pieces(directory: Path) -> list[Path]:
    """Return the pieces in a directory, oldest first."""
    return sorted(path for path in directory.glob(f"*{PIECE_SUFFIX}") if not path.name.startswith("."))


def read_backlog(directory: Path) -> JournalBacklog:
    """Return how many pieces a journal's directory contains, their total size, and when the oldest piece was opened."""
    sizes: dict[Path, int] = {}
    for piece in list_pieces(directory):
        with contextlib.suppress(FileNotFoundError):  # a shipper has just removed the piece
            sizes[piece] = piece.stat().st_size
    opened = [when for when in map(_opened_at, sizes) if when is not None]
    return JournalBacklog(len(sizes), sum(sizes.values()), min(opened, default=None))


def read_records(piece: Path) -> Iterator[AuditRecord]:
    """Yield a piece's records. If a crash left the last line incomplete, that line is skipped.

    Raises:
        ValueError: A complete line is not a valid audit record. The message contains the line number.
    """
    for number, line in enumerate(piece.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield AuditRecord.model_validate_json(line)
        except ValidationError as error:
            raise ValueError(f"{piece}, line {number}, is not an audit record") from error


@contextlib.contextmanager
def lock_closed_piece(piece: Path) -> Iterator[bytes | None]:
    """Lock a closed piece, and return its content.

    Return None if a process is still writing to the piece, or if another process has removed the piece.
    """
    try:
        descriptor = os.open(piece, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    with os.fdopen(descriptor, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file.read()


def _opened_at(piece: Path) -> datetime | None:
    try:
        return datetime.strptime(piece.name.partition("-")[0], _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def _flush_directory(directory: Path) -> None:
    """Flush a directory, so that its new entries survive a power failure (fsync(2))."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
