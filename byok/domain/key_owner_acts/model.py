"""The types of the table: key owners' actions, resources, outcomes, sources, and the cells."""

from dataclasses import dataclass
from enum import StrEnum


class Act(StrEnum):
    """Something that a key owner can do to a key. The value identifies the act in the tests."""

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
    """What an environment stores, with the name that the page shows."""

    OBJECTS = "existing S3 objects"
    WRITES = "new S3 objects"
    RUNNING_CLUSTER = "running Aurora cluster"
    STOPPED_CLUSTER = "stopped Aurora cluster"
    SNAPSHOTS = "snapshots"
    BACKUPS = "automated backups"
    SECRET = "managed master password"  # noqa: S105 - the name of a resource


class Outcome(StrEnum):
    """The effect of an action on a resource, in the words of the overview."""

    UNAFFECTED = "no effect"
    STOPS = "**stops**"
    STILL_STOPPED = "still stopped"
    WORKS_AGAIN = "works again"
    NEEDS_START = "must be started"
    LOST = "**lost forever**"
    UNDOCUMENTED = "not documented"


class Source(StrEnum):
    """Where AWS, or a recorded response of AWS, states a fact. The name is the label in the tables."""

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
    """What one act does to one resource.

    Attributes:
        outcome: The effect, in the words of the overview.
        what: What happens.
        after: How long it takes until this happens.
        undo: Whether the effect can be undone, and how.
        says: What byok reports.
        sources: Where the facts come from.
        code: The problem code for the error or status that AWS returns when the resource is used after the act, or ""
            if the resource works. The tests compare this code with the local AWS.
        tested: Whether a test proves the cell. If not, only AWS shows this behaviour, and the sources are the proof.
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
    """What docs/what-happens-when.md says about an action outside the table's cells.

    Attributes:
        title: The heading.
        calls: The AWS operations that the key owner calls.
        note: What a key owner must know before the act.
        aurora_check: The problem code of a check of the Aurora key after the act, or "" if the key is proved. A check
            of the S3 key writes an object, so its problem code is in the cell for new objects.
        undoable: Whether the tests undo the act, and check that everything works again.
    """

    title: str
    calls: tuple[str, ...]
    note: str
    aurora_check: str = ""
    undoable: bool = False
