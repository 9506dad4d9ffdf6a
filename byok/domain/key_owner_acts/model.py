"""The types for the table in docs/what-happens-when.md: actions, resources, outcomes, sources and cells."""

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """An action that a key owner can take on a key. Each value identifies the action in the tests."""

    DISABLE = "disable"
    ENABLE = "enable"
    SCHEDULE_DELETION = "schedule-deletion"
    CANCEL_DELETION = "cancel-deletion"
    DELETE_KEY = "delete-key"
    REMOVE_STATEMENTS = "remove-statements"
    CHANGE_REGION = "change-region"
    CHANGE_PRINCIPAL = "change-principal"
    DENY = "deny"
    REVOKE_GRANT = "revoke-grant"
    DELETE_KEY_MATERIAL = "delete-key-material"
    ROTATE = "rotate"
    MOVE_ALIAS = "move-alias"
    CHANGE_TAG = "change-tag"


class Resource(StrEnum):
    """A resource that stores data of an environment. Each value is the resource's name in docs/what-happens-when.md."""

    OBJECTS = "existing S3 objects"
    WRITES = "new S3 objects"
    RUNNING_CLUSTER = "running Aurora cluster"
    STOPPED_CLUSTER = "stopped Aurora cluster"
    SNAPSHOTS = "snapshots"
    BACKUPS = "automated backups"
    SECRET = "managed master password"  # noqa: S105 - the name of a resource


class Outcome(StrEnum):
    """The effect of an action on a resource, as the overview in docs/what-happens-when.md shows it."""

    UNAFFECTED = "no effect"
    STOPS = "**stops**"
    STILL_STOPPED = "still stopped"
    WORKS_AGAIN = "works again"
    NEEDS_START = "must be started"
    LOST = "**lost forever**"
    UNDOCUMENTED = "not documented"


class Source(StrEnum):
    """A source for the facts: documentation, an API model or a recorded response from AWS.

    Each member's name is its label in the tables.
    """

    I1 = 'IAM user guide, "Forward access sessions"'
    A1 = 'Aurora user guide, "Encrypting Amazon Aurora resources"'
    A2 = 'Aurora user guide, "AWS KMS key management"'
    A3 = 'Aurora user guide, "Password management with Amazon Aurora and AWS Secrets Manager"'
    A4 = (
        "AWS re:Post Knowledge Center, \"How do I resolve an Amazon RDS instance or Amazon Aurora cluster that's in an "
        'inaccessible encryption state?"'
    )
    A5 = "botocore 1.44.5, RDS model, StartDBCluster"
    A6 = "botocore 1.44.5, RDS model, RestoreDBClusterFromSnapshot and RestoreDBClusterToPointInTime"
    A7 = "Recorded response: aws-nuke pull request 951, 4 May 2026"
    K1 = 'KMS developer guide, "Key states of AWS KMS keys"'
    K2 = 'KMS developer guide, "AWS KMS eventual consistency"'
    K3 = "botocore 1.44.5, KMS model, CancelKeyDeletion"
    K4 = "botocore 1.44.5, KMS model, ScheduleKeyDeletion"
    K5 = 'KMS developer guide, "Delete imported key material"'
    K6 = 'KMS developer guide, "Rotate AWS KMS keys"'
    K7 = "botocore 1.44.5, KMS model, RevokeGrant"
    K8 = "botocore 1.44.5, KMS model, UpdateAlias"
    K9 = 'KMS developer guide, "ABAC for AWS KMS"'
    K10 = 'KMS developer guide, "Key policies in AWS KMS"'
    K11 = 'KMS developer guide, "Retiring and revoking grants"'
    O1 = 'S3 API reference, "Error responses"'
    O2 = 'S3 user guide, "Reducing the cost of SSE-KMS with Amazon S3 Bucket Keys"'
    O3 = "Recorded responses: LocalStack snapshot `test_s3_sse_validate_kms_key_state`, 21 Feb 2026"
    O4 = "Recorded response: S3 PutObject, Buildkite docs pull request 2344, 1 Aug 2023"
    O5 = 'S3 user guide, "Using server-side encryption with AWS KMS keys (SSE-KMS)"'


@dataclass(frozen=True)
class Cell:
    """The effect of one action on one resource.

    Attributes:
        outcome: The effect, as the overview in docs/what-happens-when.md shows it.
        what: What happens.
        after: How long the effect takes to occur.
        undo: Whether the effect can be undone, and how.
        says: What byok reports.
        sources: The sources of the facts.
        code: The problem code for the error or status that AWS returns when the resource is used after the action, or
            "" if the resource works. The tests compare this code with the response of the local AWS emulator.
        tested: Whether a test covers the cell. If False, the behaviour cannot be reproduced locally, and the sources
            are the only evidence.
    """

    outcome: Outcome
    what: str
    after: str
    undo: str
    says: str
    sources: tuple[Source, ...]
    code: str = ""
    tested: bool = True


@dataclass(frozen=True)
class ActFacts:
    """The information about an action that docs/what-happens-when.md shows in addition to the table's cells.

    Attributes:
        title: The heading.
        calls: The AWS operations that the key owner calls.
        note: What a key owner must know before taking the action.
        aurora_check: The problem code that a check of the Aurora key reports after the action, or "" if the check
            verifies the key. A check of the S3 key writes an object, so the problem code for the S3 key is in the cell
            for new objects.
        undoable: Whether the tests also undo the action and check that all resources work again.
    """

    title: str
    calls: tuple[str, ...]
    note: str
    aurora_check: str = ""
    undoable: bool = False
