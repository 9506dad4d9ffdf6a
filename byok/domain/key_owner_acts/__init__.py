"""How each action of a key owner affects each resource, as data: docs/what-happens-when.md is generated from it."""

from byok.domain.key_owner_acts.model import Act, ActFacts, Cell, Outcome, Resource, Source
from byok.domain.key_owner_acts.table import ACTS, CELLS

__all__ = ["ACTS", "CELLS", "Act", "ActFacts", "Cell", "Outcome", "Resource", "Source"]
