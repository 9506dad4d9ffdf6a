"""Build the wheel, whose `byok` package also contains the programs.

In a checkout, `worker.py`, `activities/`, `workflows/` and `localaws/` are at the top level. In the wheel, these
programs are in `byok/_programs`. Both in a checkout and in the wheel, byok runs the programs by file path, so that they
can import each other. `make docs` builds the documentation site into `byok/_site`, which the wheel contains as well.
"""

from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SITE: Final = "byok/_site"
PROGRAMS: Final = ("worker.py", "activities", "workflows", "localaws")


class Programs(BuildHookInterface[Any]):
    """Adds the programs to the package, except in an editable install, which uses the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's `BuildHookInterface`."""
        if version == "standard":
            if not (Path(self.root) / SITE).is_dir():
                self.app.display_warning(f"{SITE} does not exist: run `make docs` first to include the documentation.")
            build_data["force_include"] |= {name: f"byok/_programs/{name}" for name in PROGRAMS}
