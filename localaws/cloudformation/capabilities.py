"""Capabilities: the caller must acknowledge that a stack creates IAM roles (botocore, CreateStack, `Capabilities`)."""

from typing import Any

from localaws.call import AwsError, Call
from localaws.cloudformation.resources import RESOURCE_TYPES
from localaws.cloudformation.template import Template


def required_capability(template: Template) -> str | None:
    """Return the capability that the template requires, or None if the template has no IAM resources.

    The capability is CAPABILITY_NAMED_IAM if the template sets the name of an IAM resource, and CAPABILITY_IAM if
    CloudFormation generates all the names. A resource requires a capability even if its condition is false, because
    ValidateTemplate receives no parameters and cannot evaluate conditions. How AWS's CreateStack treats such a resource
    is not known: we found no recorded response.
    """
    iam = [one for one in template.section("Resources").values() if _is_of_iam(one)]
    named = any(RESOURCE_TYPES[one["Type"]].name in one.get("Properties", {}) for one in iam)
    return "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM" if iam else None


def describe_capabilities(template: Template) -> dict[str, Any]:
    """Return `Capabilities` and `CapabilitiesReason`, in AWS's wording, for GetTemplateSummary and ValidateTemplate."""
    capability = required_capability(template)
    if capability is None:
        return {"Capabilities": []}
    types = sorted({one["Type"] for one in template.section("Resources").values() if _is_of_iam(one)})
    reason = f"The following resource(s) require capabilities: [{', '.join(types)}]"
    return {"Capabilities": [capability], "CapabilitiesReason": reason}


def require_capabilities(call: Call, template: Template) -> None:
    """Check that the call acknowledges the required capability. CAPABILITY_NAMED_IAM includes CAPABILITY_IAM.

    Raises:
        AwsError: `InsufficientCapabilitiesException`, with the text recorded from AWS.
    """
    capability = required_capability(template)
    if capability and not {capability, "CAPABILITY_NAMED_IAM"} & set(call.params.get("Capabilities") or []):
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{capability}]")


def _is_of_iam(resource: dict[str, Any]) -> bool:
    return bool(resource["Type"].startswith("AWS::IAM::"))
