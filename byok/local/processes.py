"""One child process: ends with its parent, is waited for until it answers, and is stopped by its own id."""

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
    """Something of the local stack cannot be started or has ended; the text says what and what to do."""


@dataclass(frozen=True)
class ChildProcess:
    """A running child process.

    Attributes:
        name: What people call it.
        log: Where its output goes.
        begins_at: Where its own output begins in the log, in bytes: an earlier process may have written there.
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
        """Start a command in a process group of its own: a Ctrl-C in the terminal reaches only us.

        Args:
            name: What people call it.
            command: The program's full path and its arguments.
            log: File that gets its output; an earlier one is continued.
            environment: Its whole environment.
            when_orphaned: What it gets should this process be killed (Linux).
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
        """Its process id; the wrapper becomes the command and keeps the id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self.process.returncode is None

    def has_printed(self, words: str) -> bool:
        """Whether some words are in its output so far."""
        with self.log.open("rb") as output:
            output.seek(self.begins_at)
            return words.encode() in output.read()

    async def wait_until_ready(self, fact: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Wait until a fact holds that shows that the child answers.

        Args:
            fact: Looks once. While nothing answers it may raise `OSError`, `RuntimeError`, or what Temporal and the
                service raise.
            seconds: How long to wait.

        Raises:
            DevStackError: The child has ended, or the fact does not come.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        while True:
            if not self.is_running:
                raise self.exited_error()
            try:
                if await fact():
                    return
            except (OSError, RuntimeError, RPCError, ServiceError):
                pass  # not there yet
            if asyncio.get_running_loop().time() > deadline:
                raise DevStackError(f"{self.name} does not answer within {seconds:g} s.{self._last_lines()}")
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    def exited_error(self) -> DevStackError:
        """The error that says that it has ended, with its own last words."""
        code = self.process.returncode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"has ended with code {code}"
        return DevStackError(f"{self.name} {how}.{self._last_lines()}")

    async def stop(self, grace_seconds: float, hurry: asyncio.Event) -> None:
        """End it: SIGTERM, and SIGKILL after the grace or as soon as somebody hurries."""
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
        """End it without giving it a chance to tidy up."""
        if self.is_running:
            self.process.kill()
        await self.process.wait()

    def _last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if self.log.exists() else []
        said = "".join(f"\n    {line}" for line in lines) or "\n    nothing"
        return f" It said last ({self.log}):{said}"
