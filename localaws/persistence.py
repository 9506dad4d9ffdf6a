"""Saves and restores the state of the local AWS emulator. A state that might be stale is not restored.

A clean shutdown saves the state. A marker file exists in the folder from the start of a process until its clean
shutdown. A process that finds the marker starts without state, because the earlier process may have changed the state
without saving it. The saved state contains accounts, resources and S3's contents, but no faults or recorded calls.

The state is a pickle. A user with write access to the folder could run code as this process, so only the folder's owner
has access.
"""

import fcntl
import hashlib
import io
import json
import os
import pickle
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final

from byok import __version__
from localaws.state import STATE

STATE_FORMAT_VERSION: Final = 4
"""The version of the saved state's format, which increases whenever the format changes."""

_STATE: Final = "state"
_RUNNING: Final = "running"
_LOCK: Final = "lock"
# These durations are not saved, because they are set at every start.
_NOT_KEPT: Final = frozenset({"database_seconds", "propagation_seconds"})


class FolderInUseError(Exception):
    """Another local AWS emulator is using the folder."""


@dataclass(frozen=True)
class RestoreResult:
    """Whether the state of the last run was restored.

    Attributes:
        fresh: Whether this run started without state.
        reason: The reason why this run started without state, or empty if the state was restored.
    """

    fresh: bool
    reason: str = ""


@dataclass
class StateFolder:
    """A folder that stores the state of a local AWS emulator. Only one process at a time can use the folder.

    Attributes:
        path: The folder, created if it does not exist.
    """

    path: Path
    _lock: TextIOWrapper | None = field(default=None, repr=False)

    def lock_and_restore(self) -> RestoreResult:
        """Lock the folder, restore the saved state if it is valid, and record that a run is in progress.

        Raises:
            FolderInUseError: Another process is using the folder.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._take()
        restored = self._restore()
        if restored.fresh:
            (self.path / _STATE).unlink(missing_ok=True)
        _write(self.path / _RUNNING, str(os.getpid()).encode())
        return restored

    def save(self) -> None:
        """Save the state. The process calls this method during a clean shutdown, when no calls are running anymore."""
        buffer = io.BytesIO()
        _Pickler(buffer).dump({"world": _world(), "s3": _s3()})
        content = buffer.getvalue()
        header = {**_identity(), "sha256": hashlib.sha256(content).hexdigest()}
        _write(self.path / _STATE, json.dumps(header).encode() + b"\n" + content)
        (self.path / _RUNNING).unlink(missing_ok=True)
        _sync(self.path)
        if self._lock:
            self._lock.close()

    def _take(self) -> None:
        self._lock = (self.path / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise FolderInUseError(f"{self.path} is in use by another local AWS emulator") from error

    def _restore(self) -> RestoreResult:
        if (self.path / _RUNNING).exists():
            return RestoreResult(fresh=True, reason="the last run did not end cleanly, so its changes are unknown")
        try:
            header_line, _, content = (self.path / _STATE).read_bytes().partition(b"\n")
            header = json.loads(header_line)
        except FileNotFoundError:
            return RestoreResult(fresh=True, reason="no saved state yet")
        except ValueError:
            return RestoreResult(fresh=True, reason="the saved state is damaged")
        if not isinstance(header, dict) or header.get("sha256") != hashlib.sha256(content).hexdigest():
            return RestoreResult(fresh=True, reason="the saved state is damaged")
        for name, ours in _identity().items():
            if header.get(name) != ours:
                return RestoreResult(
                    fresh=True, reason=f"the saved state is from {name} {header.get(name)}, but this is {name} {ours}"
                )
        _load(pickle.loads(content))  # noqa: S301 - own folder, own code, unchanged since
        return RestoreResult(fresh=False)


class _Pickler(pickle.Pickler):
    """Saves all versions of the objects in moto's S3. Plain pickle would save only each object's latest version."""

    def reducer_override(self, one: Any) -> Any:  # `one` is the base class's parameter name
        """Pickle all versions in a table of versions, and pickle any other object as usual."""
        from moto.s3.utils import _VersionedKeyStore

        if isinstance(one, _VersionedKeyStore):
            return _versions, (list(one.lists()),)
        return NotImplemented


def _versions(lists: list[tuple[str, list[Any]]]) -> Any:
    """Rebuild a table of versions."""
    from moto.s3.utils import _VersionedKeyStore

    table = _VersionedKeyStore()
    for name, versions in lists:
        table.setlist(name, versions)
    return table


def _identity() -> dict[str, Any]:
    """Return the facts that must match for a saved state to be restored.

    A hash of the code is one of these facts, because the code can change without a new version number.
    """
    sources = sorted(Path(__file__).parent.rglob("*.py"))
    code = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
    return {
        "format": STATE_FORMAT_VERSION,
        "byok": __version__,
        "code": code,
        "moto": version("moto"),
        "python": platform.python_version(),
    }


def _world() -> dict[str, Any]:
    return {name: value for name, value in vars(STATE).items() if name not in _NOT_KEPT}


def _s3() -> dict[str, Any]:
    """Return moto's S3 data and the bucket owners, but not the backend objects, which hold caches and form cycles."""
    from moto.s3.models import s3_backends

    backends = [
        (account, region, dict(vars(backend)))
        for account, regions in s3_backends.items()
        for region, backend in regions.items()
    ]
    return {"backends": backends, "owners": dict(s3_backends.bucket_accounts)}


def _load(kept: dict[str, Any]) -> None:
    from moto.s3.models import s3_backends

    vars(STATE).update(kept["world"])
    for account, region, state in kept["s3"]["backends"]:
        vars(s3_backends[account][region]).update(state)
    s3_backends.bucket_accounts.update(kept["s3"]["owners"])


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically, readable only by its owner."""
    draft = path.with_name(f"{path.name}.draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
