"""Starts and stops a child process, waits until the process is ready, and ensures that it exits with its parent."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from temporalio.service import RPCError

from byok.local import parent_death_signal
from byok.service.errors import ServiceError

_LOOK_AGAIN_SECONDS: Final = 0.05
_LAST_LINES: Final = 12


class DevStackError(Exception):
    """A part of the local stack could not start or has exited. The error's message describes the problem."""


@dataclass(frozen=True)
class ChildProcess:
    """A running child process.

    Attributes:
        name: The name of the process in messages.
        log: The file that receives the output of the process.
        begins_at: The offset in bytes at which the output of this process begins. The log can already contain the
            output of an earlier process.
    """

    name: str
    log: Path
    process: asyncio.subprocess.Process
    begins_at: int = 0

    @classmethod
    async def start(
        cls,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        *,
        when_orphaned: signal.Signals = signal.SIGKILL,
    ) -> Self:
        """Start a command in its own session, so that a Ctrl-C in the terminal does not reach the command.

        Args:
            name: The name of the process in messages.
            command: The full path of the program, and the arguments.
            log: The file that receives the output. If the file exists, the output is appended.
            environment: All environment variables of the command.
            when_orphaned: The signal that the command receives if this process is killed (Linux only).
        """
        wrapped = [
            sys.executable,
            "-I",
            "-S",
            parent_death_signal.__file__,
            str(os.getpid()),
            str(int(when_orphaned)),
            *command,
        ]
        with log.open("ab") as output:
            begins_at = output.tell()
            process = await asyncio.create_subprocess_exec(
                *wrapped,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
            )
        return cls(name, log, process, begins_at)

    @property
    def pid(self) -> int:
        """Return the process id, which stays the same when the wrapper script replaces itself with the command."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Return whether the process is still running."""
        return self.process.returncode is None

    def has_printed(self, words: str) -> bool:
        """Return whether the output so far contains the given text."""
        with self.log.open("rb") as output:
            output.seek(self.begins_at)
            return words.encode() in output.read()

    async def wait_until_ready(self, fact: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Poll until a check shows that the child process is ready.

        Args:
            fact: The check. If the child process is not ready yet, the check returns False or raises `OSError`,
                `RuntimeError`, `RPCError` or `ServiceError`.
            seconds: How long to wait.

        Raises:
            DevStackError: The child process exited, or was not ready in time.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if not self.is_running:
                raise self.exited_error()
            try:
                if await fact():
                    return
            except (OSError, RuntimeError, RPCError, ServiceError):
                pass  # not ready yet
            if asyncio.get_running_loop().time() > deadline:
                raise DevStackError(f"{self.name} was not ready within {seconds:g} s.{self._last_lines()}")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def exited_error(self) -> DevStackError:
        """Return an error that contains the exit code or the signal, and the last lines of the process's output."""
        code = self.process.returncode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        return DevStackError(f"{self.name} {how}.{self._last_lines()}")

    async def stop(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """Send the process SIGTERM, then SIGKILL after the grace period or as soon as `hurry` is set."""
        if not self.is_running:
            return
        self.process.terminate()
        ended, hurried = asyncio.create_task(self.process.wait()), asyncio.create_task(hurry.wait())
        try:
            await asyncio.wait([ended, hurried], timeout=grace_seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.is_running:
                self.process.kill()
            await ended
        finally:
            hurried.cancel()

    async def kill(self) -> None:
        """Kill the process without giving it a chance to clean up."""
        if self.is_running:
            self.process.kill()
        await self.process.wait()

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if self.log.exists() else []
        said = "".join(f"\n    {line}" for line in lines) or "\n    (none)"
        return f" Its last output ({self.log}):{said}"
