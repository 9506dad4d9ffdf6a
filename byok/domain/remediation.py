"""The structure of a remedy, which consists of a title and numbered steps. The last step is the retry.

The CLI, the API, the wizard and Temporal's UI all show this structure, but each interface has its own wording for the
last step. `byok.domain.problems.remediation` builds the remedies.
"""

from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    """Base class for the parts of a remedy. Workflows store these parts, and readers ignore unknown fields."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Actor(StrEnum):
    """Who carries out a step."""

    KEY_ADMINISTRATOR = "key-administrator"
    PLATFORM_OPERATOR = "platform-operator"
    REQUESTER = "requester"

    @property
    def words(self) -> str:
        """The actor's name in a sentence."""
        return _ACTOR_WORDS[self]


_ACTOR_WORDS: Final = {
    Actor.KEY_ADMINISTRATOR: "the customer's key administrator",
    Actor.PLATFORM_OPERATOR: "the platform's operator",
    Actor.REQUESTER: "the user who made the request",
}


class RetryRequest(StrEnum):
    """The request that the user repeats once the problem is fixed."""

    REPLAY = "replay"
    CHECK_KEYS = "check-keys"
    DELETE = "delete"
    CREATE = "create"
    SET_TENANT_NAME = "set-tenant-name"
    NONE = "none"
    """byok retries automatically."""


class RetryValues(StrEnum):
    """The values that the user sends when repeating a request."""

    SAME = "same"
    ANOTHER_KEY = "another-key"
    SAME_OR_ANOTHER_KEY = "same-or-another-key"
    SWAPPED_KEYS = "swapped-keys"
    CORRECTED = "corrected"


class Retry(_Part):
    """The request that the last step of a remedy repeats, as data.

    Attributes:
        request: The request to repeat, which a program can offer as a command or a button. In the HTTP API: `POST
            /v1/environments/{environment_id}/replays` (replay), `DELETE /v1/environments/{environment_id}` (delete),
            `POST /v1/environments` (create), `POST /v1/key-checks` (check-keys) and `PUT
            /v1/environments/{environment_id}/tenant` (set-tenant-name).
        values: Whether to repeat the request with the same values.
    """

    request: RetryRequest
    values: RetryValues = RetryValues.SAME


class RemedyLink(_Part):
    """A page of the AWS console on which a step can be carried out.

    Attributes:
        label: What to open, in the imperative.
        url: The page's address; None if byok does not know it, for example in an isolated partition.
    """

    label: str
    url: str | None


class _Instruction(_Part):
    """The fields that steps and cases share.

    Attributes:
        text: The instruction, in the imperative.
        console: Where to click or look in the AWS console, on the page that the step links to; None if there is nothing
            to do in the console.
        command: The command, ready to copy; None if the instruction needs no command.
        statement: Key policy statements as JSON text that the user can paste into a Statement array; None if the
            instruction needs no statements.
    """

    text: str
    console: str | None = None
    command: str | None = None
    statement: str | None = None


class RemedyCase(_Instruction):
    """One result of a step that checks something, and what to do about that result.

    Attributes:
        when: The result, such as "The state is Disabled".
    """

    when: str

    @property
    def text_with_console(self) -> str:
        """The instruction, followed by where to click or look in the AWS console."""
        return f"{self.text} In the console: {self.console}" if self.console else self.text


class RemedyStep(_Instruction):
    """One instruction, and the actor who carries it out.

    Attributes:
        actor: Who carries out the step; None if the step is the retry.
        credentials: The sentence that says which credentials the command needs. Only the first AWS CLI command of a
            remedy has one.
        link: The page of the AWS console for this step; None if the step has no page.
        cases: The possible results of a step that checks something, the most likely first; the other results need no
            action.
        script: Whether the step runs the script that collects facts about the keys, so that byok can diagnose the
            output.
        retry: What to repeat; given only in the last step of a remedy.
    """

    actor: Actor | None = None
    credentials: str | None = None
    link: RemedyLink | None = None
    cases: tuple[RemedyCase, ...] = ()
    script: bool = False
    retry: Retry | None = None

    @property
    def text_for_command(self) -> str:
        """The instruction, followed by the sentence about the credentials."""
        return " ".join(filter(None, (self.text, self.credentials)))


class Remediation(_Part):
    """A remedy.

    Attributes:
        title: One sentence that says what happened, such as "The S3 key is disabled".
        explanation: What the reader must know before the first step; may be empty.
        steps: The steps in order; empty if the problem is stored without its remedy.
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
    def actors(self) -> tuple[Actor, ...]:
        """Who carries out the steps, in the order of the steps."""
        return tuple(dict.fromkeys(step.actor for step in self.steps if step.actor is not None))

    @property
    def who(self) -> str:
        """The actors, as text for messages; empty if the only step is the retry."""
        return " and ".join(actor.words for actor in self.actors)

    def other_actor(self, step: RemedyStep) -> Actor | None:
        """Return the actor of a step; None if the same actor carries out the first step."""
        return step.actor if step.actor not in self.actors[:1] else None

    @property
    def commands(self) -> tuple[str, ...]:
        """The commands of all steps and their cases."""
        given = (one.command for step in self.steps for one in (step, *step.cases))
        return tuple(command for command in given if command is not None)
