"""The role, Region and accounts that the tests' key policies are written for."""

from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements, build_owner_statement
from byok.domain.vendor import VendorProfile

VENDOR: Final = VendorProfile()
Statements = list[Statement]


@dataclass(frozen=True)
class PolicyContext:
    """The role, Region and customer account of a policy."""

    role: str
    region: str
    customer: str

    def build_statements(self, which: KeyPurpose, *, role: str | None = None, region: str | None = None) -> Statements:
        """Build the valid statements of a key, or those for another role or Region."""
        return build_key_statements(
            which, StatementParameters.for_platform_role(role or self.role, region or self.region), VENDOR
        )

    @property
    def owner_statement(self) -> Statement:
        """AWS's own statement for the account."""
        return build_owner_statement(f"arn:aws:iam::{self.customer}:root")
