"""The structure of a remedy: a title, and steps of which the last one is the retry.

The CLI, the API, the wizard and Temporal's UI all show this structure, and each of them says the last step in its own
words. `byok.domain.problems.remediation` builds the remedies.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    """Base class of the parts of a remedy, which workflows store. A reader ignores fields that it does not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class RetryRequest(StrEnum):
    """The request that the user repeats once the problem is fixed."""

    REPLAY = "replay"
    DELETE = "delete"
    CREATE = "create"
    SET_TENANT_NAME = "set-tenant-name"
    NONE = "none"
    """byok repeats the work on its own."""


class RetryValues(StrEnum):
    """The values with which the user repeats a request."""

    SAME = "same"
    ANOTHER_KEY = "another-key"
    SAME_OR_ANOTHER_KEY = "same-or-another-key"
    SWAPPED_KEYS = "swapped-keys"
    CORRECTED = "corrected"


class Retry(_Part):
    """What the last step of a remedy repeats, for a program that offers the retry as a command or a button.

    Attributes:
        request: The request to repeat. In the HTTP API: `POST /v1/environments/{environment_id}/replays` (replay),
            `DELETE /v1/environments/{environment_id}` (delete), `POST /v1/environments` (create) and
            `PUT /v1/environments/{environment_id}/tenant` (set-tenant-name).
        values: Whether to repeat the request with the same values.
    """

    request: RetryRequest
    values: RetryValues = RetryValues.SAME


class RemedyLink(_Part):
    """A page of the AWS console on which a step can be carried out."""

    label: str
    url: str


class RemedyStep(_Part):
    """One instruction.

    Attributes:
        text: The instruction, which says who must act.
        command: The one command of this step, ready to copy; None if the step needs no command.
        statement: The key policy statements of this step as JSON: elements of a Statement array, ready to paste.
        link: The page of the AWS console for this step; None if byok does not know a page.
        retry: What to repeat; given only in the last step of a remedy.
    """

    text: str
    command: str | None = None
    statement: str | None = None
    link: RemedyLink | None = None
    retry: Retry | None = None


class Remediation(_Part):
    """A remedy.

    Attributes:
        title: One sentence that says what happened, such as "The S3 key is disabled".
        explanation: What the reader must know before the first step; may be empty.
        steps: The steps in order. In a problem that is stored without its remedy, there are no steps.
    """

    title: str
    explanation: str = ""
    steps: tuple[RemedyStep, ...] = ()

    @classmethod
    def of_retry(
        cls, title: str, text: str, request: RetryRequest, values: RetryValues = RetryValues.SAME, explanation: str = ""
    ) -> "Remediation":
        """Return a remedy whose only step is the retry."""
        retry = RemedyStep(text=text, retry=Retry(request=request, values=values))
        return cls(title=title, explanation=explanation, steps=(retry,))

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of all steps."""
        return tuple(step.command for step in self.steps if step.command is not None)
