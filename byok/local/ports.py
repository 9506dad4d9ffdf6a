"""The ports of the local stack, all on 127.0.0.1."""

import contextlib
import random
import socket
from dataclasses import dataclass, fields
from typing import Final, Self

from byok.local.processes import DevStackError

HOST: Final = "127.0.0.1"

_CHOOSABLE: Final = range(20_000, 32_000)
"""Below the ephemeral ports of Linux (from 32768) and macOS (from 49152), which the system assigns to outgoing
connections and to sockets bound to port 0: another process could get such a port before our server starts."""


@dataclass(frozen=True)
class Ports:
    """Where things listen."""

    temporal: int = 7233
    ui: int = 8233
    aws: int = 4566
    web: int = 8000

    @classmethod
    def pick_free(cls) -> Self:
        """Choose ports on which nothing listens."""
        with contextlib.ExitStack() as held:
            return cls(*(_bind_to_any(held.enter_context(socket.socket())) for _ in fields(cls)))

    def require_free(self) -> None:
        """Refuse to start beside somebody else.

        Raises:
            DevStackError: Two are the same, or one is taken; the text names the option that chooses another.
        """
        named = {f"--{one.name}-port": getattr(self, one.name) for one in fields(self)}
        if len(set(named.values())) < len(named):
            raise DevStackError(f"The ports have to differ: {', '.join(f'{n} {p}' for n, p in named.items())}.")
        for option, port in named.items():
            with socket.socket() as probe:
                # What a server does, too: connections of an earlier run that are still fading are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise DevStackError(
                        f"Port {port} is taken, perhaps by another `byok up`. Stop that, or choose another one with "
                        f"{option}."
                    ) from error


def _bind_to_any(chooser: socket.socket) -> int:
    while True:
        port = random.choice(_CHOOSABLE)  # noqa: S311 - no secret
        with contextlib.suppress(OSError):
            chooser.bind((HOST, port))
            return port
