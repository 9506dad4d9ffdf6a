"""The data for docs/what-happens-when.md: how each action of a key owner affects each resource."""

from byok.domain.key_owner_acts.model import Act, ActFacts, Cell, Outcome, Resource, Source
from byok.domain.key_owner_acts.table import ACTS, CELLS

__all__ = ["ACTS", "CELLS", "Act", "ActFacts", "Cell", "Outcome", "Resource", "Source"]
