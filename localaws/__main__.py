"""`python -m localaws`: run the local AWS emulator.

The program prints one line with the endpoint, the path of the AWS config, and whether the last run's state was
restored. The program exits with 0 on SIGTERM and SIGINT, and with 1 if it cannot start.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from localaws.persistence import FolderInUseError, RestoreResult, StateFolder

_STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - only for a comparison


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localaws", description="A local AWS emulator with realistic KMS behaviour."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=4566, help="port to listen on; 0 picks a free one (default: 4566)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder that keeps the state across restarts")
    parser.add_argument(
        "--config-dir", type=Path, metavar="DIR", help="where to write the AWS config (default: DATA/aws, or .byok/aws)"
    )
    parser.add_argument("--region", default="eu-central-1", help="Region of the profiles (default: eu-central-1)")
    parser.add_argument(
        "--database-seconds",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="how long creating or deleting a cluster or instance takes (default: 3)",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a duration cannot be negative")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        The exit code.
    """
    chosen = _arguments().parse_args(arguments)
    # Block the signals in every thread, so that only this thread receives them. A signal that another thread receives
    # would not wake this thread.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        return _run(chosen)
    except (FolderInUseError, OSError) as error:
        sys.stderr.write(f"The local AWS cannot start: {error}\n")
        return 1


def _run(chosen: argparse.Namespace) -> int:
    # Importing the server takes time, because the server imports moto's S3. --help must not wait for this import.
    from localaws.accounts import write_aws_config
    from localaws.app import LocalAws, create_server
    from localaws.state import STATE

    health: dict[str, Any] = {}
    app = LocalAws(health)
    try:
        server = create_server(app, chosen.host, chosen.port)
    except SystemExit as error:  # werkzeug exits the process if it cannot bind to the address
        raise OSError(f"{chosen.host} port {chosen.port} is in use, or not an address of this machine") from error
    # The port is bound before the folder is locked, so that a second start on a busy port leaves the folder unchanged.
    folder = StateFolder(chosen.data) if chosen.data else None
    kept = folder.lock_and_restore() if folder else RestoreResult(fresh=True, reason="no state folder given (--data)")
    health |= {"fresh": kept.fresh, "reason": kept.reason}
    STATE.database_seconds = chosen.database_seconds
    host = "127.0.0.1" if chosen.host in _ANY_ADDRESS else chosen.host
    endpoint = f"http://{host}:{server.port}"
    place = chosen.config_dir or (chosen.data or Path(".byok")) / "aws"
    config, _ = write_aws_config(place.resolve(), endpoint, chosen.region)
    thread = threading.Thread(target=server.serve_forever, name="local-aws", daemon=True)
    thread.start()
    state = f"fresh: {kept.reason}" if kept.fresh else "state restored"
    sys.stdout.write(f"The local AWS emulator listens at {endpoint} (AWS_CONFIG_FILE={config}; {state})\n")
    sys.stdout.flush()
    signal.sigwait(_STOP)
    server.shutdown()
    server.server_close()
    thread.join()
    app.drain()
    if folder:
        folder.save()
    return 0


if __name__ == "__main__":
    sys.exit(main())
