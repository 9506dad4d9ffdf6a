"""Reports how long each phase of an environment ran, and which phases failed."""

from dataclasses import dataclass
from datetime import UTC, datetime

from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus


@dataclass(frozen=True)
class PhaseRun:
    """A phase in the timeline.

    Attributes:
        seconds: How long the phase ran, or has run so far; None if the environment stays in the phase until a user
            acts. The time between a stop and a replay counts as STOPPED, not as part of the phase that was resumed.
        running: Whether the phase is the current phase.
        failed: Whether the environment stopped in this phase, or the phase is STOPPED.
    """

    phase: Phase
    entered_at: datetime
    seconds: float | None
    running: bool
    failed: bool


def list_phase_runs(status: EnvironmentStatus) -> list[PhaseRun]:
    """Return the phases so far, in order."""
    runs = []
    problem_phases = {problem.phase for problem in status.problems}
    for number, entry in enumerate(status.timeline, start=1):
        following = status.timeline[number] if number < len(status.timeline) else None
        end = following.entered_at if following else status.closed_at or datetime.now(UTC)
        seconds = None if entry.phase.is_final else max((end - entry.entered_at).total_seconds(), 0)
        running = following is None and not entry.phase.is_final
        stopped = following is not None and following.phase is Phase.STOPPED and entry.phase is not Phase.ROLLING_BACK
        failed = stopped or entry.phase is Phase.STOPPED or entry.phase in problem_phases
        runs.append(PhaseRun(entry.phase, entry.entered_at, seconds, running, failed))
    return runs
