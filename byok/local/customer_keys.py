"""The customer's side of the local stack: key pairs in the customer's account, made as the guide says to make them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from byok.domain.arns import WhichKey, parse_key_arn
from byok.domain.policies import Statement, rds_key_statements, s3_key_statements
from byok.domain.vendor import VendorProfile

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient

_ALIASES: Final = {WhichKey.S3: "alias/{name}-s3", WhichKey.RDS: "alias/{name}-aurora"}


@dataclass(frozen=True)
class KeyPair:
    """The two keys of an environment."""

    s3_key_arn: str
    rds_key_arn: str


@dataclass(frozen=True)
class Customer:
    """Owns keys, and lets the platform use them through S3 and RDS.

    Attributes:
        kms: A client with the customer's credentials.
        platform_role_arn: Whom the key policies name.
        region: Where the keys are.
    """

    kms: "KMSClient"
    platform_role_arn: str
    region: str
    vendor: VendorProfile

    def ensure_pair(self, name: str) -> KeyPair:
        """The pair of this name: the aliases find it again, however often this is called."""
        return KeyPair(*(self._find(which, name) or self._make(which, name) for which in WhichKey))

    def disable(self, key_arn: str) -> None:
        """Switch a key off, as a customer may at any time."""
        self.kms.disable_key(KeyId=key_arn)

    def enable(self, key_arn: str) -> None:
        """Switch it on again."""
        self.kms.enable_key(KeyId=key_arn)

    def _find(self, which: WhichKey, name: str) -> str | None:
        try:
            return self.kms.describe_key(KeyId=_ALIASES[which].format(name=name))["KeyMetadata"]["Arn"]
        except self.kms.exceptions.NotFoundException:
            return None

    def _make(self, which: WhichKey, name: str) -> str:
        render = s3_key_statements if which is WhichKey.S3 else rds_key_statements
        ours = render(self.platform_role_arn, self.region, self.vendor)
        made = self.kms.create_key(Description=f"{name}: {which.label.removesuffix(' ARN')}")["KeyMetadata"]["Arn"]
        # A key is made with the policy that gives its account control; ours is only appended (contract 56-59).
        policy = json.loads(self.kms.get_key_policy(KeyId=made, PolicyName="default")["Policy"])
        policy["Statement"] = [*_statements(policy), *ours]
        self.kms.put_key_policy(KeyId=made, PolicyName="default", Policy=json.dumps(policy))
        self.kms.create_alias(AliasName=_ALIASES[which].format(name=name), TargetKeyId=parse_key_arn(made).key_id)
        return made


def _statements(policy: dict[str, Any]) -> list[Statement]:
    statements: Statement | list[Statement] = policy["Statement"]
    return statements if isinstance(statements, list) else [statements]
