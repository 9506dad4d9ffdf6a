"""Passes the record of a stopped attempt to the run that resumes the attempt after a reset."""

from collections.abc import Sequence
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.attempts import AttemptActivities
    from byok.domain.models import (
        Attempt,
        AttemptKind,
        DeleteRequest,
        EnvironmentProgress,
        Problem,
        StoppedAttempt,
    )
from workflows.activity_options import RECORD_STOP_OPTIONS
from workflows.cancellation import finish_despite_cancellation
from workflows.progress import ProgressPublisher


class AttemptRecorder:
    """Sends a report if this attempt stops and, after a reset, receives the report of the attempt that stopped earlier.

    A reset copies the history up to the reset point into a new run, and reapplies all later signals to the new run. A
    stop is reported as a signal, so the new run receives the report in its first workflow task, even after a reset in
    Temporal's UI.
    """

    def __init__(self) -> None:
        self._progress: ProgressPublisher | None = None
        self._resumed: StoppedAttempt | None = None
        self._started_at = workflow.info().workflow_start_time
        self._stopping = False

    def follow(self, progress: ProgressPublisher) -> None:
        """Set the publisher of this attempt's progress.

        After a reset to the first workflow task, signals can arrive before this call.
        """
        self._progress = progress
        if self._resumed is not None:
            progress.resume_after(self._resumed.timeline)

    def receive(self, stop: StoppedAttempt) -> bool:
        """Continue the timeline of an earlier attempt that stopped. Return whether the timeline was continued.

        If this run is already stopping, the signal is this run's own report, and this method ignores the signal. This
        method does not compare run ids: after a reset to a point after the signal, the new run replays the signal, but
        has another run id.
        """
        if self._stopping:
            return False
        self._resumed, self._started_at = stop, workflow.now()
        if self._progress is None:
            return False
        self._progress.resume_after(stop.timeline)
        return True

    def describe(self, progress: EnvironmentProgress, ended_at: datetime | None = None) -> Attempt:
        """Return this attempt.

        Args:
            progress: The progress of the attempt.
            ended_at: When the attempt ended; None while it runs.
        """
        problem, resumed = progress.first_problem, self._resumed is not None
        kind = AttemptKind.DELETION if isinstance(progress.request, DeleteRequest) else AttemptKind.PROVISIONING
        return Attempt(
            kind=AttemptKind.REPLAY if resumed and kind is AttemptKind.PROVISIONING else kind,
            run_id=workflow.info().run_id,
            # The call that started the workflow published the first phase, with a time from the caller's clock.
            started_at=self._started_at if resumed else min(self._started_at, progress.timeline[0].entered_at),
            ended_at=ended_at,
            phase=progress.phase,
            problem_code=problem.code if problem else None,
            problem_phase=problem.phase if problem else None,
        )

    async def report_stop(self, problems: Sequence[Problem]) -> None:
        """Record in the history that this attempt stops.

        If Temporal does not accept the record, the workflow logs a warning and stops anyway.
        """
        if self._progress is None:  # a run stops only after it has published its first phase
            raise AssertionError("the attempt has no progress yet")
        self._stopping = True
        stop = StoppedAttempt(
            run_id=workflow.info().run_id,
            started_at=self._started_at,
            ended_at=workflow.now(),
            problem_code=problems[0].code,
            problem_phase=problems[0].phase,
            timeline=self._progress.timeline_until_stop(),
        )
        record = workflow.start_activity_method(AttemptActivities.record_stop, stop, **RECORD_STOP_OPTIONS)
        try:
            await finish_despite_cancellation(record)
        except ActivityError as error:
            workflow.logger.warning("the stop was not recorded", exc_info=error)
