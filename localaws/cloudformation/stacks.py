"""Stacks: plan changes, execute them, and roll the stack back if a change is rejected.

A stack changes completely within the call that requests the change, so even the first DescribeStacks call returns the
final state. The events contain every transition, including IN_PROGRESS.
"""

import copy
import uuid
from datetime import UTC, datetime
from typing import Final

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call
from localaws.cloudformation import rules
from localaws.cloudformation.parameters import split_list_parameters
from localaws.cloudformation.records import Change, DesiredState, Stack
from localaws.cloudformation.resources import RESOURCE_TYPES
from localaws.cloudformation.resources.kind import Resource, StackContext
from localaws.cloudformation.template import (
    NO_VALUE,
    EvaluationScope,
    Template,
    find_references,
    parse_template,
    sort_by_dependency,
    to_canonical_json,
    validation_error,
)
from localaws.cloudformation.values import to_text
from localaws.state import STATE

RETAIN_POLICIES: Final = frozenset({"Retain", "RetainExceptOnCreate"})

# The handler error code for each error code of a service (CloudFormation CLI user guide, "Handler error codes"). Some
# of the entries for IAM come from recorded AWS responses, and the rest are inferred from these responses.
_HANDLER_CODES: Final = {
    "AccessDenied": "AccessDenied",
    "AccessDeniedException": "AccessDenied",
    "AlreadyExistsException": "AlreadyExists",
    "DeleteConflict": "GeneralServiceException",
    "EntityAlreadyExists": "AlreadyExists",
    "LimitExceeded": "ServiceLimitExceeded",
    "NoSuchEntity": "NotFound",
    "NotFoundException": "NotFound",
}


class _RefusedError(Exception):
    def __init__(self, logical_id: str, reason: str) -> None:
        super().__init__(reason)
        self.logical_id = logical_id


def add_stack(call: Call, name: str, status: str) -> Stack:
    """Add an empty stack to the caller's account and Region."""
    place = f"arn:{partition_of_region(call.region)}:cloudformation:{call.region}:{call.caller.account}"
    stack_id = f"{place}:stack/{name}/{uuid.uuid4()}"
    stack = Stack(stack_id, name, call.caller.account, call.region, datetime.now(UTC), status)
    STATE.stacks[stack_id] = stack
    stack.set_status(status, "User Initiated")
    return stack


def build_evaluation_scope(stack: Stack, wish: DesiredState) -> EvaluationScope:
    """Return the values that the template's functions can use."""
    pseudo = {
        "AWS::AccountId": stack.account,
        "AWS::NoValue": NO_VALUE,
        "AWS::Partition": partition_of_region(stack.region),
        "AWS::Region": stack.region,
        "AWS::StackId": stack.stack_id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com.cn" if stack.region.startswith("cn-") else "amazonaws.com",
    }
    known = {name: resource.attributes for name, resource in stack.resources.items()}
    return EvaluationScope(wish.template, split_list_parameters(wish.template, wish.parameters), pseudo, known)


def plan_changes(stack: Stack, wish: DesiredState) -> list[Change]:
    """Plan changes in execution order. Until a resource exists, its logical id is used in place of its physical id."""
    scope = build_evaluation_scope(stack, wish)
    changes: list[Change] = []
    wanted = _desired_names(scope)
    for name in wanted:
        resource = _evaluate(scope, name, strict=False)
        tags_changed = stack.desired_state is not None and stack.desired_state.tags != wish.tags
        try:
            change = _change(stack, resource, tags_changed=tags_changed)
        except AwsError:
            # As in AWS, the error appears only when the change set is executed.
            change = Change("Modify", resource, stack.resources.get(name))
        if change:
            changes.append(change)
        if name not in stack.resources:
            scope.attributes[name] = dict.fromkeys(("Ref", *RESOURCE_TYPES[resource.kind].attributes), name)
    gone = [stack.resources[name] for name in reversed(stack.resources) if name not in wanted]
    return changes + [Change("Remove", resource, resource) for resource in gone]


def is_unchanged(stack: Stack, wish: DesiredState) -> bool:
    """Return whether the stack already matches the desired state."""
    if stack.desired_state is None or plan_changes(stack, wish) or stack.desired_state.tags != wish.tags:
        return False
    outputs = [to_canonical_json(one.template.section("Outputs")) for one in (stack.desired_state, wish)]
    return outputs[0] == outputs[1] and stack.outputs == _outputs(build_evaluation_scope(stack, wish))


def create(call: Call, stack: Stack, wish: DesiredState, on_failure: str = "ROLLBACK") -> None:
    """Create all resources of a new stack.

    `on_failure` determines what happens to the stack if a resource is rejected.
    """
    stack.desired_state = wish
    try:
        _carry_out(call, stack, wish)
    except _RefusedError as refused:
        reason = f"The following resource(s) failed to create: [{refused.logical_id}]. "
        if on_failure == "DO_NOTHING":
            stack.set_status("CREATE_FAILED", reason)
        else:
            deleting = on_failure == "DELETE"
            begun = "Delete" if deleting else "Rollback"
            stack.set_status(f"{begun.upper()}_IN_PROGRESS", f"{reason}{begun} requested by user.")
            _remove(call, stack, list(stack.resources), creating=True)
            stack.set_status(f"{begun.upper()}_COMPLETE")
    else:
        stack.set_status("CREATE_COMPLETE")


def update(call: Call, stack: Stack, wish: DesiredState) -> None:
    """Update the stack to the desired state. If the update fails, roll the stack back."""
    before = copy.deepcopy((stack.resources, stack.outputs, stack.desired_state))
    touched = {one.arn for one in stack.resources.values()}
    keys = {arn: copy.deepcopy(key) for arn, key in STATE.keys.items() if arn in touched}
    aliases, roles = copy.deepcopy((STATE.aliases, STATE.roles))
    stack.updated = datetime.now(UTC)
    stack.set_status("UPDATE_IN_PROGRESS", "User Initiated")
    try:
        _carry_out(call, stack, wish)
    except _RefusedError as refused:
        reason = f"The following resource(s) failed to update: [{refused.logical_id}]. "
        stack.set_status("UPDATE_ROLLBACK_IN_PROGRESS", reason)
        _remove(call, stack, [name for name in stack.resources if name not in before[0]], creating=True)
        STATE.keys.update(keys)
        STATE.aliases, STATE.roles = aliases, roles
        stack.resources, stack.outputs, stack.desired_state = before
        stack.set_status("UPDATE_ROLLBACK_COMPLETE")
    else:
        stack.desired_state = wish
        stack.set_status("UPDATE_COMPLETE")


def delete(call: Call, stack: Stack) -> None:
    """Delete the stack and its resources, except resources with a Retain policy."""
    stack.set_status("DELETE_IN_PROGRESS", "User Initiated")
    _remove(call, stack, list(stack.resources), creating=False)
    if stack.resources:
        reason = f"The following resource(s) failed to delete: [{', '.join(stack.resources)}]. "
        stack.set_status("DELETE_FAILED", reason)
    else:
        stack.set_status("DELETE_COMPLETE")


def _carry_out(call: Call, stack: Stack, wish: DesiredState) -> None:
    scope = build_evaluation_scope(stack, wish)
    old_tags = stack.desired_state.tags if stack.desired_state else {}
    work = StackContext(call, stack.name, wish.tags, old_tags)
    wanted = _desired_names(scope)
    replaced: list[Resource] = []
    for name in wanted:
        kind = wish.template.section("Resources")[name]["Type"]
        old = stack.resources.get(name)
        verb, resource = "UPDATE" if old else "CREATE", None
        try:
            resource = _evaluate(scope, name, strict=True)
            change = _change(stack, resource, tags_changed=old_tags != wish.tags)
            if old and change is None:
                resource.copy_identity_from(old)
            elif change:
                stack.record_event(name, old.physical_id if old else "", kind, f"{verb}_IN_PROGRESS")
                if old and not change.replaces:
                    resource.copy_identity_from(old)
                    RESOURCE_TYPES[kind].update(work, old, resource)
                else:
                    replaced += [old] if old else []
                    RESOURCE_TYPES[kind].create(work, resource)
                stack.record_event(name, resource.physical_id, kind, f"{verb}_COMPLETE")
        except AwsError as error:
            stack.record_event(name, old.physical_id if old else "", kind, f"{verb}_FAILED", _reason(call, kind, error))
            if old is None and resource and resource.physical_id:
                stack.resources[name] = resource  # the rollback must remove a partly created resource
            raise _RefusedError(name, error.message) from error
        stack.resources[name] = resource
        scope.attributes[name] = resource.attributes
    try:
        stack.outputs = _outputs(scope)
    except AwsError as error:
        raise _RefusedError(stack.name, error.message) from error
    for old in replaced:
        if old.on_replace not in RETAIN_POLICIES:
            _delete(call, stack, old)
    _remove(call, stack, [name for name in stack.resources if name not in wanted], creating=False)


def _remove(call: Call, stack: Stack, names: list[str], *, creating: bool) -> None:
    """Delete resources in reverse order of creation. If `creating` is true, ignore `RetainExceptOnCreate`."""
    for name in reversed(names):
        resource = stack.resources[name]
        if resource.on_delete == "Retain" or (resource.on_delete in RETAIN_POLICIES and not creating):
            stack.record_event(name, resource.physical_id, resource.kind, "DELETE_SKIPPED")
        elif not _delete(call, stack, resource):
            continue
        del stack.resources[name]


def _delete(call: Call, stack: Stack, resource: Resource) -> bool:
    """Delete one resource, and record an event. Return False if the deletion is rejected."""
    name, physical_id, kind = resource.logical_id, resource.physical_id, resource.kind
    try:
        RESOURCE_TYPES[kind].delete(StackContext(call, stack.name, {}, {}), resource)
    except AwsError as error:
        stack.record_event(name, physical_id, kind, "DELETE_FAILED", _reason(call, kind, error))
        return False
    stack.record_event(name, physical_id, kind, "DELETE_COMPLETE")
    return True


def _desired_names(scope: EvaluationScope) -> list[str]:
    resources = scope.template.section("Resources")
    return [
        name for name in sort_by_dependency(scope.template) if scope.is_condition_met(resources[name].get("Condition"))
    ]


def _evaluate(scope: EvaluationScope, name: str, *, strict: bool) -> Resource:
    described = scope.template.section("Resources")[name]
    properties = scope.evaluate(described.get("Properties", {}))
    return Resource(
        logical_id=name,
        kind=described["Type"],
        properties=RESOURCE_TYPES[described["Type"]].coerce_properties(properties) if strict else properties,
        on_delete=described.get("DeletionPolicy", "Delete"),
        on_replace=described.get("UpdateReplacePolicy", "Delete"),
        depends_on=tuple(sorted(set(find_references(described)))),
    )


def _change(stack: Stack, resource: Resource, *, tags_changed: bool) -> Change | None:
    old = stack.resources.get(resource.logical_id)
    if old is None:
        return Change("Add", resource)
    if old.kind != resource.kind:
        raise validation_error(
            f"Update of resource type is not permitted. The new template modifies the type of {old.logical_id}."
        )
    kind = RESOURCE_TYPES[resource.kind]
    properties = kind.coerce_properties(resource.properties)
    same = (old.properties, old.on_delete, old.on_replace) == (properties, resource.on_delete, resource.on_replace)
    if same and not (tags_changed and kind.has_tags):
        return None
    return Change("Modify", resource, old, kind.requires_replacement(old.properties, properties))


def _outputs(scope: EvaluationScope) -> list[dict[str, str]]:
    outputs = []
    for name, output in scope.template.section("Outputs").items():
        if not scope.is_condition_met(output.get("Condition")):
            continue
        value = scope.evaluate(output["Value"])
        if isinstance(value, dict | list):
            raise validation_error(
                f"Template format error: Output {name} is malformed. Every Value member must be a string."
            )
        described = {"OutputKey": name, "OutputValue": to_text(value)}
        if "Description" in output:
            described["Description"] = output["Description"]
        if "Export" in output:
            described["ExportName"] = to_text(scope.evaluate(output["Export"]["Name"]))
        outputs.append(described)
    return outputs


def _reason(call: Call, kind: str, error: AwsError) -> str:
    """Format an error from the resource's service as CloudFormation shows it in a stack event."""
    service = f"(Service: {RESOURCE_TYPES[kind].service}, Status Code: {error.status}, Request ID: {call.request_id})"
    message = f'Resource handler returned message: "{error.message} {service}"'
    code = _HANDLER_CODES.get(error.code, "InvalidRequest")
    return f"{message} (RequestToken: {call.request_id}, HandlerErrorCode: {code})"


def parse_and_check_template(text: str) -> Template:
    """Parse a template, check its rules, and check that its resources have no circular dependencies."""
    template = parse_template(text)
    rules.check_syntax(template)
    sort_by_dependency(template)
    return template
