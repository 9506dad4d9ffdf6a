"""The environment variables that make programs use the local stack instead of AWS."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from byok.local.ports import HOST, Ports

PLATFORM_PROFILE: Final = "platform"
CUSTOMER_PROFILE: Final = "byok"
OTHER_REGIONS: Final = ("eu-west-1", "us-east-1")
"""The Regions that a local stack uses in addition to its home Region."""


def client_env_vars(ports: Ports, aws_config: Path, region: str) -> dict[str, str]:
    """Return the variables that tell a client or a worker how to reach Temporal and the local AWS emulator.

    Args:
        ports: The ports of Temporal and the local AWS emulator.
        aws_config: Folder of the AWS config files that the local AWS emulator writes.
        region: The home Region, which is also the Region of the ready-made keys.
    """
    return {
        "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
        "TEMPORAL_NAMESPACE": "default",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{ports.aws}",
        "AWS_CONFIG_FILE": str(aws_config / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(aws_config / "credentials"),
        # A client acts as the platform or, with `--profile byok`, as the customer. The credential variables are empty,
        # because credentials from the shell would take precedence over a profile.
        "AWS_PROFILE": PLATFORM_PROFILE,
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_SESSION_TOKEN": "",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "BYOK_DOCS_URL": f"http://{HOST}:{ports.web}/docs",
        "BYOK_HOME_REGION": region,
        "BYOK_REGIONS": ",".join((region, *OTHER_REGIONS)),
        "BYOK_DATABASE_POLL_SECONDS": "0.5",  # the local AWS emulator creates a database in seconds, not minutes
    }


def children_env_vars(ours: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Return a child process's environment variables, none of which point to a real AWS or Temporal endpoint."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.upper().startswith(("AWS_", "TEMPORAL_"))
    }
    # The Temporal configuration file is empty, because a profile in the user's own file could point to another server.
    # Output is not buffered, so that a process's last lines are not lost when it exits.
    return {**inherited, **ours, "TEMPORAL_CONFIG_FILE": os.devnull, "PYTHONUNBUFFERED": "1", **more}


def write_exports(path: Path, values: Mapping[str, str]) -> None:
    """Write variables as shell exports, atomically."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.parent.mkdir(parents=True, exist_ok=True)
    draft.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    draft.replace(path)


def remove_exports(path: Path) -> None:
    """Remove the file of shell exports, because its values are no longer valid."""
    path.unlink(missing_ok=True)
