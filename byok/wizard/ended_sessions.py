"""Remembers which sessions users have ended, because a signed cookie stays valid until it expires."""

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

MAX_ENDED_SESSIONS: Final = 100_000
"""The maximum number of ended sessions that one process remembers. Each session takes about 100 bytes of memory."""


@dataclass
class EndedSessions:
    """Remembers the sessions that users have ended.

    Attributes:
        directory: Directory shared by all processes that serve the same address. The directory contains an empty file
            for each ended session. The file's modification time is the time at which the session would have expired. If
            the directory is None, only this process remembers the ended sessions.
    """

    directory: Path | None = None
    _expiry_by_id: dict[str, float] = field(default_factory=dict, init=False, repr=False)
    _none_before: float = field(default=0, init=False, repr=False)

    def add(self, session_id: str, until: float) -> None:
        """End a session.

        If the process already remembers `MAX_ENDED_SESSIONS` sessions, it forgets these sessions, and ends every
        session that has started so far. Otherwise, the forgotten sessions would become valid again.

        Args:
            session_id: The session's id.
            until: When the session would have expired, in seconds since 1970.

        Raises:
            OSError: The shared directory is not writable, so the session has ended in this process only.
        """
        now = time.time()
        self._expiry_by_id = {known: expiry for known, expiry in self._expiry_by_id.items() if expiry >= now}
        if len(self._expiry_by_id) >= MAX_ENDED_SESSIONS:
            self._expiry_by_id.clear()
            self._none_before = now
        self._expiry_by_id[session_id] = until
        if self.directory is not None:
            self._remove_expired(self.directory, now)
            file = self._file(self.directory, session_id)
            file.touch(mode=0o600)
            os.utime(file, (until, until))

    def contains(self, session_id: str, started: float) -> bool:
        """Return whether a session has ended.

        Args:
            session_id: The session's id.
            started: When the session started, in seconds since 1970.

        Raises:
            OSError: The shared directory cannot be read.
        """
        if session_id in self._expiry_by_id or started <= self._none_before:
            return True
        if self.directory is None:
            return False
        if not self.directory.is_dir():
            raise NotADirectoryError(f"BYOK_API__SESSION_DIRECTORY is missing: {self.directory}")
        return self._file(self.directory, session_id).exists()

    @staticmethod
    def _file(directory: Path, session_id: str) -> Path:
        return directory / hashlib.sha256(session_id.encode()).hexdigest()

    @staticmethod
    def _remove_expired(directory: Path, now: float) -> None:
        with os.scandir(directory) as entries:
            for entry in entries:
                try:
                    if entry.stat().st_mtime < now:
                        Path(entry.path).unlink(missing_ok=True)
                except FileNotFoundError:  # another process has removed the file
                    continue
