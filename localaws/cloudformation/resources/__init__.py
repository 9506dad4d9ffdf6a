"""The types of resources a stack can hold, each made as the caller, by the doors of any caller."""

from typing import Final

from localaws.cloudformation.resources import iam, kms
from localaws.cloudformation.resources.kind import ResourceType

RESOURCE_TYPES: Final[dict[str, ResourceType]] = {
    "AWS::IAM::Role": iam.ROLE_TYPE,
    "AWS::KMS::Alias": kms.ALIAS_TYPE,
    "AWS::KMS::Key": kms.KEY_TYPE,
}
"""Every type that is modelled, by its name in a template."""
