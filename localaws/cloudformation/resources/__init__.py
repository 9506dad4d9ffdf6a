"""The types of resources a stack can hold, each made as the caller, by the doors of any caller."""

from typing import Final

from localaws.cloudformation.resources import iam, kms
from localaws.cloudformation.resources.kind import Kind

KINDS: Final[dict[str, Kind]] = {
    "AWS::IAM::Role": iam.ROLE,
    "AWS::KMS::Alias": kms.ALIAS,
    "AWS::KMS::Key": kms.KEY,
}
"""Every type that is modelled, by its name in a template."""
