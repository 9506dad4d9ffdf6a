"""Refuses a request whose kind of encryption differs from the environment's, according to the data in Temporal.

The workflow makes the final decision, because it compares the request with the keys of the existing resources in AWS.
"""

from byok.domain.encryption import explain_encryption_conflict
from byok.domain.phases import Encryption, Phase
from byok.service.errors import EncryptionCannotChangeError, NoCustomerKeysError
from byok.service.status import EnvironmentStatus


def is_encryption_fixed(status: EnvironmentStatus) -> bool:
    """Return whether an environment's latest run determines the environment's encryption.

    If a run stopped before it had a cluster, its request does not count, because a person may have started the run in
    Temporal's UI with the wrong kind of encryption.
    """
    if status.is_deletion or status.phase is Phase.DELETED:
        return False
    return status.phase is not Phase.STOPPED or status.resources.cluster is not None


def require_same_encryption(status: EnvironmentStatus, asked: Encryption) -> None:
    """Require that a request specifies the environment's kind of encryption (contract 9, 132).

    Raises:
        EncryptionCannotChangeError: The environment uses a different kind of encryption.
    """
    if status.encryption is None or status.encryption is asked:
        return
    again = (
        "Leave the keys out and choose platform-managed"
        if status.encryption is Encryption.PLATFORM_MANAGED
        else "Use the environment's own keys"
    )
    raise EncryptionCannotChangeError(
        f"{explain_encryption_conflict(status.environment_id, status.encryption)} {again}, or create an environment "
        "with another name."
    )


def require_customer_keys(status: EnvironmentStatus) -> None:
    """Require that an environment uses the customer's keys, because only those keys can be given a tenant name.

    Raises:
        NoCustomerKeysError: The environment's keys are platform-managed.
    """
    if status.encryption is Encryption.PLATFORM_MANAGED:
        name = f" Its tenant name is {status.tenant_name}." if status.tenant_name else ""
        raise NoCustomerKeysError(
            f"Environment {status.environment_id} uses platform-managed keys, so there is no key of the customer to "
            f"put a tenant name on.{name}"
        )
