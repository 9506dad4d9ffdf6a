"""Builds the wheel: one package in site-packages, with the programs beside it in a folder of their own.

A checkout has `worker.py`, `activities/`, `workflows/` and `localaws/` at its top. In the wheel they are in
`byok/_programs`, and are run by path as in a checkout, so that they find one another.
"""

from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PROGRAMS: Final = ("worker.py", "activities", "workflows", "localaws")


class Programs(BuildHookInterface[Any]):
    """Puts the programs into the package, but for an editable install, which has the checkout."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """See hatchling's `BuildHookInterface`."""
        if version == "standard":
            build_data["force_include"] |= {name: f"byok/_programs/{name}" for name in PROGRAMS}
