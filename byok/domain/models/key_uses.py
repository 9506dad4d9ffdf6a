"""How a check of an environment's health found each key to be used."""

from enum import StrEnum

from byok.domain.arns import KeyPurpose
from byok.domain.models.base import RecordModel


class KeyUse(StrEnum):
    """What a check found out about one key.

    PROVED: the service has just used the key.
    IN_USE: the running cluster uses the key by the grant from its creation. Whether RDS could use the key for a new
    cluster is not proved: a key administrator who removes the platform's statements does not stop a running cluster.
    REFUSED: AWS refused to use the key, or the cluster has lost access to it.
    UNREACHABLE: AWS did not say anything about the key, because of a platform fault.
    PLATFORM_MANAGED: the key is not the customer's.
    """

    PROVED = "verified"
    IN_USE = "in use by grant; new use not verified"
    REFUSED = "cannot be used"
    UNREACHABLE = "unreachable"
    PLATFORM_MANAGED = "platform-managed"


class KeyHealth(RecordModel):
    """What a check found out about one key."""

    key: KeyPurpose
    key_arn: str | None
    use: KeyUse
