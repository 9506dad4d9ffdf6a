"""The attempts to provision or delete an environment: when each one ran, why it stopped, and who began it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from byok.domain.models.base import RecordModel
from byok.domain.models.progress import TimelineEntry
from byok.domain.phases import Phase


class AttemptKind(StrEnum):
    """How an attempt began."""

    PROVISIONING = "provisioning"
    REPLAY = "replay"
    DELETION = "deletion"


class Attempt(RecordModel):
    """One attempt: a run of an environment's workflow, from its start or reset to its end (contract 148).

    Attributes:
        number: The position among all attempts, starting at 1. A gap in the numbers means that byok no longer has the
            data of an attempt.
        kind: How the attempt began. A replay that resumes at the failed step counts as a replay; one that starts over
            counts as provisioning.
        run_id: The id of the attempt's run in Temporal.
        ended_at: When the attempt ended; None if the attempt is still running or its end is unknown.
        phase: The phase in which the attempt ended, or the current phase.
        problem_code: The code of the first problem that stopped the attempt.
        problem_phase: The phase in which the first problem occurred.
        by: Who began the attempt; None if unknown.
        reason: The reason that was given for the attempt, if any.
    """

    number: int = 0
    kind: AttemptKind
    run_id: str
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    phase: Phase
    problem_code: str | None = None
    problem_phase: Phase | None = None
    by: str | None = None
    reason: str | None = None


def number_attempts(attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Number attempts in the given order.

    If an attempt already has a higher number, it keeps that number, so gaps in the numbers remain.
    """
    numbered: list[Attempt] = []
    for one in attempts:
        following = numbered[-1].number + 1 if numbered else 1
        numbered.append(one.model_copy(update={"number": max(following, one.number)}))
    return tuple(numbered)


class StoppedAttempt(RecordModel):
    """The report that a workflow sends to itself just before it stops.

    The report is a signal, because a workflow reset reapplies signals: the new run gets all signals that the stopped
    run received after the reset point. The new run therefore has the data of all earlier attempts, even after Temporal
    has deleted the earlier runs.

    Attributes:
        ended_at: When the attempt stopped.
        timeline: The phases of this attempt and of the earlier attempts. The last entry is STOPPED.
    """

    run_id: str
    started_at: datetime
    ended_at: datetime
    problem_code: str
    problem_phase: Phase
    timeline: tuple[TimelineEntry, ...]


class EarlierAttempts(RecordModel):
    """The attempts that were made before a workflow started.

    byok stores these attempts in the memo of the workflow that it starts.
    """

    attempts: tuple[Attempt, ...] = ()


_MAX_WORDS = 64
"""The maximum length of `by` and of `reason` in a memo."""


def pack_earlier_attempts(attempts: Sequence[Attempt], max_bytes: int) -> dict[str, Any] | None:
    """Return attempts as JSON for a memo, in the format of `EarlierAttempts`; None if there are no attempts.

    Args:
        attempts: All attempts, in order.
        max_bytes: The maximum size of the JSON. If the JSON would be larger, attempts are omitted, beginning with the
            second. The first and the last attempt are always kept.
    """
    if not attempts:
        return None
    kept = [_pack(one) for one in attempts]
    while len(kept) > 2 and sum(len(one.model_dump_json(exclude_none=True)) + 1 for one in kept) > max_bytes:  # noqa: PLR2004
        del kept[1]
    return {"attempts": [one.model_dump(mode="json", exclude_none=True) for one in kept]}


def _pack(attempt: Attempt) -> Attempt:
    """Return an attempt with `by` and `reason` truncated to their maximum length."""
    by, reason = attempt.by and attempt.by[:_MAX_WORDS], attempt.reason and attempt.reason[:_MAX_WORDS]
    return attempt.model_copy(update={"by": by, "reason": reason})
