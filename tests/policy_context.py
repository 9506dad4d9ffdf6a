"""For whom and where the key policies of the tests are written."""

from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements, build_owner_statement
from byok.domain.vendor import VendorProfile

VENDOR: Final = VendorProfile()
Statements = list[Statement]


@dataclass(frozen=True)
class PolicyContext:
    """For whom and where a policy is written."""

    role: str
    region: str
    customer: str

    def build_statements(self, which: KeyPurpose, *, role: str | None = None, region: str | None = None) -> Statements:
        """The right statements of a key, or those for another role or Region."""
        return build_key_statements(
            which, StatementParameters.for_platform_role(role or self.role, region or self.region), VENDOR
        )

    @property
    def owner_statement(self) -> Statement:
        """AWS's own statement."""
        return build_owner_statement(f"arn:aws:iam::{self.customer}:root")
