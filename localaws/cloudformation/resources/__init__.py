"""The resource types of a stack.

To create a resource, the local AWS emulator executes the same KMS or IAM operation as for a direct call, with the
permissions of the caller that changes the stack.
"""

from typing import Final

from localaws.cloudformation.resources import iam, kms
from localaws.cloudformation.resources.kind import ResourceType

RESOURCE_TYPES: Final[dict[str, ResourceType]] = {
    "AWS::IAM::Role": iam.ROLE_TYPE,
    "AWS::KMS::Alias": kms.ALIAS_TYPE,
    "AWS::KMS::Key": kms.KEY_TYPE,
}
"""Every modelled resource type, by its name in a template."""
