"""CloudFormation's operations on stacks and change sets, as the console and `aws cloudformation deploy` use them.

This package does not use moto's engine, because moto returns an HTTP 500 error for a key with tags, stores key policies
without ever evaluating them, and ignores KeySpec, KeyUsage, MultiRegion and PendingWindowInDays. A correct
implementation is small, because byok's templates use only three resource types.
"""

from datetime import UTC, datetime
from typing import Any, Final

from localaws.accounts import authorize
from localaws.call import AwsError, Call, Operation, models
from localaws.cloudformation import capabilities, stacks
from localaws.cloudformation.changes import HANDLERS as CHANGE_SET_HANDLERS
from localaws.cloudformation.changes import build_desired_state, check_stack_name, find_stack
from localaws.cloudformation.parameters import describe_parameters, render_parameters
from localaws.cloudformation.records import Stack
from localaws.cloudformation.resources import RESOURCE_TYPES
from localaws.cloudformation.resources.kind import Resource
from localaws.cloudformation.template import Template, validation_error
from localaws.state import STATE

_BUSY_OR_BROKEN: Final = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"})


@models("StackName", "TemplateBody", "Parameters", "Capabilities", "Tags", "DisableRollback", "OnFailure")
def create_stack(call: Call) -> dict[str, Any]:
    """CreateStack."""
    name = call.params["StackName"]
    check_stack_name(name)
    _authorize(call, name)
    if any(_is(stack, call, name) for stack in STATE.stacks.values()):
        raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
    wish = build_desired_state(call, None)
    on_failure = call.params.get("OnFailure") or ("DO_NOTHING" if call.params.get("DisableRollback") else "ROLLBACK")
    stack = stacks.add_stack(call, name, "CREATE_IN_PROGRESS")
    stacks.create(call, stack, wish, on_failure)
    return {"StackId": stack.stack_id}


@models("StackName", "TemplateBody", "UsePreviousTemplate", "Parameters", "Capabilities", "Tags")
def update_stack(call: Call) -> dict[str, Any]:
    """UpdateStack: update a stack, or reject the call if nothing would change."""
    stack = find_stack(call, call.params["StackName"])
    _authorize(call, stack.name)
    if stack.status in _BUSY_OR_BROKEN:
        raise validation_error(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
    wish = build_desired_state(call, stack)
    if stacks.is_unchanged(stack, wish):
        raise validation_error("No updates are to be performed.")
    stacks.update(call, stack, wish)
    return {"StackId": stack.stack_id}


@models("StackName")
def delete_stack(call: Call) -> dict[str, Any]:
    """DeleteStack: delete a stack, or do nothing if the stack does not exist."""
    try:
        stack = find_stack(call, call.params["StackName"])
    except AwsError:
        return {}
    _authorize(call, stack.name)
    stacks.delete(call, stack)
    return {}


@models("StackName")
def describe_stacks(call: Call) -> dict[str, Any]:
    """DescribeStacks: return one stack by name or id, or all stacks that are not deleted."""
    name = call.params.get("StackName")
    if name:
        return {"Stacks": [_render_stack(find_stack(call, name))]}
    return {"Stacks": [_render_stack(stack) for stack in _here(call) if stack.status != "DELETE_COMPLETE"]}


@models("StackStatusFilter")
def list_stacks(call: Call) -> dict[str, Any]:
    """ListStacks: return all stacks, including deleted stacks."""
    wanted = call.params.get("StackStatusFilter")
    summaries = [
        {
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "CreationTime": stack.created,
            "StackStatus": stack.status,
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
        for stack in _here(call)
        if not wanted or stack.status in wanted
    ]
    return {"StackSummaries": summaries}


@models("StackName")
def describe_stack_events(call: Call) -> dict[str, Any]:
    """DescribeStackEvents, newest first."""
    return {"StackEvents": list(reversed(find_stack(call, call.params["StackName"]).events))}


@models("StackName", "LogicalResourceId")
def describe_stack_resources(call: Call) -> dict[str, Any]:
    """DescribeStackResources: return the stack's resources, without resources whose condition is false."""
    stack = find_stack(call, call.params["StackName"])
    wanted = call.params.get("LogicalResourceId")
    chosen = [one for one in stack.resources.values() if wanted in {None, one.logical_id}]
    return {"StackResources": [{"StackName": stack.name, **_resource(stack, one, "Timestamp")} for one in chosen]}


@models("StackName", "LogicalResourceId")
def describe_stack_resource(call: Call) -> dict[str, Any]:
    """DescribeStackResource."""
    stack, name = find_stack(call, call.params["StackName"]), call.params["LogicalResourceId"]
    if name not in stack.resources:
        raise validation_error(f"Resource {name} does not exist for stack {stack.name}")
    described = _resource(stack, stack.resources[name], "LastUpdatedTimestamp")
    return {"StackResourceDetail": {"StackName": stack.name, **described}}


@models("StackName")
def list_stack_resources(call: Call) -> dict[str, Any]:
    """ListStackResources."""
    stack = find_stack(call, call.params["StackName"])
    resources = [_resource(stack, one, "LastUpdatedTimestamp") for one in stack.resources.values()]
    for resource in resources:
        del resource["StackId"]
    return {"StackResourceSummaries": resources}


@models("StackName")
def get_template(call: Call) -> dict[str, Any]:
    """GetTemplate: return the template's original text."""
    stack = find_stack(call, call.params["StackName"])
    if stack.desired_state is None:
        raise validation_error(f"Stack {stack.name} has no template yet")
    return {"TemplateBody": stack.desired_state.template.text, "StagesAvailable": ["Original", "Processed"]}


@models("TemplateBody", "StackName")
def get_template_summary(call: Call) -> dict[str, Any]:
    """GetTemplateSummary: return a summary of a template or of a stack's template."""
    template = _template_of(call)
    types = sorted({one["Type"] for one in template.section("Resources").values()})
    summary: dict[str, Any] = {"Parameters": describe_parameters(template), "ResourceTypes": types}
    summary |= capabilities.describe_capabilities(template)
    identified = [
        {
            "ResourceType": kind,
            "LogicalResourceIds": _names(template, kind),
            "ResourceIdentifiers": [RESOURCE_TYPES[kind].identifier],
        }
        for kind in types
    ]
    summary["ResourceIdentifierSummaries"] = identified
    return summary | _headline(template, "Version", "AWSTemplateFormatVersion")


@models("TemplateBody")
def validate_template(call: Call) -> dict[str, Any]:
    """ValidateTemplate: return a template's parameters and the capabilities that it requires.

    A template with only keys and aliases requires no capability (contract 43).
    """
    template = _template_of(call)
    parameters = [
        {name: value for name, value in one.items() if name != "ParameterType"} for one in describe_parameters(template)
    ]
    return {"Parameters": parameters, **capabilities.describe_capabilities(template), **_headline(template)}


def _authorize(call: Call, name: str) -> None:
    authorize(call, f"arn:aws:cloudformation:{call.region}:{call.caller.account}:stack/{name}/*")


def _here(call: Call) -> list[Stack]:
    return [one for one in STATE.stacks.values() if (one.account, one.region) == (call.caller.account, call.region)]


def _is(stack: Stack, call: Call, name: str) -> bool:
    here = (stack.account, stack.region) == (call.caller.account, call.region)
    return here and stack.name == name and stack.status != "DELETE_COMPLETE"


def _template_of(call: Call) -> Template:
    if call.params.get("StackName"):
        wish = find_stack(call, call.params["StackName"]).desired_state
        if wish:
            return wish.template
    return build_desired_state(call, None, template_alone=True).template


def _names(template: Template, kind: str) -> list[str]:
    return [name for name, one in template.section("Resources").items() if one["Type"] == kind]


def _headline(template: Template, shown: str = "", member: str = "") -> dict[str, Any]:
    headline = {"Description": template.content["Description"]} if "Description" in template.content else {}
    return headline | ({shown: template.content[member]} if member in template.content else {})


def _render_stack(stack: Stack) -> dict[str, Any]:
    described_stack: dict[str, Any] = {
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "CreationTime": stack.created,
        "StackStatus": stack.status,
        "DisableRollback": False,
        "NotificationARNs": [],
        "Capabilities": [],
        "RollbackConfiguration": {},
        "Tags": [],
        "EnableTerminationProtection": False,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    if stack.desired_state:
        described_stack["Parameters"] = render_parameters(stack.desired_state.template, stack.desired_state.parameters)
        described_stack["Capabilities"] = list(stack.desired_state.capabilities)
        described_stack["Tags"] = [{"Key": name, "Value": value} for name, value in stack.desired_state.tags.items()]
        described_stack |= _headline(stack.desired_state.template)
    if stack.outputs:
        described_stack["Outputs"] = stack.outputs
    if stack.reason:
        described_stack["StackStatusReason"] = stack.reason
    if stack.updated:
        described_stack["LastUpdatedTime"] = stack.updated
    return described_stack


def _resource(stack: Stack, resource: Resource, time_name: str) -> dict[str, Any]:
    last = next(event for event in reversed(stack.events) if event["LogicalResourceId"] == resource.logical_id)
    return {
        "StackId": stack.stack_id,
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.kind,
        time_name: last.get("Timestamp", datetime.now(UTC)),
        "ResourceStatus": last["ResourceStatus"],
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }


HANDLERS: Final[dict[str, Operation]] = {
    "CreateStack": create_stack,
    "UpdateStack": update_stack,
    "DeleteStack": delete_stack,
    "DescribeStacks": describe_stacks,
    "ListStacks": list_stacks,
    "DescribeStackEvents": describe_stack_events,
    "DescribeStackResources": describe_stack_resources,
    "DescribeStackResource": describe_stack_resource,
    "ListStackResources": list_stack_resources,
    "GetTemplate": get_template,
    "GetTemplateSummary": get_template_summary,
    "ValidateTemplate": validate_template,
    **CHANGE_SET_HANDLERS,
}
