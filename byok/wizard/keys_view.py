"""Prepares the keys, and what is known about each key, for the page *Encryption at rest*."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckedKey, Problem
from byok.domain.phases import KeyVerdict
from byok.service.key_check_progress import KeyCheckProgress
from byok.service.pending import PendingStep

_TONES: Final = {KeyVerdict.PROVED: "success", KeyVerdict.REFUSED: "danger", KeyVerdict.NOT_PROVED: "warning"}
_CHECKING: Final = {
    KeyPurpose.S3: "S3 writes and reads an object with this key.",
    KeyPurpose.RDS: "RDS creates a cluster without instances with this key, which can take a few minutes.",
}


@dataclass(frozen=True)
class KeyView:
    """One key on the page.

    Attributes:
        fault: The error message of the field; empty if the field's value is well formed.
        problems: The problems of this key.
        verdict: The verdict on the key; None if the key is not checked yet.
        checking: What the check does with the key at the moment; empty if no check of this key is running.
    """

    key: KeyPurpose
    fault: str = ""
    problems: tuple[Problem, ...] = ()
    verdict: CheckedKey | None = None
    checking: str = ""

    @property
    def name(self) -> str:
        """The name of the key's field."""
        return f"{self.key.value}_key_arn"

    @property
    def is_invalid(self) -> bool:
        """Whether the user must change the field, or fix the key."""
        refused = self.verdict is not None and self.verdict.verdict is KeyVerdict.REFUSED
        return bool(self.fault or self.problems or refused)

    @property
    def badge(self) -> tuple[str, str] | None:
        """The tone and the text of the key's badge; None if there is nothing to say about the key."""
        if self.verdict is not None:
            return _TONES[self.verdict.verdict], self.verdict.verdict.value
        return ("info", "checking") if self.checking else None

    @property
    def reason(self) -> str:
        """Why the key is not proved, unless the page shows the problem that prevents the proof."""
        return "" if self.verdict is None or self.verdict.problem is not None else self.verdict.reason or ""


@dataclass(frozen=True)
class KeysView:
    """Both keys on the page.

    Attributes:
        keys: The S3 key and the Aurora key.
        title: The result for both keys; empty before the first check.
        tone: The tone of the result.
        problems: The problems that concern neither key alone.
        fault: Why the check was not started or not completed; empty if it was.
        is_running: Whether a check is running.
    """

    keys: tuple[KeyView, KeyView]
    title: str = ""
    tone: str = ""
    problems: tuple[Problem, ...] = ()
    fault: str = ""
    is_running: bool = False

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
            progress: How far the check has come, if there is a check.
            fault: Why the check was not started or not completed.
        """
        result = progress.result if progress else None
        problems = (*findings, *(result.findings if result else ()))
        is_running = progress is not None and result is None
        s3, rds = (_view_key(which, faults, problems, progress, is_running=is_running) for which in KeyPurpose)
        title, tone = "", ""
        if is_running:
            title, tone = "Validating your keys…", "info"
        elif result is not None and result.keys.any_refused:
            refused = [one.key.display_name for one in result.keys.both if one.verdict is KeyVerdict.REFUSED]
            which = "These keys" if len(refused) > 1 else f"The {refused[0]}"
            title, tone = f"{which} cannot be used yet", "danger"
        elif result is not None and result.keys.all_proved:
            title, tone = "Both keys are proved", "success"
        elif result is not None:
            title, tone = "At least one key is not proved", "warning"
        both = tuple(one for one in problems if one.key is None)
        return cls((s3, rds), title, tone, both, fault, is_running)

    @property
    def is_proved(self) -> bool:
        """Whether both keys are proved, so that the next step is the review."""
        verdicts = [None if key.verdict is None else key.verdict.verdict for key in self.keys]
        return not self.is_running and verdicts == [KeyVerdict.PROVED, KeyVerdict.PROVED]

    @property
    def focus(self) -> str:
        """The id of the element that gets the focus: the first invalid field, or else the result."""
        first = next((key.name for key in self.keys if key.is_invalid), "")
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
    return KeyView(which, faults.get(f"{which.value}_key_arn", ""), own, verdict, checking)


def _describe_check(which: KeyPurpose, step: PendingStep | None) -> str:
    if step is not None and step.attempt > 1 and step.last_problem is not None:
        return (
            f"AWS refused the key in attempt {step.attempt - 1}: {step.last_problem.message} byok tries again, because "
            "a change of a key policy takes a moment to take effect."
        )
    return _CHECKING[which]
