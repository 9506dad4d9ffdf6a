"""The first two checks of every RDS call: the caller must have permission, and the parameters must be modelled."""

import dataclasses
from collections.abc import Iterable

from byok.domain.arns import partition_of_region
from localaws.accounts import authorize
from localaws.call import AwsError, Call


def authorize_with_tags(call: Call, kind: str, name: str) -> None:
    """Check the caller's IAM policies for the call, and for tagging if the call has tags.

    Raises:
        AwsError: `AccessDenied`, 403.
    """
    arn = name if name.startswith("arn:") else build_resource_arn(call, kind, name)
    authorize(call, arn)
    if call.params.get("Tags") and call.operation != "AddTagsToResource":
        # Service authorization reference, Amazon RDS: creating with tags also needs rds:AddTagsToResource.
        authorize(dataclasses.replace(call, operation="AddTagsToResource"), arn)


def build_resource_arn(call: Call, kind: str, name: str) -> str:
    """Build the ARN of an RDS resource in the caller's account and Region."""
    return f"arn:{partition_of_region(call.region)}:rds:{call.region}:{call.caller.account}:{kind}:{name}"


def refuse_unmodelled_params(call: Call, modelled: Iterable[str]) -> None:
    """Reject parameters that are not modelled, because ignoring part of a request would be misleading.

    Raises:
        AwsError: `NotImplemented`. The message names the parameters.
    """
    unknown = sorted(name for name, value in call.params.items() if value is not None and name not in set(modelled))
    if unknown:
        message = f"The local AWS does not model {', '.join(unknown)} of {call.service}:{call.operation}."
        raise AwsError("NotImplemented", message, 501)
