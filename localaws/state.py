"""Everything the local AWS knows, but for the contents of S3, which moto keeps.

Plain data: it can be written down and read again.
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
    """What of a key takes effect with a delay: its state and its policy."""

    at: float
    state: str
    policy: dict[str, Any]


@dataclass
class Grant:
    """A grant on a key, as the service that asked for it holds it."""

    grant_id: str
    grantee: str
    operations: list[str]
    created: datetime
    name: str = ""
    issuing_account: str = ""


@dataclass
class Key:
    """A KMS key."""

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
    rotation: bool = False
    deletion: datetime | None = None

    @property
    def latest(self) -> KeyRevision:
        """What KMS itself says of the key."""
        return self.revisions[-1]

    def add_revision(self, *, state: str | None = None, policy: dict[str, Any] | None = None) -> None:
        """A new state or policy; services see it after the propagation delay."""
        self.revisions.append(KeyRevision(time.time(), state or self.latest.state, policy or self.latest.policy))


@dataclass
class Alias:
    """A name for a key of the same account and Region."""

    name: str
    arn: str
    target: str
    created: datetime


@dataclass
class Database:
    """A cluster, an instance or a snapshot: its API output, and what passes with time.

    Attributes:
        output: The resource as Describe… gives it, without its status.
        life: What was ordered and when it is done; the status is computed from it.
        grant_id: The grant RDS holds on a customer's key; None for a key of AWS's, and for all but clusters.
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
        trust: Its trust policy.
        policies: Its inline policies by name.
        max_session_seconds: The longest session that can be asked for.
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
    """Temporary credentials of a role, and until when they are good."""

    role_arn: str
    name: str
    secret: str
    expires: datetime


@dataclass
class AwsState:
    """All accounts and Regions together.

    Attributes:
        database_seconds: How long a cluster or an instance takes to be created or deleted.
        propagation_seconds: How long a changed key policy or state takes until S3 and RDS see it.
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
    database_seconds: float = 3.0
    propagation_seconds: float = 0.0


STATE: Final = AwsState()
"""The one world of this process: moto's backends are global, too."""
