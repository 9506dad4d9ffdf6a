"""The phases of an environment, and the enums related to them."""

from enum import StrEnum


class Phase(StrEnum):
    """The phase that an environment is in. Users see the enum's value."""

    VALIDATING_KEYS = "VALIDATING_KEYS"
    CREATING_CLUSTER = "CREATING_CLUSTER"
    CREATING_STORAGE = "CREATING_STORAGE"
    AWAITING_DATABASE = "AWAITING_DATABASE"
    VERIFYING = "VERIFYING"
    RECONCILING_TENANT = "RECONCILING_TENANT"
    READY = "READY"
    ROLLING_BACK = "ROLLING_BACK"
    DELETING = "DELETING"
    DELETED = "DELETED"
    STOPPED = "STOPPED"

    @property
    def is_final(self) -> bool:
        """Whether the environment stays in this phase until a user acts."""
        return self in (Phase.READY, Phase.DELETED, Phase.STOPPED)


class HealthState(StrEnum):
    """The health of an environment.

    HEALTHY: both keys work, and all resources and settings are unchanged.
    DEGRADED: both keys work, but a setting, policy, tag or claim differs, or a resource is missing.
    KEY_LOST: AWS does not let byok use a key, or the cluster has lost access to its key.
    RECOVERING: the key works again, and RDS is starting the cluster.
    UNKNOWN: byok has not verified the keys in the last ten minutes. This state does not imply that a key has a
    problem.
    """

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    KEY_LOST = "KEY_LOST"
    RECOVERING = "RECOVERING"
    UNKNOWN = "UNKNOWN"


class OnFailure(StrEnum):
    """What to do with the resources when provisioning stops (D9)."""

    KEEP = "keep"
    ROLLBACK = "rollback"


class Encryption(StrEnum):
    """Whose keys encrypt an environment (contract 14, 132). The value never changes for an existing environment."""

    CUSTOMER_MANAGED = "customer-managed"
    PLATFORM_MANAGED = "platform-managed"


class RequestKind(StrEnum):
    """The kind of operation that a user requested. The values appear in messages."""

    ENVIRONMENT = "the environment"
    TENANT = "the tenant's name"
    DELETION = "the deletion"
    HEALTH = "the health check"
    KEY_CHECK = "the key check"


def request_kind_for_phase(phase: Phase) -> RequestKind:
    """Return `DELETION` for the deletion phase, and `ENVIRONMENT` for all provisioning phases."""
    return RequestKind.DELETION if phase is Phase.DELETING else RequestKind.ENVIRONMENT


class KeyVerdict(StrEnum):
    """The possible results of a check for one key (contract 126)."""

    PROVED = "verified"
    REFUSED = "cannot be used"
    NOT_PROVED = "not verified"


class AliasOutcome(StrEnum):
    """The state of a key's tenant alias after reconciliation."""

    IN_PLACE = "in place"
    CREATED = "created"
    REPOINTED = "repointed"
    CONFLICT = "conflict"
