"""Render the list of environments."""

from collections.abc import Sequence

from rich.text import Text

from byok.cli.health_views import HEALTH_COLOURS
from byok.cli.text import render_table
from byok.cli.views import PHASE_COLOURS
from byok.service.status import EnvironmentSummary

_HEADINGS = ("ENVIRONMENT", "PHASE", "HEALTH", "REGION", "ENCRYPTION", "CREATED", "TENANT", "PROBLEM")


def render_environment_list(found: Sequence[EnvironmentSummary]) -> Text:
    """Render the list of environments as a table."""
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
    return render_table(_HEADINGS, rows, [_choose_colour(item) for item in found])


def _choose_colour(item: EnvironmentSummary) -> str:
    return PHASE_COLOURS.get(item.phase, "") if item.health is None else HEALTH_COLOURS[item.health]
