"""The result of a health check for each key of an environment."""

from enum import StrEnum

from byok.domain.arns import KeyPurpose
from byok.domain.models.base import RecordModel


class KeyUse(StrEnum):
    """The result of a health check for one key.

    PROVED: the service has just used the key.
    IN_USE: the running cluster uses the key through the grant that RDS created with the cluster. The check does not
    prove that RDS could use the key for a new cluster, because a cluster keeps running even if a key administrator
    removes the platform's statements from the key policy.
    REFUSED: AWS refused to use the key, or the cluster has lost access to the key.
    UNREACHABLE: AWS gave no answer about the key, because of a platform fault.
    PLATFORM_MANAGED: the key belongs to the platform, not to the customer.
    """

    PROVED = "verified"
    IN_USE = "in use by grant; new use not verified"
    REFUSED = "cannot be used"
    UNREACHABLE = "unreachable"
    PLATFORM_MANAGED = "platform-managed"


class KeyHealth(RecordModel):
    """One key of an environment, and the result of the health check for this key."""

    key: KeyPurpose
    key_arn: str | None
    use: KeyUse
