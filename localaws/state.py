"""The complete state of the local AWS emulator, except S3's contents, which moto keeps.

The state is plain data, so that it can be saved and loaded.
"""

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from localaws.rds.lifecycle import Lifecycle

PLATFORM_ACCOUNT: Final = "111122223333"
CUSTOMER_ACCOUNT: Final = "444455556666"


@dataclass
class KeyRevision:
    """A revision of a key's state and policy, the two properties whose changes take effect with a delay."""

    at: float
    state: str
    policy: dict[str, Any]


@dataclass
class Grant:
    """A grant on a key for a principal or an AWS service.

    Attributes:
        constraints: The encryption contexts that the grant allows, in the format of CreateGrant. If empty, the grant
            allows any context.
    """

    grant_id: str
    grantee: str
    operations: list[str]
    created: datetime
    name: str = ""
    issuing_account: str = ""
    constraints: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class Key:
    """A KMS key.

    Attributes:
        secret: The current key material. Empty before key material is imported, and after it is deleted.
        rotation_days: The period of automatic rotation, or None while rotation is disabled.
        next_rotation: The date of the next rotation, or None while rotation is disabled.
        earlier_secrets: The key material before each rotation, which is still needed to decrypt older ciphertexts.
        rotations: The date of each on-demand rotation.
        import_offers: The private key for each import token that GetParametersForImport returned.
        material_id: The id of the imported key material. The key keeps this id after the key material is deleted.
        replica: Whether the key is a replica, whose primary key is in another Region.
    """

    arn: str
    account: str
    region: str
    key_id: str
    spec: str
    usage: str
    origin: str
    description: str
    multi_region: bool
    created: datetime
    secret: bytes
    revisions: list[KeyRevision]
    tags: dict[str, str] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    rotation_days: int | None = None
    next_rotation: datetime | None = None
    deletion: datetime | None = None
    replica: bool = False
    earlier_secrets: list[bytes] = field(default_factory=list)
    rotations: list[datetime] = field(default_factory=list)
    import_offers: dict[bytes, bytes] = field(default_factory=dict)
    material_id: str = ""

    @property
    def latest(self) -> KeyRevision:
        """The newest revision, which takes effect for direct KMS calls immediately."""
        return self.revisions[-1]

    def add_revision(self, *, state: str | None = None, policy: dict[str, Any] | None = None) -> None:
        """Add a revision with a new state or policy, which takes effect for S3 and RDS after the propagation delay."""
        self.revisions.append(KeyRevision(time.time(), state or self.latest.state, policy or self.latest.policy))


@dataclass
class Alias:
    """An alias: a name for a key in the alias's account and Region."""

    name: str
    arn: str
    target: str
    created: datetime


@dataclass
class Database:
    """A cluster, an instance or a snapshot: its API output and its lifecycle.

    Attributes:
        output: The resource as the Describe… operation returns it, without the status.
        life: The most recent status change, and the time at which the change is complete. The status is computed from
            these values.
        grant_id: Id of RDS's grant on the customer's key, if this key encrypts the cluster. None for a cluster with any
            other kind of key, and for instances and snapshots.
    """

    output: dict[str, Any]
    account: str
    region: str
    life: Lifecycle
    grant_id: str | None = None


@dataclass
class Role:
    """An IAM role with its inline policies.

    Attributes:
        trust: The trust policy.
        policies: The inline policies by name.
        max_session_seconds: The maximum session duration.
    """

    arn: str
    account: str
    name: str
    trust: dict[str, Any]
    policies: dict[str, dict[str, Any]]
    created: datetime
    role_id: str
    path: str = "/"
    description: str = ""
    max_session_seconds: int = 3600
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class Session:
    """Temporary credentials of a role, with their expiry and their session tags."""

    role_arn: str
    name: str
    secret: str
    expires: datetime
    tags: dict[str, str] = field(default_factory=dict)


@dataclass
class AwsState:
    """The state of all accounts and Regions.

    Attributes:
        bucket_key_uploads: The ids of multipart uploads with an S3 Bucket Key. moto does not record this setting.
        database_seconds: How long it takes to create or delete a cluster or an instance.
        propagation_seconds: How long it takes for a change to a key's policy or state to take effect in S3 and RDS.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, Alias] = field(default_factory=dict)
    clusters: dict[tuple[str, str, str], Database] = field(default_factory=dict)
    instances: dict[tuple[str, str, str], Database] = field(default_factory=dict)
    snapshots: dict[tuple[str, str, str], Database] = field(default_factory=dict)
    subnet_groups: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    stacks: dict[str, Any] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    bucket_key_uploads: set[str] = field(default_factory=set)
    database_seconds: float = 3.0
    propagation_seconds: float = 0.0


STATE: Final = AwsState()
"""The state of this process. The state is global because moto's backends are global, too."""
