"""A phase's duration includes only the time during which the phase ran."""

from datetime import UTC, datetime, timedelta

from byok.cli.views import render_progress
from byok.domain.models import TimelineEntry
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from byok.service.timeline import list_phase_runs
from byok.wizard.views import StatusView, StepState

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
ENTRIES = (
    (Phase.VALIDATING_KEYS, 0),
    (Phase.CREATING_CLUSTER, 2),
    (Phase.CREATING_STORAGE, 5),
    (Phase.STOPPED, 9),
    (Phase.CREATING_STORAGE, 9 + 86_400),  # replayed a day later
    (Phase.READY, 16 + 86_400),
)


def build_status(entries: tuple[tuple[Phase, int], ...] = ENTRIES) -> EnvironmentStatus:
    timeline = tuple(TimelineEntry(phase=phase, entered_at=BEGAN + timedelta(seconds=at)) for phase, at in entries)
    return EnvironmentStatus(
        environment_id="acme",
        phase=entries[-1][0],
        timeline=timeline,
        workflow_id="environment/acme",
        run_id="run-2",
        created_at=BEGAN,
        started_at=BEGAN,
        closed_at=timeline[-1].entered_at if entries[-1][0].is_final else None,
    )


def test_time_between_a_stop_and_a_replay_is_no_duration() -> None:
    runs = list_phase_runs(build_status())
    assert [run.seconds for run in runs] == [2, 3, 4, None, 7, None]
    # The phase in which the run stopped, and STOPPED itself, count as failed.
    assert [run.failed for run in runs] == [False, False, True, True, False, False]


def test_resumed_phase_is_the_running_one() -> None:
    runs = list_phase_runs(build_status(ENTRIES[:5]))
    assert [run.running for run in runs] == [False] * 4 + [True]
    assert runs[-1].failed is False


def test_rollback_that_ends_is_not_a_failure() -> None:
    entries = ((Phase.CREATING_STORAGE, 0), (Phase.ROLLING_BACK, 2), (Phase.STOPPED, 4))
    assert [run.failed for run in list_phase_runs(build_status(entries))] == [False, False, True]


def test_cli_and_wizard_show_the_same_durations() -> None:
    status = build_status()
    shown = [line.split()[-2] for line in render_progress(status).plain.splitlines() if line.endswith(" s")]
    assert shown == ["2.0", "3.0", "4.0", "7.0"]
    steps = StatusView.from_status(status).steps
    assert [step.took for step in steps] == ["2 s", "3 s", "4 s", "7 s", ""]
    assert steps[2].state is StepState.FAILED  # instead of a step of its own for the stop
