"""Everything that a customer is given before making the keys, for one Region (contract 15-27)."""

import uuid
from dataclasses import dataclass
from typing import Any, Final, Self

from byok.domain.arns import WhichKey, account_of, partition_of
from byok.domain.commands import PROFILE, STACK_NAME, TEMPLATE_FILE, CustomerCommands
from byok.domain.policies import Grantee, Statement, key_statements
from byok.domain.vendor import VendorProfile

PREREQUISITES: Final = (
    "An AWS account of your own, in which the keys are made.",
    "IAM permission to create KMS keys in that account.",
)
"""What the customer has to have (contract 2, 3)."""

WARNINGS: Final = (
    "Disabling or deleting a key makes the data inaccessible.",
    "KMS deletes a key only after a waiting period of 7 to 30 days, in which the deletion can be cancelled.",
    "Never remove or alter the statements that AWS puts into a key's policy: without them you may not be able to "
    "change the key any more.",
)
"""What the customer has to know (contract 56, 111, 112)."""


@dataclass(frozen=True)
class OnboardingKit:
    """The values, statements and commands of one onboarding.

    Attributes:
        platform_role_arn: The only principal of the platform's in any statement (contract 16, 17).
        platform_account: Its account, derived from the role (D3).
        region: The environment's Region (contract 18).
        vendor: The vendor's names.
        commands: The commands, with the customer's profile and stack name.
        external_id: What the platform will name when it takes on the optional tenant role.
    """

    platform_role_arn: str
    platform_account: str
    region: str
    vendor: VendorProfile
    commands: CustomerCommands
    external_id: str

    @classmethod
    def of(
        cls,
        platform_role_arn: str,
        region: str,
        vendor: VendorProfile,
        *,
        profile: str = PROFILE,
        stack_name: str = STACK_NAME,
        external_id: str | None = None,
    ) -> Self:
        """The kit for a Region.

        Raises:
            ValueError: The role is none, or of another partition than the Region.
        """
        partition = platform_role_arn.split(":")[1] if ":" in platform_role_arn else ""
        account = account_of(platform_role_arn)
        if partition != partition_of(region):
            raise ValueError(
                f"{region} is in partition {partition_of(region)}, and the platform's role {platform_role_arn} in "
                f"{partition}: a role cannot use keys of another partition."
            )
        commands = CustomerCommands(platform_role_arn, region, vendor, profile, stack_name)
        return cls(platform_role_arn, account, region, vendor, commands, external_id or str(uuid.uuid4()))

    def statements(self, which: WhichKey) -> list[Statement]:
        """The statements for one of the two keys, as they are pasted (contract 26, 27)."""
        return key_statements(which, Grantee.of(self.platform_role_arn, self.region), self.vendor)

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "platform_role_arn": self.platform_role_arn,
            "platform_account": self.platform_account,
            "region": self.region,
            "template_file": TEMPLATE_FILE,
            "stack_name": self.commands.stack_name,
            "external_id": self.external_id,
            "statements": {which.value: self.statements(which) for which in WhichKey},
            "commands": {
                "deploy": self.commands.deploy(),
                "payload": self.commands.payload(),
                "create_keys": self.commands.create_keys(),
            },
            "prerequisites": list(PREREQUISITES),
            "warnings": list(WARNINGS),
        }
