"""The ports of the local stack, all on 127.0.0.1."""

import contextlib
import socket
from dataclasses import dataclass, fields
from typing import Final, Self

from byok.local.processes import LocalStackError

HOST: Final = "127.0.0.1"


@dataclass(frozen=True)
class Ports:
    """Where things listen."""

    temporal: int = 7233
    ui: int = 8233
    aws: int = 4566
    web: int = 8000

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on."""
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in fields(cls)]
            for one in sockets:
                one.bind((HOST, 0))
            return cls(*(one.getsockname()[1] for one in sockets))

    def must_be_free(self) -> None:
        """Refuse to start beside somebody else.

        Raises:
            LocalStackError: Two are the same, or one is taken; the text names the option that chooses another.
        """
        named = {f"--{one.name}-port": getattr(self, one.name) for one in fields(self)}
        if len(set(named.values())) < len(named):
            raise LocalStackError(f"The ports have to differ: {', '.join(f'{n} {p}' for n, p in named.items())}.")
        for option, port in named.items():
            with socket.socket() as probe:
                # What a server does, too: connections of an earlier run that are still fading are no obstacle.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise LocalStackError(
                        f"Port {port} is taken, perhaps by another `byok up`. Stop that, or choose another one with "
                        f"{option}."
                    ) from error
