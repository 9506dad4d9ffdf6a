"""The environment variables that lead a program to the local stack, and away from everything else."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from byok.local.ports import HOST, Ports

PLATFORM_PROFILE: Final = "platform"
CUSTOMER_PROFILE: Final = "byok"


def client_env_vars(ports: Ports, aws_config: Path, region: str) -> dict[str, str]:
    """What a client or a worker needs to find Temporal and the local AWS.

    Args:
        ports: Where they listen.
        aws_config: Folder of the AWS config that the local AWS writes.
        region: The Region of everything.
    """
    return {
        "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
        "TEMPORAL_NAMESPACE": "default",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports.aws}",
        "AWS_CONFIG_FILE": str(aws_config / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws_config / "credentials"),
        # Plain clients are the platform, and `--profile byok` is the customer. Credentials that stand in the shell
        # would win over a profile: empty ones do not count.
        "AWS_PROFILE": PLATFORM_PROFILE,
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "BYOK_DATABASE_POLL_SECONDS": "0.5",  # here a database takes seconds, not minutes
    }


def children_env_vars(ours: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of a child: what we were started with, without what leads to a real AWS or Temporal."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(("AWS_", "TEMPORAL_"))
    }
    # An empty configuration: a profile of the user's could name another server. Unbuffered: last words are not lost.
    return {**inherited, **ours, "TEMPORAL_CONFIG_FILE": os.devnull, "PYTHONUNBUFFERED": "1", **more}


def write_exports(path: Path, values: Mapping[str, str]) -> None:
    """Write variables as shell exports; the file appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    draft.replace(path)


def remove_exports(path: Path) -> None:
    """Remove the file: what it says is not true any more."""
    path.unlink(missing_ok=True)
