"""`python -m localaws`: the local AWS as a process.

Says in one line where it answers, where the AWS config lies, and whether the state of the last run was restored. Ends
with exit code 0 on SIGTERM and SIGINT, with 1 when it cannot start.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Final

from localaws.persistence import FolderInUseError, RestoreResult, StateFolder

_STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
_ANY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - only compared with


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localaws", description="A local AWS, serious about KMS.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=4566, help="port to listen on; 0 takes a free one (default: 4566)")
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
        help="how long a cluster or instance takes to be created or deleted (default: 3)",
    )
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError("a time cannot be negative")
    return value


def main(arguments: list[str] | None = None) -> int:
    """Run until told to stop.

    Returns:
        The exit code.
    """
    chosen = _arguments().parse_args(arguments)
    # Blocked in every thread and taken by one: a signal that another thread receives would not wake the one that waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
    try:
        return _run(chosen)
    except (FolderInUseError, OSError) as error:
        sys.stderr.write(f"The local AWS cannot start: {error}\n")
        return 1


def _run(chosen: argparse.Namespace) -> int:
    # Only now, so that --help and a wrong option answer at once: the server brings moto's S3 with it.
    from localaws.accounts import write_aws_config
    from localaws.app import LocalAws, create_server
    from localaws.state import STATE

    health: dict[str, Any] = {}
    app = LocalAws(health)
    try:
        server = create_server(app, chosen.host, chosen.port)
    except SystemExit as error:  # werkzeug ends the process when it cannot bind
        raise OSError(f"{chosen.host} port {chosen.port} is taken, or is no address of this machine") from error
    # The port is held before the folder is, so that a second start on a busy port leaves the folder as it was.
    folder = StateFolder(chosen.data) if chosen.data else None
    kept = (
        folder.lock_and_restore()
        if folder
        else RestoreResult(fresh=True, reason="no folder to keep state in was given (--data)")
    )
    health |= {"fresh": kept.fresh, "reason": kept.reason}
    STATE.database_seconds = chosen.database_seconds
    host = "127.0.0.1" if chosen.host in _ANY_ADDRESS else chosen.host
    endpoint = f"http://{host}:{server.port}"
    place = chosen.config_dir or (chosen.data or Path(".byok")) / "aws"
    config, _ = write_aws_config(place.resolve(), endpoint, chosen.region)
    thread = threading.Thread(target=server.serve_forever, name="local-aws", daemon=True)
    thread.start()
    state = f"fresh: {kept.reason}" if kept.fresh else "state restored"
    sys.stdout.write(f"Local AWS answers at {endpoint} (AWS_CONFIG_FILE={config}; {state})\n")
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
