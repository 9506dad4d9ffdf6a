"""Change sets as `aws cloudformation deploy` uses them, and the desired state that results from a call."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from byok.domain.arns import partition_of_region
from localaws.accounts import authorize
from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.cloudformation import capabilities, rules, stacks
from localaws.cloudformation.parameters import render_parameters, resolve_parameters
from localaws.cloudformation.records import Change, DesiredState, Stack
from localaws.cloudformation.template import Template, validation_error
from localaws.state import STATE

_NAME: Final = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
_NOTHING_CHANGED: Final = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


def check_stack_name(name: str) -> None:
    """Check the name of a new stack.

    Raises:
        AwsError: `ValidationError`.
    """
    if not _NAME.fullmatch(name):
        raise validation_error(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )


def find_stack(call: Call, name: str) -> Stack:
    """Return the caller's stack by name or id. A deleted stack can be found only by id.

    Raises:
        AwsError: `ValidationError`, with the message recorded from AWS.
    """
    for stack in reversed(STATE.stacks.values()):
        here = (stack.account, stack.region) == (call.caller.account, call.region)
        if here and (name == stack.stack_id or (name == stack.name and stack.status != "DELETE_COMPLETE")):
            return stack  # type: ignore[no-any-return]
    raise validation_error(f"Stack with id {name} does not exist")


def build_desired_state(call: Call, stack: Stack | None, *, template_alone: bool = False) -> DesiredState:
    """Return the state that the call requests for the stack.

    Args:
        call: A call with a template, parameters and tags.
        stack: The current stack, whose template and values the call may reuse.
        template_alone: Whether to use only the template, and ignore parameters, capabilities and tags.

    Raises:
        AwsError: `ValidationError`, `InsufficientCapabilitiesException`, or, if a part of the template is not modelled,
            `NotImplemented`.
    """
    template = _template(call, stack)
    if template_alone:
        return DesiredState(template, {}, {})
    capabilities.require_capabilities(call, template)
    previous = stack.desired_state if stack and stack.desired_state else DesiredState(template, {}, {})
    parameters = resolve_parameters(template, call.params.get("Parameters", []), previous.parameters)
    rules.check_assertions(call, template, parameters)
    tags = call.params.get("Tags")
    # An update without `Tags` keeps the tags: "If you don't specify this parameter, CloudFormation doesn't modify the
    # stack's tags" (botocore, UpdateStack).
    kept = previous.tags if tags is None else {tag["Key"]: tag["Value"] for tag in tags}
    return DesiredState(
        template=template,
        parameters=parameters,
        tags=dict(kept),
        capabilities=tuple(call.params.get("Capabilities") or ()),
    )


def _template(call: Call, stack: Stack | None) -> Template:
    if call.params.get("UsePreviousTemplate"):
        if stack is None or stack.desired_state is None:
            raise validation_error("UsePreviousTemplate needs a stack that has a template")
        return stack.desired_state.template
    if not call.params.get("TemplateBody"):
        raise validation_error("Either Template URL or Template Body must be specified.")
    return stacks.parse_and_check_template(call.params["TemplateBody"])


@models(
    "StackName",
    "ChangeSetName",
    "ChangeSetType",
    "TemplateBody",
    "UsePreviousTemplate",
    "Parameters",
    "Capabilities",
    "Tags",
    "Description",
    "OnStackFailure",
)
def create_change_set(call: Call) -> dict[str, Any]:
    """CreateChangeSet, for a new or an existing stack."""
    name, kind = call.params["StackName"], call.params.get("ChangeSetType", "UPDATE")
    authorize(call, f"arn:aws:cloudformation:{call.region}:{call.caller.account}:stack/{name}/*")
    stack = _stack_for(call, name, kind)
    wish = build_desired_state(call, stack)
    if stack is None:
        check_stack_name(name)
        stack = stacks.add_stack(call, name, "REVIEW_IN_PROGRESS")
    set_name = call.params["ChangeSetName"]
    if set_name in stack.changes:
        raise AwsError("AlreadyExistsException", f"ChangeSet {set_name} already exists")
    unchanged = stack.desired_state is not None and stacks.is_unchanged(stack, wish)
    place = f"arn:{partition_of_region(call.region)}:cloudformation:{call.region}:{call.caller.account}"
    stack.changes[set_name] = {
        "ChangeSetName": set_name,
        "ChangeSetId": f"{place}:changeSet/{set_name}/{uuid.uuid4()}",
        "StackId": stack.stack_id,
        "StackName": stack.name,
        "Description": call.params.get("Description", ""),
        "Parameters": render_parameters(wish.template, wish.parameters),
        "CreationTime": datetime.now(UTC),
        "ExecutionStatus": "UNAVAILABLE" if unchanged else "AVAILABLE",
        "Status": "FAILED" if unchanged else "CREATE_COMPLETE",
        "StatusReason": _NOTHING_CHANGED if unchanged else "",
        "NotificationARNs": [],
        "RollbackConfiguration": {},
        "Capabilities": list(wish.capabilities),
        "Tags": [{"Key": key, "Value": value} for key, value in wish.tags.items()],
        "Changes": [_change(change) for change in stacks.plan_changes(stack, wish)],
        "OnStackFailure": call.params.get("OnStackFailure", ""),
        "wish": wish,
    }
    return {"Id": stack.changes[set_name]["ChangeSetId"], "StackId": stack.stack_id}


@models("StackName", "ChangeSetName")
def describe_change_set(call: Call) -> dict[str, Any]:
    """DescribeChangeSet."""
    _, change_set = _find(call)
    return {name: value for name, value in change_set.items() if name != "wish" and value != ""}


@models("StackName", "ChangeSetName", "DisableRollback")
def execute_change_set(call: Call) -> dict[str, Any]:
    """ExecuteChangeSet. As in AWS, executing a change set deletes all change sets of the stack."""
    stack, change_set = _find(call)
    authorize(call, stack.stack_id)
    if change_set["ExecutionStatus"] != "AVAILABLE":
        reason = f"its execution status is {change_set['ExecutionStatus']}"
        message = f"ChangeSet [{change_set['ChangeSetId']}] cannot be executed: {reason}"
        raise AwsError("InvalidChangeSetStatus", message)
    stack.changes.clear()
    if stack.status == "REVIEW_IN_PROGRESS":
        stack.set_status("CREATE_IN_PROGRESS", "User Initiated")
        on_failure = "DO_NOTHING" if call.params.get("DisableRollback") else change_set["OnStackFailure"] or "ROLLBACK"
        stacks.create(call, stack, change_set["wish"], on_failure)
    else:
        stacks.update(call, stack, change_set["wish"])
    return {}


@models("StackName", "ChangeSetName")
def delete_change_set(call: Call) -> dict[str, Any]:
    """DeleteChangeSet."""
    stack, change_set = _find(call)
    authorize(call, stack.stack_id)
    del stack.changes[change_set["ChangeSetName"]]
    return {}


@models("StackName")
def list_change_sets(call: Call) -> dict[str, Any]:
    """ListChangeSets."""
    shown = "StackId StackName ChangeSetId ChangeSetName ExecutionStatus Status StatusReason CreationTime Description"
    changes = find_stack(call, call.params["StackName"]).changes.values()
    return {"Summaries": [{name: one[name] for name in shown.split() if one[name] != ""} for one in changes]}


def _stack_for(call: Call, name: str, kind: str) -> Stack | None:
    try:
        stack: Stack | None = find_stack(call, name)
    except AwsError:
        stack = None
    under_review = stack is not None and stack.status == "REVIEW_IN_PROGRESS"
    if kind == "UPDATE":
        if stack is None:
            raise validation_error(f"Stack [{name}] does not exist")
        if under_review or stack.status in {"ROLLBACK_COMPLETE", "CREATE_FAILED", "DELETE_FAILED"}:
            raise validation_error(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
    elif kind == "CREATE":
        if stack is not None and not under_review:
            raise validation_error(f"Stack [{name}] already exists and cannot be created again with the changeSet.")
    else:
        raise not_modelled_error(f"change sets of type {kind}")
    return stack


def _find(call: Call) -> tuple[Stack, dict[str, Any]]:
    name = call.params["ChangeSetName"]
    stacks = (
        [find_stack(call, call.params["StackName"])] if call.params.get("StackName") else list(STATE.stacks.values())
    )
    for stack in stacks:
        for change_set in stack.changes.values():
            if name == change_set["ChangeSetId"] or (
                call.params.get("StackName") and name == change_set["ChangeSetName"]
            ):
                return stack, change_set
    raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)


def _change(change: Change) -> dict[str, Any]:
    described_change: dict[str, Any] = {
        "Action": change.action,
        "LogicalResourceId": change.resource.logical_id,
        "ResourceType": change.resource.kind,
        "Scope": ["Properties"] if change.action == "Modify" else [],
        "Details": [],
    }
    if change.old:
        described_change["PhysicalResourceId"] = change.old.physical_id
    if change.action == "Modify":
        described_change["Replacement"] = "True" if change.replaces else "False"
    return {"Type": "Resource", "ResourceChange": described_change}


HANDLERS: Final[dict[str, Operation]] = {
    "CreateChangeSet": create_change_set,
    "DescribeChangeSet": describe_change_set,
    "ExecuteChangeSet": execute_change_set,
    "DeleteChangeSet": delete_change_set,
    "ListChangeSets": list_change_sets,
}
