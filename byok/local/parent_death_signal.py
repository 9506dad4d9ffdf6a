"""Run a command that does not outlive its parent process: `parent_death_signal.py PARENT SIGNAL COMMAND…`.

On Linux, the kernel sends the signal when the parent dies, even if the parent was killed and could not clean up. On
other systems, this program only runs the command. This program must be separate from the parent. The parent has a
Temporal client and therefore many threads, and running Python code between fork and exec is not safe in a process with
several threads.
"""

import ctypes
import os
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""Source: prctl(2)."""


def main(parent: int, signal: int, command: list[str]) -> None:
    """Request the signal, then replace this process with the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the prctl call
            sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - no shell is involved


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
