"""The role, Region and accounts for which the key policies in the tests are written."""

from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements, build_owner_statement
from byok.domain.vendor import VendorProfile

VENDOR: Final = VendorProfile()
Statements = list[Statement]


@dataclass(frozen=True)
class PolicyContext:
    """The role, Region and customer account for which a policy is written."""

    role: str
    region: str
    customer: str

    def build_statements(self, which: KeyPurpose, *, role: str | None = None, region: str | None = None) -> Statements:
        """Build the statements of a valid key policy, or the same statements for another role or Region."""
        return build_key_statements(
            which, StatementParameters.for_platform_role(role or self.role, region or self.region), VENDOR
        )

    @property
    def owner_statement(self) -> Statement:
        """The statement of AWS's default key policy, which allows the customer's account to manage the key."""
        return build_owner_statement(f"arn:aws:iam::{self.customer}:root")
