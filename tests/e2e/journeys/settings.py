"""The windows and browsers in which users open the wizard."""

from dataclasses import dataclass
from itertools import product
from typing import Any, Final, Literal


@dataclass(frozen=True)
class Setting:
    """One window, with one colour scheme, in a browser with or without JavaScript."""

    width: int
    scheme: Literal["light", "dark"]
    script: bool

    def __str__(self) -> str:
        """Return the setting's name, which appears in test ids, screenshots' file names and tables."""
        return f"{self.width}-{self.scheme}-{'js' if self.script else 'nojs'}"

    @property
    def browser_options(self) -> dict[str, Any]:
        """The options of the browser context."""
        window = {"width": self.width, "height": _HEIGHTS[self.width]}
        return {"viewport": window, "color_scheme": self.scheme, "java_script_enabled": self.script}


_HEIGHTS: Final = {360: 740, 900: 800, 1440: 900}

_SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")

SETTINGS: Final = tuple(Setting(*one) for one in product(_HEIGHTS, _SCHEMES, (True, False)))
