"""Customer-managed and platform-managed encryption, and why an environment cannot be switched between them."""

from typing import Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from byok.domain.arns import InvalidKeyArnError, KeyPair, is_aws_managed, parse_key_arn
from byok.domain.phases import Encryption

ENCRYPTION_CANNOT_CHANGE_CODE: Final = "byok.EncryptionCannotChange"
"""The problem code for a request that specifies a kind of encryption other than the environment's."""


class PlatformKeys(BaseModel):
    """The platform's own keys in one Region.

    Attributes:
        s3_key_arn: Full ARN of the key for buckets.
        rds_key_arn: Full ARN of the key for clusters; can be the same as `s3_key_arn`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    s3_key_arn: str
    rds_key_arn: str

    @model_validator(mode="after")
    def _full_arns(self) -> Self:
        for arn in (self.s3_key_arn, self.rds_key_arn):
            parse_key_arn(arn)
        return self

    @property
    def pair(self) -> KeyPair:
        """The two ARNs as a `KeyPair`."""
        return KeyPair(self.s3_key_arn, self.rds_key_arn)

    def require_location(self, region: str, account: str) -> None:
        """Check that both keys are in the given Region and in the platform's account.

        Raises:
            ValueError: A key is in another Region or account; the message contains the key's ARN.
        """
        for arn in self.pair.arns:
            key = parse_key_arn(arn)
            if (key.region, key.account) != (region, account):
                raise ValueError(f"{arn} is not a key of the platform's account {account} in {region}")


def find_encryption_of_key(key: str | None, platform_account: str) -> Encryption | None:
    """Return whether a key is customer-managed or platform-managed.

    The result is None if `key` is None, or is neither a key ARN nor the alias of an AWS managed key.

    A customer's key is never in the platform's account (contract 124), so the account in the key's ARN determines the
    kind of encryption.

    Args:
        key: A key's ARN as AWS reports it, or the alias of an AWS managed key.
        platform_account: The platform's account.
    """
    if key is None:
        return None
    if is_aws_managed(key):
        return Encryption.PLATFORM_MANAGED
    try:
        account = parse_key_arn(key).account
    except InvalidKeyArnError:
        return None
    return Encryption.PLATFORM_MANAGED if account == platform_account else Encryption.CUSTOMER_MANAGED


def explain_encryption_conflict(environment_id: str, actual: Encryption) -> str:
    """Explain why an environment cannot be switched to the other kind of encryption (contract 9, 132)."""
    other = next(one for one in Encryption if one is not actual)
    return (
        f"Environment {environment_id} uses {actual} keys and cannot be switched to {other} keys, because the key of "
        "an existing resource cannot be changed."
    )
