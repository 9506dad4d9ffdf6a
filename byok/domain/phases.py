"""The phases of an environment, and the words that go with them."""

from enum import StrEnum


class Phase(StrEnum):
    """Where an environment is. The value is what users see."""

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
        """Whether nothing follows without somebody's doing."""
        return self in (Phase.READY, Phase.DELETED, Phase.STOPPED)


class OnFailure(StrEnum):
    """What becomes of the resources when an environment stops (D9)."""

    KEEP = "keep"
    ROLLBACK = "rollback"


class RequestKind(StrEnum):
    """What somebody asked for, and asks for again once a problem is solved. The value stands in sentences."""

    ENVIRONMENT = "the environment"
    TENANT = "the tenant's name"
    DELETION = "the deletion"


def request_kind_for_phase(phase: Phase) -> RequestKind:
    """What is being done with an environment's own resources in a phase."""
    return RequestKind.DELETION if phase is Phase.DELETING else RequestKind.ENVIRONMENT


class AliasState(StrEnum):
    """What became of a tenant's alias on a key."""

    IN_PLACE = "in place"
    CREATED = "created"
    REPOINTED = "repointed"
    CONFLICT = "conflict"
