"""Reads the health of environments from their records and from the sweeps (contract 139)."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from temporalio.client import Client

from byok.domain.models import (
    EnvironmentHealth,
    HealthState,
    HealthSummary,
    RecordedHealth,
    SweepOutcome,
)
from byok.domain.models.health import MAX_PROOF_AGE, compute_state, find_proof_time
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus, EnvironmentSummary
from byok.temporal_health import read_sweep
from byok.temporal_records import FoundRecord, UnreadableRecordError, find_record


async def add_health(client: Client, status: EnvironmentStatus) -> EnvironmentStatus:
    """Return the status with its health. Only a READY environment has one.

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
        # The record lacks the run's last report, or is lost. Sweeps read the records, so no sweep proves anything.
        last = HealthSummary.from_evidence(status.evidence)
    if last is None:
        return status
    health = build_health(status.environment_id, last, recorded, sweep, datetime.now(UTC))
    return status.model_copy(update={"health": health})


async def _read_report(found: FoundRecord) -> RecordedHealth | None:
    """Return the last report. If a newer version of byok has written the record, its summary is enough."""
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
) -> EnvironmentHealth:
    """Return the health of an environment as byok knows it.

    Args:
        environment_id: The environment.
        last: The last reported health.
        recorded: The report itself; None if no check has reported since the environment became READY.
        sweep: The latest completed sweep of the environment's Region.
        now: The current time.
    """
    if recorded is not None and recorded.report.checked_at >= last.checked_at:
        last = recorded.summarise()  # the record's history can be ahead of its summary
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
        unreachable=None if sweep is None or sweep.proves(environment_id) else sweep.cause,
    )


async def add_health_to_list(
    client: Client, environments: Sequence[EnvironmentSummary], last: Mapping[str, HealthSummary]
) -> list[EnvironmentSummary]:
    """Return a list of environments with the health of those that are READY.

    Args:
        client: The client.
        environments: The environments.
        last: The last reported health of each environment whose record has one.

    Raises:
        RPCError: Temporal does not respond.
    """
    ready = [one for one in environments if one.phase is Phase.READY and one.region and one.environment_id in last]
    regions = sorted({one.region for one in ready if one.region})
    sweeps = dict(zip(regions, await asyncio.gather(*(read_sweep(client, region) for region in regions)), strict=True))
    now, found = datetime.now(UTC), dict[str, HealthState]()
    for one in ready:
        health = last[one.environment_id]
        proved_at = find_proof_time(health, one.environment_id, sweeps[one.region or ""])
        found[one.environment_id] = compute_state(health.state, proved_at, now)
    return [one.model_copy(update={"health": found.get(one.environment_id)}) for one in environments]
