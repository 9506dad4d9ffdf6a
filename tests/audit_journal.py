"""An audit journal in the test's own directory, and a function that reads the records of a journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from byok.audit.journal import AuditJournal, list_pieces, read_records
from byok.audit.record import AuditRecord


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[AuditJournal]:
    """The audit journal of the server or worker under test."""
    opened = AuditJournal(tmp_path / "audit")
    yield opened
    opened.close()


def read_journal(directory: Path) -> list[AuditRecord]:
    """Return all records in a journal's directory, oldest first."""
    return [record for piece in list_pieces(directory) for record in read_records(piece)]
