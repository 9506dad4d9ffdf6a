"""The command that starts Temporal's dev server."""

from pathlib import Path
from typing import Final

from byok.contracts import SEARCH_ATTRIBUTES, name_attribute_type
from byok.local.extras import find_temporal_program
from byok.local.ports import HOST, Ports
from byok.local.processes import DevStackError

_TUNING: Final = (
    # By default, the dev server delays timers by up to a second and each workflow task by 50 ms.
    ("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'),
    ("--dynamic-config-value", "history.transferProcessorMaxPollRPS=1000"),
    # Without this setting, the server ignores the fairness keys of the organisations.
    ("--dynamic-config-value", "matching.enableFairness=true"),
    # Temporal distributes tasks fairly only within a partition, and a task queue has four partitions by default.
    ("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    ("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
    # Each page of the list of environments requires several visibility calls, so a few clients would exceed the
    # server's default rate.
    ("--dynamic-config-value", "frontend.namespaceRPS.visibility=2000"),
    # With these options, storing histories on disk is as fast as keeping them in memory. Histories persist after the
    # process exits, but the latest events may be lost in a power outage.
    ("--sqlite-pragma", "journal_mode=wal"),
    ("--sqlite-pragma", "synchronous=0"),
)


def build_server_command(ports: Ports, database: Path) -> list[str]:
    """Build the command that starts the server.

    Args:
        ports: The ports of the server and its UI.
        database: The file for the server's state.

    Raises:
        DevStackError: The `temporal` program is not installed.
    """
    program = find_temporal_program()
    if program is None:
        raise DevStackError("The `temporal` program is not installed.")
    command = [str(program), "server", "start-dev", "--ip", HOST, "--port", str(ports.temporal)]
    command += ["--ui-port", str(ports.ui), "--db-filename", str(database), "--log-level", "warn"]
    command += [word for option in _TUNING for word in option]
    attributes = [f"{key.name}={name_attribute_type(key)}" for key in SEARCH_ATTRIBUTES]
    return command + [word for attribute in attributes for word in ("--search-attribute", attribute)]
