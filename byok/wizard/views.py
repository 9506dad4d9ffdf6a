"""Prepares an environment's status for the progress page."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from byok.domain.arns import is_key_arn, parse_key_arn
from byok.domain.models import AttemptKind, HealthState
from byok.domain.phase_durations import USUAL_DURATIONS
from byok.domain.phases import Encryption, Phase
from byok.service.pending import PendingStep
from byok.service.replay import ReplayOptions, find_replay_options
from byok.service.status import EnvironmentStatus
from byok.service.timeline import list_phase_runs

ATTEMPT_NAMES: Final = {
    AttemptKind.PROVISIONING: "Provisioning",
    AttemptKind.REPLAY: "Retry",  # the label of the button
    AttemptKind.DELETION: "Deletion",
}

PHASE_NAMES: Final = {
    Phase.VALIDATING_KEYS: "Validating keys",
    Phase.CREATING_CLUSTER: "Creating the cluster",
    Phase.CREATING_STORAGE: "Creating the buckets",
    Phase.AWAITING_DATABASE: "Waiting for Aurora",
    Phase.VERIFYING: "Verifying",
    Phase.RECONCILING_TENANT: "Adding the tenant name",
    Phase.READY: "Ready",
    Phase.ROLLING_BACK: "Removing resources",
    Phase.DELETING: "Deleting",
    Phase.DELETED: "Deleted",
    Phase.STOPPED: "Stopped",
}
"""The name of each phase in lists, filters and badges."""

PHASE_TONES: Final = {
    Phase.READY: "success",
    Phase.STOPPED: "danger",
    Phase.ROLLING_BACK: "warning",
    Phase.DELETING: "warning",
    Phase.DELETED: "",
}
"""The tone of a phase's badge (`badge--…` in `static/components.css`). Phases that are not listed are in progress."""

_WORDS: Final = {
    Phase.VALIDATING_KEYS: "Validating your keys",
    Phase.CREATING_CLUSTER: "Creating the Aurora cluster with your Aurora key",
    Phase.CREATING_STORAGE: "Creating the S3 buckets and their initial objects with your S3 key",
    Phase.AWAITING_DATABASE: "Waiting until Aurora is available",
    Phase.VERIFYING: "Verifying that everything is encrypted with your keys",
    Phase.RECONCILING_TENANT: "Adding the tenant name to your keys",
    Phase.READY: "Ready",
    Phase.ROLLING_BACK: "Removing the created resources",
    Phase.DELETING: "Deleting the environment",
    Phase.DELETED: "Deleted",
    Phase.STOPPED: "Stopped",
}
_WORDS_ON_PLATFORM_KEYS: Final = {
    **_WORDS,
    Phase.VALIDATING_KEYS: "Planning the environment",
    Phase.CREATING_CLUSTER: "Creating the Aurora cluster",
    Phase.CREATING_STORAGE: "Creating the S3 buckets and their initial objects",
    Phase.VERIFYING: "Verifying that everything is encrypted with the platform's keys",
}
_ORDER: Final = (
    Phase.VALIDATING_KEYS,
    Phase.CREATING_CLUSTER,
    Phase.CREATING_STORAGE,
    Phase.AWAITING_DATABASE,
    Phase.VERIFYING,
    Phase.READY,
)


class StepState(StrEnum):
    """The state of a step."""

    DONE = "done"
    CURRENT = "in progress"
    FAILED = "stopped"
    TO_COME = "not started"


@dataclass(frozen=True)
class TimelineStep:
    """A line in the timeline.

    Attributes:
        took: The step's duration as text, up to now if the step is in progress; empty if the step has no duration.
        usual: How long the step usually takes; empty if the step is done or has no usual duration.
    """

    words: str
    state: StepState
    at: datetime | None = None
    took: str = ""
    usual: str = ""


@dataclass(frozen=True)
class StatusView:
    """An environment's status, prepared for the page."""

    status: EnvironmentStatus
    steps: tuple[TimelineStep, ...]
    waiting: tuple[str, ...]
    continuation: ReplayOptions | None

    @classmethod
    def from_status(cls, status: EnvironmentStatus) -> "StatusView":
        """Build the view of a status."""
        return cls(
            status,
            _steps(status),
            tuple(words for item in status.pending if (words := _describe_wait(item))),
            None if status.is_deletion or status.phase is not Phase.STOPPED else find_replay_options(status),
        )

    @property
    def headline(self) -> str:
        """A short description of the phase."""
        if self.status.resuming:
            return "Resuming…"
        return _words_for(self.status)[self.status.phase]

    @property
    def step(self) -> int | None:
        """The number of the step that the wizard highlights; None if no step is left, or if something is wrong.

        The last step, the tenant name, is optional. Platform-managed keys do not get a tenant name.
        """
        status = self.status
        if status.is_deletion or status.phase is Phase.ROLLING_BACK:
            return None
        if status.phase is not Phase.READY:
            return 4
        named = self.platform_managed or (status.tenant and status.tenant.keys)
        return None if named or not self.is_in_order else 5

    @property
    def is_in_order(self) -> bool:
        """Whether the environment is READY and has no known problem with its keys or its resources."""
        status = self.status
        return status.phase is Phase.READY and (status.health is None or status.health.state is HealthState.HEALTHY)

    @property
    def shows_progress(self) -> bool:
        """Whether the page shows the timeline. The page of a READY environment shows the result instead."""
        return self.status.phase is not Phase.READY

    @property
    def can_be_cancelled(self) -> bool:
        """Whether an operation is in progress that can be cancelled and has not been cancelled yet."""
        return self._can_stop and not self.status.cancelling

    @property
    def is_being_cancelled(self) -> bool:
        """Whether a cancellation was requested, but has not taken effect yet."""
        return self._can_stop and self.status.cancelling

    @property
    def _can_stop(self) -> bool:
        return not self.status.phase.is_final and self.status.phase is not Phase.ROLLING_BACK

    @property
    def can_be_deleted(self) -> bool:
        """Whether the environment can be deleted: it still exists, and no operation is in progress."""
        return self.status.phase in (Phase.READY, Phase.STOPPED)

    @property
    def key_account(self) -> str | None:
        """The customer's AWS account that owns the keys; None if there are no valid ARNs of customer keys."""
        arn = self.status.s3_key_arn
        return parse_key_arn(arn).account if arn and is_key_arn(arn) else None

    @property
    def platform_managed(self) -> bool:
        """Whether the environment uses the platform's own keys."""
        return self.status.encryption is Encryption.PLATFORM_MANAGED


def _steps(status: EnvironmentStatus) -> tuple[TimelineStep, ...]:
    words = _words_for(status)
    steps: list[TimelineStep] = []
    for run in list_phase_runs(status):
        if run.phase is Phase.STOPPED and steps and steps[-1].state is StepState.FAILED:
            continue  # the step before already says that it failed
        state = StepState.CURRENT if run.running else StepState.FAILED if run.failed else StepState.DONE
        took = "" if run.seconds is None else _format_duration(run.seconds)
        usual = _usual_duration(run.phase) if run.running else ""
        steps.append(TimelineStep(words[run.phase], state, run.entered_at, took, usual))
    if status.resuming:
        return (*steps, TimelineStep("Resuming…", StepState.CURRENT))
    entered = {entry.phase for entry in status.timeline}
    if not status.is_deletion and not entered & {Phase.READY, Phase.ROLLING_BACK}:
        to_come = [phase for phase in _ORDER if phase not in entered]
        steps += [TimelineStep(words[phase], StepState.TO_COME, usual=_usual_duration(phase)) for phase in to_come]
    return tuple(steps)


def _describe_wait(step: PendingStep) -> str | None:
    """Describe why a step takes longer, for a reader who does not know Temporal.

    Return None if the step only waits for AWS, or if the page describes the cause elsewhere.
    """
    problem = step.last_problem
    if step.paused:
        return "The platform's operator has paused this operation. You do not need to do anything."
    if step.unclaimed:
        return "Waiting until a worker of the platform is available. You do not need to do anything."
    if problem is None or problem.operation is None or step.holding:
        return None
    return f"AWS rejected the last attempt: {problem.message} The step is retried automatically."


def _usual_duration(phase: Phase) -> str:
    found = USUAL_DURATIONS.get(phase)
    return "" if found is None else found.text


def _words_for(status: EnvironmentStatus) -> dict[Phase, str]:
    return _WORDS_ON_PLATFORM_KEYS if status.encryption is Encryption.PLATFORM_MANAGED else _WORDS


def _format_duration(seconds: float) -> str:
    minutes, rest = divmod(max(int(seconds), 0), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s" if rest else "less than 1 s"
