"""The ports of the local stack, all on 127.0.0.1."""

import contextlib
import random
import socket
from dataclasses import dataclass, fields
from typing import Final, Self

from byok.local.processes import DevStackError

HOST: Final = "127.0.0.1"

_CHOOSABLE: Final = range(20_000, 32_000)
"""The range of ports to choose from. Ephemeral ports (32768 and above on Linux, 49152 and above on macOS) are excluded:
the system assigns them to outgoing connections and to sockets bound to port 0, so another process could take a chosen
port before the server starts.
"""


@dataclass(frozen=True)
class Ports:
    """The ports that the stack's servers listen on."""

    temporal: int = 7233
    ui: int = 8233
    aws: int = 4566
    web: int = 8000

    @classmethod
    def pick_free(cls) -> Self:
        """Choose free ports."""
        with contextlib.ExitStack() as held:
            return cls(*(_bind_to_any(held.enter_context(socket.socket())) for _ in fields(cls)))

    def require_free(self) -> None:
        """Check that all ports are different and free.

        Raises:
            DevStackError: Two ports are the same, or a port is in use. The message names the option to change.
        """
        named = {f"--{one.name}-port": getattr(self, one.name) for one in fields(self)}
        if len(set(named.values())) < len(named):
            raise DevStackError(f"The ports must be different: {', '.join(f'{n} {p}' for n, p in named.items())}.")
        for option, port in named.items():
            with socket.socket() as probe:
                # The servers also set SO_REUSEADDR, so connections in TIME_WAIT from an earlier run do not matter.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise DevStackError(
                        f"Port {port} is in use, perhaps by another `byok up`. Stop that process, or choose "
                        f"another port with {option}."
                    ) from error


def _bind_to_any(chooser: socket.socket) -> int:
    while True:
        port = random.choice(_CHOOSABLE)  # noqa: S311 - no secret
        with contextlib.suppress(OSError):
            chooser.bind((HOST, port))
            return port
