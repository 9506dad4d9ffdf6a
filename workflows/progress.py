"""The record of where an environment is: phases with their times, what exists, what went wrong.

It lives in the workflow's memo and search attributes, so that a status needs no worker, and as text in Temporal's UI.
"""

from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from byok.contracts import ENVIRONMENT_ID, PHASE, PROBLEM_CODE, PROGRESS_MEMO
    from byok.domain.models import (
        Evidence,
        Problem,
        Progress,
        ProvisionRequest,
        Resources,
        TenantOutcome,
        TimelineEntry,
    )
    from byok.domain.statuses import Phase


class ProgressRecord:
    """Holds the progress and publishes it at every change of phase."""

    def __init__(self, request: ProvisionRequest) -> None:
        self.request = request
        self._progress = Progress(request=request, phase=Phase.VALIDATING_KEYS, timeline=())
        self.resources = Resources()

    @property
    def phase(self) -> Phase:
        """The phase entered last."""
        return self._progress.phase

    def enter(
        self,
        phase: Phase,
        *,
        problems: Sequence[Problem] = (),
        evidence: Evidence | None = None,
        left_behind: Sequence[str] = (),
        tenant: TenantOutcome | None = None,
    ) -> None:
        """Enter a phase and publish it. The only writer of memo, search attributes and details.

        Args:
            phase: The phase that begins now.
            problems: What stopped the environment; they stay once they are known.
            evidence: The proof, with READY.
            left_behind: What a rollback could not remove.
            tenant: What became of the tenant's name.
        """
        earlier = self._progress
        self._progress = earlier.model_copy(
            update={
                "phase": phase,
                "timeline": (*earlier.timeline, TimelineEntry(phase=phase, entered_at=workflow.now())),
                "problems": tuple(problems) or earlier.problems,
                "resources": self.resources,
                "evidence": evidence,
                "left_behind": tuple(left_behind),
                "tenant": tenant,
            }
        )
        attributes = [PHASE.value_set(phase.value)]
        if len(self._progress.timeline) == 1:
            attributes.append(ENVIRONMENT_ID.value_set(self._progress.request.environment_id))
        if problems:
            attributes.append(PROBLEM_CODE.value_set(problems[0].code))
        workflow.upsert_search_attributes(attributes)
        workflow.upsert_memo({PROGRESS_MEMO: self._progress})
        workflow.set_current_details(_as_markdown(self._progress))


def _as_markdown(progress: Progress) -> str:
    lines = [f"### {progress.request.environment_id}: {progress.phase}", ""]
    lines += [f"- `{entry.entered_at:%H:%M:%S}` {entry.phase}" for entry in progress.timeline]
    for item in progress.problems:
        lines += ["", f"**{item.code}** `{item.message}`", ""]
        lines += [f"- {name}: `{value}`" for name, value in _facts(item) if value]
        lines += ["", "```", item.remediation, "```"]
    if progress.tenant and progress.tenant.commands:
        lines += ["", f"For the owner of the keys, to give them the name {progress.tenant.tenant}:"]
        lines += [line for command in progress.tenant.commands for line in ("", "```", command, "```")]
    if progress.left_behind:
        lines += ["", "Left behind:", *(f"- {item}" for item in progress.left_behind)]
    return "\n".join(lines)


def _facts(item: Problem) -> tuple[tuple[str, str | None], ...]:
    return (
        ("key", item.key and item.key.label),
        ("ARN", item.key_arn),
        ("operation", item.operation),
        ("request id", item.request_id),
    )
