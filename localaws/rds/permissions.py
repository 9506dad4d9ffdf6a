"""The permissions that an RDS call needs, and the ARNs of RDS resources."""

import dataclasses

from byok.domain.arns import partition_of_region
from localaws.accounts import authorize
from localaws.call import Call


def authorize_with_tags(call: Call, kind: str, name: str) -> None:
    """Check the caller's IAM policies for the call, and for tagging if the call has tags.

    Raises:
        AwsError: `AccessDenied`, 403.
    """
    arn = name if name.startswith("arn:") else build_resource_arn(call, kind, name)
    authorize(call, arn)
    if call.params.get("Tags") and call.operation != "AddTagsToResource":
        # Creating a resource with tags also requires rds:AddTagsToResource (service authorization reference, "Amazon
        # RDS").
        authorize(dataclasses.replace(call, operation="AddTagsToResource"), arn)


def build_resource_arn(call: Call, kind: str, name: str) -> str:
    """Build the ARN of an RDS resource in the caller's account and Region."""
    return f"arn:{partition_of_region(call.region)}:rds:{call.region}:{call.caller.account}:{kind}:{name}"
