"""Prepares the keys and their check results for the page *Encryption at rest*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.durations import format_duration
from byok.domain.models import CheckedKey, KeyCheckResult, Problem
from byok.domain.phases import KeyVerdict
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.service.key_check_progress import KeyCheckProgress
from byok.service.pending import PendingStep

_BADGES: Final = {
    KeyVerdict.PROVED: ("success", "verified"),
    KeyVerdict.REFUSED: ("danger", "cannot be used"),
    KeyVerdict.NOT_PROVED: ("warning", "not verified"),
}
_CHECKING: Final = {
    KeyPurpose.S3: "S3 is writing and reading an object, encrypted with this key.",
    KeyPurpose.RDS: "RDS is creating a cluster without instances, encrypted with this key.",
}
_BOTH: Final = "These keys"
_USUAL: Final = {
    KeyPurpose.S3: ("a few seconds", timedelta(seconds=40)),
    KeyPurpose.RDS: ("a few minutes", timedelta(minutes=5)),
}
"""The usual duration of each key's check as text, and the duration after which the page reports that the check takes
longer than usual. For the S3 key, the second value includes the 30 seconds for which byok retries an access-denied
error.
"""


@dataclass(frozen=True)
class KeyView:
    """One key on the page.

    Attributes:
        fault: The error message of the field; empty if the field's value is well formed.
        problems: The problems of this key.
        verdict: The verdict on the key; None if the key has not been checked yet.
        checking: What the check is doing with the key; empty if no check of this key is running.
        elapsed: How long the check has been running, compared with its usual duration.
        is_swapped: Whether the ARN belongs in the other key's field.
    """

    key: KeyPurpose
    fault: str = ""
    problems: tuple[Problem, ...] = ()
    verdict: CheckedKey | None = None
    checking: str = ""
    elapsed: str = ""
    is_swapped: bool = False

    @property
    def name(self) -> str:
        """The name of the form field for the key."""
        return f"{self.key.value}_key_arn"

    @property
    def is_invalid(self) -> bool:
        """Whether the user must change the field, or fix the key."""
        refused = self.verdict is not None and self.verdict.verdict is KeyVerdict.REFUSED
        return bool(self.fault or self.problems or refused or self.is_swapped)

    @property
    def badge(self) -> tuple[str, str] | None:
        """The tone and the text of the key's badge; None if there is nothing to say about the key."""
        if self.is_swapped:
            return ("danger", "belongs in the other field")
        if self.verdict is not None:
            return _BADGES[self.verdict.verdict]
        return ("info", "validating") if self.checking else None

    @property
    def is_verified(self) -> bool:
        """Whether S3 or RDS has used the key successfully."""
        return self.verdict is not None and self.verdict.verdict is KeyVerdict.PROVED

    @property
    def verified_at(self) -> str:
        """The time at which S3 or RDS used the key, with the date if that was on an earlier day."""
        at = self.verdict.at if self.verdict is not None else None
        if at is None:
            return ""
        return f"{at:%H:%M} UTC" if at.date() == datetime.now(UTC).date() else f"{at:%Y-%m-%d %H:%M} UTC"

    @property
    def reason(self) -> str:
        """The reason why the key is not verified; empty if a problem on the page already explains it."""
        return "" if self.verdict is None or self.verdict.problem is not None else self.verdict.reason or ""


@dataclass(frozen=True)
class KeysView:
    """Both keys on the page.

    Attributes:
        keys: The S3 key and the Aurora key.
        title: The result for both keys; empty before the first check.
        tone: The tone of the result.
        problems: The problems that do not belong to a single key.
        fault: The error that prevented the check from starting or completing, if any.
        is_running: Whether a check is running.
        is_swapped: Whether each ARN belongs in the other field.
    """

    keys: tuple[KeyView, KeyView]
    title: str = ""
    tone: str = ""
    problems: tuple[Problem, ...] = ()
    fault: str = ""
    is_running: bool = False
    is_swapped: bool = False

    @classmethod
    def build(
        cls,
        faults: Mapping[str, str],
        findings: Sequence[Problem] = (),
        progress: KeyCheckProgress | None = None,
        fault: str = "",
    ) -> "KeysView":
        """Build the view.

        Args:
            faults: The error messages of the fields, by the name of the field.
            findings: The problems that byok found without a check.
            progress: The progress of the check, if there is a check.
            fault: The error that prevented the check from starting or completing, if any.
        """
        result = progress.result if progress else None
        problems = (*findings, *(result.findings if result else ()))
        is_running = progress is not None and result is None
        s3, rds = (_view_key(which, faults, problems, progress, is_running=is_running) for which in KeyPurpose)
        title, tone = "", ""
        is_swapped = result is not None and any(one.code == KEYS_EXCHANGED_CODE for one in result.findings)
        if is_running:
            title, tone = "Validating your keys…", "info"
        elif is_swapped:
            title, tone = "The two key ARNs are swapped", "danger"
            s3, rds = (replace(key, is_swapped=True, problems=(), verdict=None) for key in (s3, rds))
        elif result is not None and result.keys.any_refused:
            title, tone = f"{_name_keys(result, KeyVerdict.REFUSED)} cannot be used yet", "danger"
        elif result is not None and result.keys.all_proved:
            title, tone = "Both keys are verified", "success"
        elif result is not None:
            unproved = _name_keys(result, KeyVerdict.NOT_PROVED)
            title, tone = f"{unproved} {'are' if unproved == _BOTH else 'is'} not verified", "warning"
        both = tuple(one for one in problems if one.key is None)
        return cls((s3, rds), title, tone, both, fault, is_running, is_swapped)

    @property
    def is_verified(self) -> bool:
        """Whether both keys are verified and the user can continue to the review."""
        return not self.is_running and all(key.is_verified for key in self.keys)

    @property
    def focus(self) -> str:
        """The id of the element that gets the focus: the first invalid field; otherwise, the result.

        If the ARNs are swapped, the result contains the button that swaps them.
        """
        first = next((key.name for key in self.keys if key.is_invalid and not key.is_swapped), "")
        return first or ("answer" if self.title or self.fault else "both-answer" if self.problems else "")


def _view_key(
    which: KeyPurpose,
    faults: Mapping[str, str],
    problems: Sequence[Problem],
    progress: KeyCheckProgress | None,
    *,
    is_running: bool,
) -> KeyView:
    verdict = progress.verdicts.get(which) if progress else None
    own = tuple(one for one in problems if one.key is which)
    if is_running and verdict is not None and verdict.verdict is KeyVerdict.REFUSED and verdict.problem is not None:
        own = (verdict.problem,)
    checking = _describe_check(which, progress.steps.get(which)) if progress and is_running and not verdict else ""
    elapsed = _compare_duration(which, progress.elapsed) if progress and checking else ""
    return KeyView(which, faults.get(f"{which.value}_key_arn", ""), own, verdict, checking, elapsed)


def _name_keys(result: KeyCheckResult, verdict: KeyVerdict) -> str:
    """Return the subject of a sentence about the keys with a verdict."""
    names = [one.key.display_name for one in result.keys.both if one.verdict is verdict]
    return _BOTH if len(names) > 1 else f"The {names[0]}"


def _compare_duration(which: KeyPurpose, elapsed: timedelta) -> str:
    usual, late = _USUAL[which]
    is_short = elapsed < timedelta(minutes=1)
    so_far = f"{f'{elapsed.seconds} s' if is_short else format_duration(elapsed)} so far"
    return f"{so_far}, which is longer than usual ({usual})." if elapsed > late else f"{so_far}, usually {usual}."


def _describe_check(which: KeyPurpose, step: PendingStep | None) -> str:
    if step is not None and step.attempt > 1 and step.last_problem is not None:
        return (
            f"AWS refused the key in attempt {step.attempt - 1}: {step.last_problem.message} The step is retried, "
            "because a change to a key policy does not take effect immediately."
        )
    return _CHECKING[which]
