"""Lists all remedies, and defines the data structures for their texts."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from byok.domain.remediation import Actor, RetryValues


class Remedy(StrEnum):
    """A remedy for a problem. Every `ErrorRule` has a remedy."""

    ENABLE_KEY = "enable-key"
    CANCEL_DELETION = "cancel-deletion"
    IMPORT_MATERIAL = "import-material"
    KEY_STATE = "key-state"
    SYMMETRIC_KEY = "symmetric-key"
    OWN_KEY = "own-key"
    CHECK_ARN = "check-arn"
    S3_KEY_POLICY = "s3-key-policy"
    RDS_KEY = "rds-key"
    CLUSTER_LOST_KEY = "cluster-lost-key"
    READY_CLUSTER_LOST_KEY = "ready-cluster-lost-key"
    DRIFT = "drift"
    KEY_IN_USE = "key-in-use"
    ACCOUNT_NOT_REGISTERED = "account-not-registered"
    ACCOUNT_OF_ANOTHER_ORGANISATION = "account-of-another-organisation"
    KEYS_EXCHANGED = "keys-exchanged"
    REGION_NOT_IN_USE = "region-not-in-use"
    DIFFERS_FROM_AWS = "differs-from-aws"
    FOREIGN_OBJECTS = "foreign-objects"
    LEFT_BEHIND = "left-behind"
    NO_FINAL_SNAPSHOT = "no-final-snapshot"
    PLATFORM_KEY = "platform-key"
    PLATFORM_MANAGED_KEY = "platform-managed-key"
    ENCRYPTION_CANNOT_CHANGE = "encryption-cannot-change"
    PLATFORM_PERMISSION = "platform-permission"
    PLATFORM_CREDENTIALS = "platform-credentials"
    PLATFORM_SESSION = "platform-session"
    PLATFORM_OPERATOR = "platform-operator"
    NAME_TAKEN = "name-taken"
    ID_IN_USE = "id-in-use"
    OTHER_OWNER = "other-owner"
    BUCKET_OF_ANOTHER_ACCOUNT = "bucket-of-another-account"
    OTHER_KEY = "other-key"
    UNPROVED = "unproved"
    QUOTA = "quota"
    ORGANISATION_QUOTA = "organisation-quota"
    TENANT_NAME = "tenant-name"
    TENANT_ROLE = "tenant-role"
    KEY_LIMIT = "key-limit"
    ENVIRONMENT_NOT_THERE = "environment-not-there"
    NOT_THESE_KEYS = "not-these-keys"
    WAIT = "wait"
    HELD_TOO_LONG = "held-too-long"
    CANCELLED = "cancelled"
    MALFORMED_REQUEST = "malformed-request"


class Page(Enum):
    """A page of the AWS KMS console that a step links to."""

    KEY = auto()
    KEYS = auto()
    CREATE_KEY = auto()


class Block(Enum):
    """Steps that several remedies share and that depend on the affected key."""

    CHANGE_POLICY = auto()
    """Check the key policy. Append the statements for this key, unless the policy belongs to the other key of the
    pair."""
    CREATE_KEY = auto()
    """Create a key, and append the statements for this key to its policy."""
    APPEND_STATEMENTS = auto()
    """Append the statements for this key to the policy of a key that the customer chose."""


@dataclass(frozen=True)
class CaseText:
    """The text of a case, with placeholders in braces. `RemedyCase` describes the parts.

    Attributes:
        statements: Whether the case shows the key policy statements for the key.
    """

    when: str
    text: str
    command: str | None = None
    console: str | None = None
    statements: bool = False


@dataclass(frozen=True)
class StepText:
    """The text of a step, with placeholders in braces.

    Attributes:
        text: The instruction.
        command: The step's command.
        console: See `RemedyStep.console`.
        page: The page of the AWS KMS console on which the step can be carried out.
        statements: Whether the step shows the key policy statements for the key.
        cases: The results of a step that checks something.
        script: See `RemedyStep.script`.
        actor: Who carries out the step.
    """

    text: str
    command: str | None = None
    console: str | None = None
    page: Page | None = None
    statements: bool = False
    cases: tuple[CaseText, ...] = ()
    script: bool = False
    actor: Actor = Actor.KEY_ADMINISTRATOR


@dataclass(frozen=True)
class RetryText:
    """The text of the last step, and the values that the user must change in the request.

    By default, the text depends only on the kind of request.
    """

    values: RetryValues = RetryValues.SAME
    text: str = "{again}"
    command: str | None = None


@dataclass(frozen=True)
class RemedyText:
    """The text of a remedy, with placeholders in braces. `Remediation` describes the parts."""

    title: str
    steps: tuple[StepText | Block, ...] = ()
    explanation: str = ""
    retry: RetryText = RetryText()


WITH_THAT_ARN = RetryText(RetryValues.ANOTHER_KEY, "Retry with that ARN as {field}.")
