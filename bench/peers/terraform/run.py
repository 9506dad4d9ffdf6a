"""Terraform: `init` and `apply` in a separate folder per environment, with the provider's default delays."""

import os
import pwd
import shutil
import sys
from pathlib import Path

from bench.peers.driver import EnvironmentSpec, provision_in_threads, run_program_or_raise

HERE = Path(__file__).parent
PROVIDER = "registry.terraform.io/hashicorp/aws"
# Folders that may contain a mirror of the AWS provider: Terraform's implied local mirror directories, and the folders
# in /opt.
MIRRORS = (
    Path(pwd.getpwuid(os.getuid()).pw_dir) / ".terraform.d" / "plugins",  # the benchmark changes $HOME
    Path("/usr/local/share/terraform/plugins"),
    Path("/usr/share/terraform/plugins"),
    *sorted(Path("/opt").glob("*/")),
)


def provision(environment: EnvironmentSpec) -> None:
    folder = Path(environment["name"])
    folder.mkdir()
    shutil.copy(HERE / "main.tf", folder)
    mirror = next((str(one) for one in MIRRORS if (one / PROVIDER).is_dir()), None)
    options = ("-input=false", "-no-color")
    settings = {f"TF_VAR_{name}": str(value) for name, value in environment.items()} | {"CHECKPOINT_DISABLE": "1"}
    run_program_or_raise(
        "terraform", "init", *([f"-plugin-dir={mirror}"] if mirror else []), *options, folder=folder, settings=settings
    )
    run_program_or_raise("terraform", "apply", "-auto-approve", *options, folder=folder, settings=settings)


if __name__ == "__main__":
    if not shutil.which("terraform"):
        sys.exit("terraform is not on PATH")
    provision_in_threads(provision)
