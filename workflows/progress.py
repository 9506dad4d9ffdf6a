"""The published progress of an environment or of a tenant-name request: its phases, resources and problems.

Workflows publish their progress in their memo and search attributes, so that byok can read a status without a worker.
Workflows also publish their progress as text that Temporal's UI shows.
"""

import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from byok.contracts import (
        CREATED_AT_ATTRIBUTE,
        ENVIRONMENT_ID_ATTRIBUTE,
        ORGANISATION_ATTRIBUTE,
        PHASE_ATTRIBUTE,
        PROBLEM_CODE_ATTRIBUTE,
        PROGRESS_MEMO,
        REQUESTER_MEMO,
        TENANT_MEMO,
    )
    from byok.domain.models import (
        DeleteRequest,
        DeletionResult,
        EnvironmentProgress,
        Evidence,
        HealthSummary,
        Problem,
        ProvisionRequest,
        ReconcileTenantRequest,
        RecordedProgress,
        Requester,
        Resources,
        TenantOutcome,
        TenantProgress,
        TimelineEntry,
    )
    from byok.domain.phases import Phase
from workflows.creation_time import find_creation_time
from workflows.problem_markdown import format_problems, list_problems, list_steps

_MAX_EARLIER_ENTRIES: Final = 24
"""The maximum number of earlier entries that a resumed timeline keeps, in addition to the first entry."""


class ProgressPublisher:
    """Stores an environment's progress, and publishes the progress whenever the phase changes."""

    def __init__(self, request: ProvisionRequest | DeleteRequest) -> None:
        first = Phase.DELETING if isinstance(request, DeleteRequest) else Phase.VALIDATING_KEYS
        self._progress = _published_progress(request) or EnvironmentProgress(request=request, phase=first, timeline=())
        self.resources = Resources()
        self._tenant: TenantOutcome | None = None
        self._tenant_name: str | None = None
        self._resumed_at: datetime | None = None

    @property
    def phase(self) -> Phase:
        """The current phase."""
        return self._progress.phase

    @property
    def progress(self) -> EnvironmentProgress:
        """The progress that was published last."""
        return self._progress

    def correct_request(self, request: DeleteRequest) -> None:
        """Replace the request's values with the values that AWS reports.

        The next call to `enter_phase` publishes the new values.
        """
        self._progress = self._progress.model_copy(update={"request": request})

    def assign_tenant_name(self, name: str | None) -> None:
        """Record the tenant name. The next call to `enter_phase` publishes the name."""
        self._tenant_name = name

    def record_tenant_outcome(self, outcome: TenantOutcome) -> None:
        """Record the outcome of putting the tenant name on the keys.

        The next call to `enter_phase` publishes the outcome.
        """
        self._tenant = outcome

    def enter_phase(
        self,
        phase: Phase,
        *,
        problems: Sequence[Problem] = (),
        evidence: Evidence | None = None,
    ) -> None:
        """Enter a phase that is not final, and publish the progress. For the arguments, see `advance`."""
        self.publish(self.advance(phase, problems=problems, evidence=evidence))

    def advance(
        self,
        phase: Phase,
        *,
        problems: Sequence[Problem] = (),
        evidence: Evidence | None = None,
        left_behind: Sequence[str] = (),
        deletion: DeletionResult | None = None,
    ) -> EnvironmentProgress:
        """Return the progress in the next phase, without publishing it.

        Args:
            phase: The new phase.
            problems: The problems that stopped the environment. Later phases keep these problems.
            evidence: The evidence, once the workflow has collected it.
            left_behind: The resources that a rollback or a deletion could not remove.
            deletion: The proof of the deletion, which is passed only with the phase DELETED.
        """
        earlier = self._progress
        if earlier.timeline and earlier.timeline[-1].phase is phase:
            return earlier
        return earlier.model_copy(
            update={
                "phase": phase,
                "timeline": (*self._list_phases_that_ran(), TimelineEntry(phase=phase, entered_at=workflow.now())),
                "problems": tuple(problems) or earlier.problems,
                "resources": self.resources,
                "evidence": evidence,
                "left_behind": tuple(left_behind),
                "tenant": self._tenant,
                "tenant_name": self._tenant_name,
                "deletion": deletion,
            }
        )

    def publish(self, progress: EnvironmentProgress) -> None:
        """Publish the progress in the memo, the search attributes and the details."""
        if progress is self._progress:
            # The call that started the workflow has already published this phase.
            workflow.set_current_details(format_progress(progress))
            return
        self._progress = progress
        self._publish(first=len(progress.timeline) == 1)

    def resume_after(self, timeline: Sequence[TimelineEntry]) -> None:
        """Publish the phases of the stopped attempts, followed by the current phase, which a reset resumed.

        Args:
            timeline: The phases of the stopped attempts. The last entry is STOPPED.
        """
        self._resumed_at = workflow.now()
        earlier = (*timeline[:1], *timeline[1:][-_MAX_EARLIER_ENTRIES:])
        resumed = TimelineEntry(phase=self._progress.phase, entered_at=self._resumed_at)
        self._progress = self._progress.model_copy(
            update={"timeline": (*earlier, resumed), "resources": self.resources}
        )
        self._publish(first=True)

    def _list_phases_that_ran(self) -> tuple[TimelineEntry, ...]:
        """Return the timeline of the phases that ran.

        If one workflow task resumes the last phase after a reset and also completes the phase, the phase is omitted.
        A single task can resume and complete a phase, because signals are applied before all other events, such as the
        result of the phase's last activity.
        """
        timeline = self._progress.timeline
        return timeline[:-1] if self._resumed_at == workflow.now() else timeline

    def timeline_until_stop(self) -> tuple[TimelineEntry, ...]:
        """Return the phases so far, followed by STOPPED at the current time."""
        return (*self._progress.timeline, TimelineEntry(phase=Phase.STOPPED, entered_at=workflow.now()))

    def _publish(self, *, first: bool) -> None:
        attributes: list[SearchAttributeUpdate[Any]] = [PHASE_ATTRIBUTE.value_set(self._progress.phase.value)]
        if first:
            if workflow.info().typed_search_attributes.get(CREATED_AT_ATTRIBUTE) is None:
                attributes.append(CREATED_AT_ATTRIBUTE.value_set(find_creation_time()))
            request = self._progress.request
            attributes.append(ENVIRONMENT_ID_ATTRIBUTE.value_set(request.environment_id))
            if request.organisation is not None:
                attributes.append(ORGANISATION_ATTRIBUTE.value_set(request.organisation))
        if self._progress.first_problem is not None:
            attributes.append(PROBLEM_CODE_ATTRIBUTE.value_set(self._progress.first_problem.code))
        workflow.upsert_search_attributes(attributes)
        workflow.upsert_memo({PROGRESS_MEMO: self._progress})
        workflow.set_current_details(format_progress(self._progress))


class TenantProgressPublisher:
    """Stores the progress of putting a tenant name on the keys, and publishes every change."""

    def __init__(self, request: ReconcileTenantRequest) -> None:
        self._progress = TenantProgress(request=request)
        workflow.upsert_search_attributes([ENVIRONMENT_ID_ATTRIBUTE.value_set(request.environment_id)])
        self._publish()

    @property
    def progress(self) -> TenantProgress:
        """The progress that was published last."""
        return self._progress

    def publish_outcome(self, outcome: TenantOutcome) -> None:
        """Publish the outcome so far."""
        self._progress = self._progress.model_copy(update={"outcome": outcome})
        self._publish()

    def publish_problems(self, problems: Sequence[Problem]) -> None:
        """Publish the problems, along with the outcome so far."""
        self._progress = self._progress.model_copy(update={"problems": tuple(problems)})
        workflow.upsert_search_attributes([PROBLEM_CODE_ATTRIBUTE.value_set(problems[0].code)])
        self._publish()

    def _publish(self) -> None:
        workflow.upsert_memo({TENANT_MEMO: self._progress})
        request = self._progress.request
        lines = [f"### {request.tenant} on the keys of {request.environment_id}", "", *_requester()]
        lines += _tenant(self._progress.outcome) + format_problems(
            self._progress.problems, f"byok tenant {request.environment_id} {shlex.quote(request.tenant)}"
        )
        workflow.set_current_details("\n".join(lines))


def _published_progress(request: ProvisionRequest | DeleteRequest) -> EnvironmentProgress | None:
    """Return the progress that byok published when it started the workflow, or None if byok did not start it."""
    try:
        begun: EnvironmentProgress | None = workflow.memo_value(PROGRESS_MEMO, None, type_hint=EnvironmentProgress)
    except ApplicationError:  # another program has written this memo field
        return None
    return begun if begun is not None and begun.request == request else None


def format_progress(progress: EnvironmentProgress | RecordedProgress) -> str:
    """Return an environment's progress as Markdown for Temporal's UI."""
    lines = [f"### {progress.request.environment_id}: {progress.phase}", "", *_requester()]
    if progress.request.encryption is not None:
        lines += [f"Encryption: {progress.request.encryption}", ""]
    lines += [f"- `{entry.entered_at:%H:%M:%S}` {entry.phase}" for entry in progress.timeline]
    deleting = bool(progress.problems) and progress.problems[0].phase is Phase.DELETING
    retry = f"byok {'delete' if deleting else 'replay'} {progress.request.environment_id}"
    lines += format_problems(progress.problems, retry) + _tenant(progress.tenant)
    if progress.tenant_name:
        lines += ["", f"Tenant name: `{progress.tenant_name}`"]
    if progress.left_behind:
        lines += ["", "Left behind:", *(f"- {item}" for item in progress.left_behind)]
    return "\n".join(lines)


def format_health(health: HealthSummary, problems: Sequence[Problem]) -> str:
    """Return the last reported health as Markdown for Temporal's UI.

    A record does not contain the time of the last proof, because a sweep without changes sends no report. The text
    therefore states when a check last reported, and which command shows the age of the last proof.
    """
    lines = [
        "",
        "",
        f"### Health: {health.state}, since {health.since:%Y-%m-%d %H:%M:%S} UTC",
        "",
        f"Last reported at {health.checked_at:%Y-%m-%d %H:%M:%S} UTC. `byok status` shows how old the last proof is.",
    ]
    return "\n".join([*lines, *list_problems(problems)])


def find_requester() -> Requester | None:
    """Return who requested the run; None if byok did not start the run."""
    try:
        sender: Requester | None = workflow.memo_value(REQUESTER_MEMO, None, type_hint=Requester)
    except ApplicationError:  # another program has written this memo field
        return None
    return sender


def _requester() -> list[str]:
    """Return who requested the run, and why, if byok started the run (contract 147)."""
    sender = find_requester()
    if sender is None:
        return []
    why = f": {sender.reason}" if sender.reason else ""
    return [f"Requested by {sender.subject} ({sender.via}, request `{sender.request_id}`){why}", ""]


def _tenant(outcome: TenantOutcome | None) -> list[str]:
    if outcome is None:
        return []
    lines = [""]
    for key in outcome.keys:
        lines.append(f"- {key.key.field_label} `{key.key_arn}`: `{key.alias}` {key.alias_state}")
        if key.remediation:
            lines += ["", *list_steps(key.remediation), ""]
    if outcome.commands:
        lines.append(
            f"The key administrator can put the tenant name {outcome.tenant} on the keys in one of these ways:"
        )
        lines += [line for command in outcome.commands for line in ("", "```", command, "```")]
    return lines
