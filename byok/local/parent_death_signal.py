"""Becomes a command that does not outlive the process that started it: `parent_death_signal.py PARENT SIGNAL COMMAND…`.

On Linux the kernel sends the signal when the parent dies, even where it was killed and could tidy nothing up. Elsewhere
the command just runs. It is a program of its own because code between fork and exec is not safe in a process with
threads, and a parent that speaks to Temporal has many.
"""

import ctypes
import os
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


def main(parent: int, signal: int, command: list[str]) -> None:
    """Tie this process to its parent and become the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - there is no shell in it


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
