"""Lists environments by creation time, from their workflows and their records (decision 0049).

Temporal sorts its list of workflows by close time, and rejects any other order. byok therefore selects the workflows of
a page by the search attribute that contains the creation time.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from byok import contracts
from byok.domain.models import HealthState
from byok.domain.phases import Phase
from byok.service.creation_periods import CREATED_AT, LONGER, PRECISION, Period, Position, choose_between
from byok.service.health import ListedHealth
from byok.service.records import build_recorded_summary
from byok.service.status import EnvironmentSummary
from byok.service.tenant_names import apply_completed_namings
from byok.temporal_reads import list_latest_runs
from byok.temporal_records import FoundRecord

_SLACK: Final = 3
"""The maximum number of environments in a period, as a multiple of the requested number."""

_FIRST_PERIOD: Final = timedelta(days=1)
_MAX_GUESSES: Final = 24
"""The maximum number of periods to try.

If none of these periods has the right length, byok uses a longer period, which takes longer to read but does not change
the result.
"""

_WORKFLOW_IDS_PER_QUERY: Final = 100
_QUERIES_AT_ONCE: Final = 4

_PHASE: Final = contracts.PHASE_ATTRIBUTE.name
_HEALTH: Final = contracts.HEALTH_ATTRIBUTE.name


@dataclass(frozen=True)
class EnvironmentFilter:
    """Which environments to list.

    Attributes:
        prefix: Only environments whose id begins with this text.
        phase: Only environments in this phase.
        health: Only environments with this health status.
        region: Only environments in this AWS Region.
        problem_code: Only environments that stopped with this problem code.
        text: Only environments whose id, organisation or tenant name contains this lower-case text.
    """

    prefix: str = ""
    phase: Phase | None = None
    health: HealthState | None = None
    region: str | None = None
    problem_code: str | None = None
    text: str = ""

    def accepts(self, one: EnvironmentSummary) -> bool:
        """Return whether an environment matches the filter, apart from the prefix."""
        wanted = (self.phase, self.health, self.region, self.problem_code)
        found = (one.phase, one.health, one.region, one.problem_code)
        names = (one.environment_id, one.organisation or "", (one.tenant_name or "").lower())
        matches = all(value in (None, actual) for value, actual in zip(wanted, found, strict=True))
        return matches and any(self.text in name for name in names)


class EnvironmentList:
    """The environments that match a filter, most recently created first.

    Each environment has one entry, which byok builds from the latest run of the environment's workflow. If Temporal has
    deleted the workflow, or if the run was refused because of a quota or another environment's record, byok builds the
    entry from the environment's record instead.

    The position of an entry is the creation time in the search attribute of that run or record. A query for a period
    therefore finds at least one run of every environment with a position in the period. byok then reads the latest runs
    of these environments and builds the entries. An entry with a position outside the period is skipped, because it
    belongs to another period.

    A run that a person started in Temporal does not have the search attribute until a worker picks up the run. byok
    reads all runs without the attribute, and computes their positions.

    Args:
        client: The client.
        organisation: Only environments of this organisation; None for all.
        wanted: Which environments to list.
    """

    def __init__(self, client: Client, organisation: str | None, wanted: EnvironmentFilter) -> None:
        self._client = client
        self._wanted = wanted
        self._health = ListedHealth(client)
        attribute = contracts.ORGANISATION_ATTRIBUTE.name
        self._owner = "" if organisation is None else f" AND {attribute} = '{organisation}'"
        self._without_time: list[tuple[datetime, WorkflowExecution]] | None = None

    async def read_page(self, size: int, after: Position | None) -> tuple[list[EnvironmentSummary], Position | None]:
        """Return a page, and the position at which the next page begins; None after the last page.

        Args:
            size: The maximum number of environments.
            after: Return only environments that come after this position.

        Raises:
            RPCError: Temporal does not respond.
        """
        found: list[EnvironmentSummary] = []
        try:
            async for some in self._read_periods(size + 1, after):
                found += some
                if len(found) > size:
                    break
        except RPCError as error:
            if error.status is not RPCStatusCode.INVALID_ARGUMENT:
                raise
            # Temporal rejects search attributes that no worker has registered in the namespace yet.
            everything = await self._build_entries(await self._list_runs(self._build_queries("")))
            found = self._select(everything, after)
        page = found[:size]
        return page, Position.of(page[-1]) if len(found) > size else None

    async def _read_periods(self, size: int, after: Position | None) -> AsyncIterator[list[EnvironmentSummary]]:
        """Yield the environments that come after a position, period by period, in order."""
        if self._wanted.health is not None and self._wanted.phase not in (None, Phase.READY):
            return  # only a READY environment has a health status
        end = None if after is None else after.created_at + PRECISION
        while True:
            period = Period(await self._find_begin(end, size), end)
            yield self._select(await self._read_period(period), after)
            if period.begin is None:
                return
            end = period.begin

    def _select(self, found: Iterable[EnvironmentSummary], after: Position | None) -> list[EnvironmentSummary]:
        """Return the environments that match the filter and come after a position, in order."""
        matching = [one for one in found if self._wanted.accepts(one) and (after is None or Position.of(one) < after)]
        return sorted(matching, key=Position.of, reverse=True)

    async def _find_begin(self, end: datetime | None, size: int) -> datetime | None:
        """Return the beginning of a period that ends at `end` and contains at least `size` environments.

        Return None if the period must contain all environments that were created before its end.
        """
        if await self._count(Period(None, end)) <= size * _SLACK:
            return None
        last = end or datetime.now(UTC)
        too_short, too_long, length = timedelta(0), None, _FIRST_PERIOD
        for _ in range(_MAX_GUESSES):
            if length > last - datetime.min.replace(tzinfo=UTC) - _FIRST_PERIOD:
                return None
            number = await self._count(Period(last - length, end))
            if size <= number <= size * _SLACK:
                break
            if number < size:
                too_short = length
            else:
                too_long = length
            if too_long is not None and too_long - too_short <= PRECISION:
                length = too_long
                break
            length = too_short * LONGER if too_long is None else choose_between(too_short, too_long)
        else:
            length = too_long or length
        return last - length

    async def _count(self, period: Period) -> int:
        """Return the minimum number of environments in a period."""
        queries = [f"{query} AND {period.condition}" for query in self._build_queries(self._narrow())]
        return max(one.count for one in await asyncio.gather(*map(self._client.count_workflows, queries)))

    async def _read_period(self, period: Period) -> list[EnvironmentSummary]:
        """Return the environments of a period, in no particular order."""
        narrow = self._narrow()
        runs = await self._list_runs([f"{query} AND {period.condition}" for query in self._build_queries(narrow)])
        runs = self._join(
            runs, {run.id: run for created_at, run in await self._list_runs_without_time() if created_at in period}
        )
        if narrow or period.begin is not None or period.end is not None:  # otherwise, the queries match all runs
            runs = self._join(runs, await self._list_missing_runs(runs))
        return [one for one in await self._build_entries(runs) if one.created_at in period]

    async def _list_runs_without_time(self) -> list[tuple[datetime, WorkflowExecution]]:
        """Return the runs without the search attribute, and their positions in the list."""
        if self._without_time is None:
            # A record without the attribute is still empty, so byok cannot build an entry from it.
            queries = [] if self._wanted.health else self._build_queries("")[:1]
            runs = await self._list_runs([f"{query} AND {CREATED_AT} IS NULL" for query in queries])
            found = runs.values()
            self._without_time = [((await EnvironmentSummary.from_execution(one)).created_at, one) for one in found]
        return self._without_time

    def _build_queries(self, narrow: str) -> list[str]:
        """Return queries for the runs from which byok builds the list, without a condition for the creation time."""
        prefix = self._wanted.prefix
        records = (
            f"WorkflowType = '{contracts.ENVIRONMENT_RECORD_WORKFLOW}' AND ExecutionStatus != 'ContinuedAsNew' "
            f"AND WorkflowId STARTS_WITH '{contracts.record_workflow_id(prefix)}'{self._owner}{narrow}"
        )
        if self._wanted.health is not None:  # the health status comes from the record
            return [records]
        workflow_id = contracts.environment_workflow_id(prefix)
        workflows = f"{contracts.ENVIRONMENT_WORKFLOWS_QUERY} AND WorkflowId STARTS_WITH '{workflow_id}'"
        return [f"{workflows}{self._owner}{narrow}", records]

    def _narrow(self) -> str:
        """Return a query condition that is true for every run whose environment may match the filter."""
        if self._wanted.health is HealthState.UNKNOWN:
            # An environment is UNKNOWN only if its last proof is too old. The outcome of a recent sweep lists all
            # environments whose keys the sweep did not prove.
            proved = [
                f" AND ({contracts.REGION_ATTRIBUTE.name} != '{sweep.region}'"
                f"{_or_one_of(contracts.ENVIRONMENT_ID_ATTRIBUTE.name, sweep.unproved)})"
                for sweep in self._health.list_recent_sweeps()
            ]
            return f" AND {_HEALTH} IS NOT NULL{''.join(proved)}"
        if self._wanted.health is not None:
            return f" AND {_HEALTH} = '{self._wanted.health}'"
        match self._wanted.phase:
            case None:
                return ""
            case Phase.READY:  # a STOPPED run can count as READY if only the tenant name was missing
                return f" AND {_PHASE} IN ('{Phase.READY}', '{Phase.STOPPED}')"
            case Phase.STOPPED:  # a run that ended without reporting an outcome counts as STOPPED
                return f" AND ({_PHASE} NOT IN ('{Phase.READY}', '{Phase.DELETED}') OR {_PHASE} IS NULL)"
            case phase:
                return f" AND ({_PHASE} = '{phase}' OR {_PHASE} IS NULL)"

    async def _list_missing_runs(self, known: Mapping[str, WorkflowExecution]) -> dict[str, WorkflowExecution]:
        """Return the latest runs that `known` may lack.

        For each environment in `known`, this method looks up the latest run of the environment's workflow and of its
        record. It skips a workflow whose run in `known` is still open, because an open run is always the latest one.
        """
        names = {_get_environment_id(workflow_id) for workflow_id in known}
        wanted = [build(name) for name in names for build in _WORKFLOW_IDS]
        missing = [one for one in wanted if one not in known or known[one].close_time is not None]
        batches = range(0, len(missing), _WORKFLOW_IDS_PER_QUERY)
        types = f"({contracts.ENVIRONMENT_WORKFLOWS_QUERY} OR WorkflowType = '{contracts.ENVIRONMENT_RECORD_WORKFLOW}')"
        return await self._list_runs(
            [
                f"WorkflowId IN ({_quote(missing[first : first + _WORKFLOW_IDS_PER_QUERY])}) AND {types} "
                f"AND ExecutionStatus != 'ContinuedAsNew'{self._owner}"
                for first in batches
            ]
        )

    async def _list_runs(self, queries: Iterable[str]) -> dict[str, WorkflowExecution]:
        """Return, for each workflow, the latest run that matches any of the queries."""
        turn = asyncio.Semaphore(_QUERIES_AT_ONCE)

        async def run(query: str) -> dict[str, WorkflowExecution]:
            async with turn:
                return await list_latest_runs(self._client, query)

        return self._join(*await asyncio.gather(*map(run, queries)))

    @staticmethod
    def _join(*found: Mapping[str, WorkflowExecution]) -> dict[str, WorkflowExecution]:
        joined: dict[str, WorkflowExecution] = {}
        for runs in found:
            for name, run in runs.items():
                if name not in joined or run.start_time > joined[name].start_time:
                    joined[name] = run
        return joined

    async def _build_entries(self, runs: Mapping[str, WorkflowExecution]) -> list[EnvironmentSummary]:
        """Build the list's entries from the latest runs of the environments' workflows and records."""
        prefix = contracts.record_workflow_id("")
        workflows = [run for name, run in runs.items() if not name.startswith(prefix)]
        summaries = [await EnvironmentSummary.from_execution(one) for one in workflows]
        found = {one.environment_id: one for one in await apply_completed_namings(self._client, summaries)}
        records = [
            await FoundRecord.from_execution(self._client, run) for name, run in runs.items() if name.startswith(prefix)
        ]
        known = {one.summary.environment_id: one for one in records if one is not None}
        for name, record in known.items():
            live = found.get(name)
            if live is None or (live.problem_code in contracts.REFUSAL_CODES and record.is_open):
                found[name] = build_recorded_summary(record.summary)
        with_health = [
            known[name].summary
            for name, one in found.items()
            if one.phase is Phase.READY and name in known and known[name].is_open
        ]
        await self._health.read_sweeps(one.region for one in with_health)
        for summary in with_health:
            name, changes = summary.environment_id, {"health": self._health.compute(summary)}
            # The query selected the records by the creation time in the record. The creation time in the workflow can
            # differ, because another machine may have set it.
            moved = {} if self._wanted.health is None else {"created_at": summary.created_at}
            found[name] = found[name].model_copy(update=changes | moved)
        return list(found.values())


_WORKFLOW_IDS: Final = (contracts.environment_workflow_id, contracts.record_workflow_id)


def _get_environment_id(workflow_id: str) -> str:
    prefixes = [build("") for build in _WORKFLOW_IDS]
    return next(workflow_id.removeprefix(prefix) for prefix in prefixes if workflow_id.startswith(prefix))


def _quote(values: Sequence[str]) -> str:
    return ", ".join(f"'{one}'" for one in values)


def _or_one_of(attribute: str, values: Sequence[str]) -> str:
    return f" OR {attribute} IN ({_quote(values)})" if values else ""
