"""Render the list of environments."""

from collections.abc import Sequence

from rich.text import Text

from byok.cli.health_views import HEALTH_COLOURS
from byok.cli.text import GrowingTable
from byok.cli.views import PHASE_COLOURS
from byok.service.status import EnvironmentSummary

_HEADINGS = ("ENVIRONMENT", "PHASE", "HEALTH", "REGION", "ENCRYPTION", "CREATED", "TENANT", "PROBLEM")


def begin_environment_list() -> GrowingTable:
    """Return the table of environments, without rows."""
    return GrowingTable(_HEADINGS)


def render_environments(table: GrowingTable, found: Sequence[EnvironmentSummary]) -> Text:
    """Render environments as the next rows of their table."""
    rows = [
        (
            item.environment_id,
            item.phase.value,
            item.health or "-",
            item.region or "",
            item.encryption or "",
            f"{item.created_at.astimezone():%Y-%m-%d %H:%M:%S}",
            item.tenant_name or "",
            item.problem_code or "",
        )
        for item in found
    ]
    return table.render(rows, [_choose_colour(item) for item in found])


def _choose_colour(item: EnvironmentSummary) -> str:
    return PHASE_COLOURS.get(item.phase, "") if item.health is None else HEALTH_COLOURS[item.health]
