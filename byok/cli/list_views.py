"""Renders the list of environments as a table or as CSV."""

import csv
import io
from collections.abc import Callable, Sequence
from typing import Final

from rich.text import Text

from byok.cli.health_views import HEALTH_COLOURS
from byok.cli.text import GrowingTable, format_time
from byok.cli.views import PHASE_COLOURS
from byok.service.status import EnvironmentSummary

_Column = tuple[str, Callable[[EnvironmentSummary], str]]
_COLUMNS: Final[tuple[_Column, ...]] = (
    ("ENVIRONMENT", lambda one: one.environment_id),
    ("PHASE", lambda one: one.phase.value),
    ("HEALTH", lambda one: one.health or "-"),
    ("REGION", lambda one: one.region or "-"),
    ("CREATED", lambda one: format_time(one.created_at)),
    ("PROBLEM", lambda one: one.problem_code or "-"),
)
_MORE_COLUMNS: Final[tuple[_Column, ...]] = (
    ("ORGANISATION", lambda one: one.organisation or "-"),
    ("ENCRYPTION", lambda one: one.encryption or "-"),
    ("TENANT", lambda one: one.tenant_name or "-"),
    ("STARTED", lambda one: format_time(one.started_at)),
    ("ENDED", lambda one: format_time(one.closed_at) if one.closed_at else "-"),
)


def begin_environment_list(*, wide: bool = False) -> GrowingTable:
    """Return an empty table of environments. With `wide`, the table has additional columns."""
    return GrowingTable([heading for heading, _ in _choose_columns(wide)])


def render_environments(table: GrowingTable, found: Sequence[EnvironmentSummary], *, wide: bool = False) -> Text:
    """Render environments as further rows of a table."""
    rows = [[value(item) for _, value in _choose_columns(wide)] for item in found]
    return table.render(rows, [_choose_colour(item) for item in found])


def render_environment_csv(found: Sequence[EnvironmentSummary]) -> str:
    """Render environments as CSV. The first row contains the names of the fields, as in `-o json`."""
    rows = [item.model_dump(mode="json") for item in found]
    names = [name for name, field in EnvironmentSummary.model_fields.items() if not field.exclude]
    file = io.StringIO()
    table = csv.DictWriter(file, names, lineterminator="\n")
    table.writeheader()
    table.writerows({name: "" if value is None else value for name, value in row.items()} for row in rows)
    return file.getvalue()


def _choose_colour(item: EnvironmentSummary) -> str:
    return PHASE_COLOURS.get(item.phase, "") if item.health is None else HEALTH_COLOURS[item.health]


def _choose_columns(wide: bool) -> tuple[_Column, ...]:
    return _COLUMNS + (_MORE_COLUMNS if wide else ())
