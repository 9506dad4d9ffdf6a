"""Reads the health status of environments from their records and from the sweeps (contract 139)."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from temporalio.client import Client

from byok.domain.models import (
    EnvironmentHealth,
    HealthState,
    HealthSummary,
    KeyDeletion,
    RecordedHealth,
    RecordSummary,
    SweepOutcome,
)
from byok.domain.models.health import MAX_PROOF_AGE, compute_state, find_proof_time
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from byok.temporal_health import read_sweep
from byok.temporal_records import FoundRecord, UnreadableRecordError, find_record


async def add_health(client: Client, status: EnvironmentStatus) -> EnvironmentStatus:
    """Return the status, with the health added if the environment is READY.

    Raises:
        RPCError: Temporal does not respond.
    """
    if status.phase is not Phase.READY or status.region is None:
        return status
    found = await find_record(client, status.environment_id)
    last = found.summary.health if found is not None and found.is_open else None
    recorded, sweep = None, None
    if found is not None and last is not None:
        # A status that comes from the record already contains the record's state.
        known = status.record.health if status.record is not None else None
        recorded = known or (await _read_report(found) if last.digest is not None else None)
        sweep = await read_sweep(client, status.region)
    elif status.evidence is not None:
        # The record is lost, or does not contain the run's last report yet. In both cases, sweeps skip the environment,
        # so no sweep has proved its keys.
        last = HealthSummary.from_evidence(status.evidence)
    if last is None:
        return status
    deletions = found.summary.deletions if found is not None and found.is_open else ()
    health = build_health(status.environment_id, last, recorded, sweep, datetime.now(UTC), deletions)
    return status.model_copy(update={"health": health})


async def _read_report(found: FoundRecord) -> RecordedHealth | None:
    """Return the last report; None if this version of byok cannot read the record."""
    try:
        return (await found.read_state()).health
    except UnreadableRecordError:
        return None


def build_health(
    environment_id: str,
    last: HealthSummary,
    recorded: RecordedHealth | None,
    sweep: SweepOutcome | None,
    now: datetime,
    deletions: tuple[KeyDeletion, ...] = (),
) -> EnvironmentHealth:
    """Compute the health of an environment from the last report and the latest sweep.

    Args:
        environment_id: The environment.
        last: The last reported health, as a summary.
        recorded: The complete last report; None if no check has reported since the environment became READY.
        sweep: The latest completed sweep of the environment's Region.
        now: The current time.
        deletions: The keys that are scheduled for deletion, as reported by the customer's account.
    """
    if recorded is not None and recorded.report.checked_at >= last.checked_at:
        last = recorded.summarise()  # the record's history can be newer than its summary
    proved_at = find_proof_time(last, environment_id, sweep)
    state = compute_state(last.state, proved_at, now)
    report = recorded.report if recorded is not None else None
    return EnvironmentHealth(
        state=state,
        last_state=last.state,
        since=proved_at + MAX_PROOF_AGE if state is HealthState.UNKNOWN else last.since,
        proved_at=proved_at,
        cluster_status=report.cluster_status if report else None,
        keys=report.keys if report else (),
        problems=report.problems if report else (),
        recoverable_until=recorded.recoverable_until if recorded else None,
        deletions=deletions,
        unreachable=None if sweep is None or sweep.proves(environment_id) else sweep.cause,
    )


class ListedHealth:
    """Computes the health of the environments in a list. Reads the latest sweep of each Region only once.

    Args:
        client: The client.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._sweeps: dict[str, SweepOutcome | None] = {}

    async def read_sweeps(self, regions: Iterable[str]) -> None:
        """Read the latest sweep of each Region, unless it has already been read.

        Raises:
            RPCError: Temporal does not respond.
        """
        missing = sorted({*regions} - {*self._sweeps})
        found = await asyncio.gather(*(read_sweep(self._client, region) for region in missing))
        self._sweeps |= zip(missing, found, strict=True)

    def compute(self, record: RecordSummary) -> HealthState | None:
        """Compute the health status of a READY environment from its open record; None if no health is recorded.

        Call `read_sweeps` for the environment's Region first.
        """
        if record.health is None:
            return None
        proved_at = find_proof_time(record.health, record.environment_id, self._sweeps[record.region])
        return compute_state(record.health.state, proved_at, datetime.now(UTC))

    def list_recent_sweeps(self) -> list[SweepOutcome]:
        """Return the recent sweeps. An environment whose keys were proved by a recent sweep is not UNKNOWN."""
        now = datetime.now(UTC)
        return [
            one
            for one in self._sweeps.values()
            if one is not None and one.names_all_unproved and now - one.swept_at <= MAX_PROOF_AGE
        ]
