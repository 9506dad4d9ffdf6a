"""For whom and where the key policies of the tests are written."""

from dataclasses import dataclass
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Grantee, Statement, key_statements, owner_statement
from byok.domain.vendor import VendorProfile

VENDOR: Final = VendorProfile()
Statements = list[Statement]


@dataclass(frozen=True)
class PolicyContext:
    """For whom and where a policy is written."""

    role: str
    region: str
    customer: str

    def statements(self, which: KeyPurpose, *, role: str | None = None, region: str | None = None) -> Statements:
        """The right statements of a key, or those for another role or Region."""
        return key_statements(which, Grantee.of(role or self.role, region or self.region), VENDOR)

    @property
    def owner(self) -> Statement:
        """AWS's own statement."""
        return owner_statement(f"arn:aws:iam::{self.customer}:root")
