"""Capabilities: a stack that makes IAM roles has to be acknowledged (botocore, CreateStack, `Capabilities`)."""

from typing import Any

from localaws.call import AwsError, Call
from localaws.cloudformation.resources import RESOURCE_TYPES
from localaws.cloudformation.template import Template


def required_capability(template: Template) -> str | None:
    """The capability that a template needs: one for IAM, another where a name is the customer's own.

    A resource counts whether or not its condition holds: ValidateTemplate knows no parameters. What CreateStack does
    with one whose condition is false was found recorded nowhere.
    """
    iam = [one for one in template.section("Resources").values() if _is_of_iam(one)]
    named = any(RESOURCE_TYPES[one["Type"]].name in one.get("Properties", {}) for one in iam)
    return "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM" if iam else None


def describe_capabilities(template: Template) -> dict[str, Any]:
    """What GetTemplateSummary and ValidateTemplate say of it, recorded text."""
    capability = required_capability(template)
    if capability is None:
        return {"Capabilities": []}
    types = sorted({one["Type"] for one in template.section("Resources").values() if _is_of_iam(one)})
    reason = f"The following resource(s) require capabilities: [{', '.join(types)}]"
    return {"Capabilities": [capability], "CapabilitiesReason": reason}


def require_capabilities(call: Call, template: Template) -> None:
    """See that the call acknowledges what the template needs; CAPABILITY_NAMED_IAM covers the other.

    Raises:
        AwsError: `InsufficientCapabilitiesException`, recorded text.
    """
    capability = required_capability(template)
    if capability and not {capability, "CAPABILITY_NAMED_IAM"} & set(call.params.get("Capabilities") or []):
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{capability}]")


def _is_of_iam(resource: dict[str, Any]) -> bool:
    return bool(resource["Type"].startswith("AWS::IAM::"))
