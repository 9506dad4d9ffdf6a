"""Copies one environment's resources, so that a benchmark can begin with thousands of environments.

A copy differs from the original only in a few strings: the environment's id, the ids of its keys, and the part of its
bucket names that depends on the environment's id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

_Value = TypeVar("_Value", str, bytes, dict[str, Any], dict[str, str])


@dataclass(frozen=True)
class CopyTexts:
    """The strings that differ between the original and one copy.

    Attributes:
        pairs: Each string of the original, with the string that replaces it.
    """

    pairs: Sequence[tuple[str, str]]

    def changes(self, name: str) -> bool:
        """Return whether a name contains one of the strings, and therefore belongs to the original."""
        return any(old in name for old, _ in self.pairs)

    def replace(self, value: _Value) -> _Value:
        """Replace the original's strings in a text or in the fields of a resource."""
        replaced: _Value = self._replace(value)
        return replaced

    def _replace(self, value: Any) -> Any:
        if isinstance(value, str):
            for old, new in self.pairs:
                value = value.replace(old, new)
            return value
        if isinstance(value, bytes):
            for old, new in self.pairs:
                value = value.replace(old.encode(), new.encode())
            return value
        if isinstance(value, dict):
            return {name: self._replace(item) for name, item in value.items()}
        if isinstance(value, tuple | list):
            return type(value)(self._replace(item) for item in value)
        return value
