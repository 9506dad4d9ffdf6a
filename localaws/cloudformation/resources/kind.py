"""Defines a resource type: its properties, and how its resources are created, updated and deleted."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localaws.call import AwsError, Call
from localaws.cloudformation.values import to_text


@dataclass
class Resource:
    """A resource of a stack, in its latest state.

    Attributes:
        logical_id: The name of the resource in the template.
        kind: The type of the resource, such as `AWS::KMS::Key`.
        properties: The evaluated and typed properties.
        physical_id: The key id, alias name or role name. Empty if the resource was never created.
        arn: The ARN of the resource.
        attributes: The values that Ref and Fn::GetAtt return.
        on_delete: The DeletionPolicy.
        on_replace: The UpdateReplacePolicy.
        depends_on: The names of the resources and parameters that the resource refers to.
    """

    logical_id: str
    kind: str
    properties: dict[str, Any]
    physical_id: str = ""
    arn: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    on_delete: str = "Delete"
    on_replace: str = "Delete"
    depends_on: tuple[str, ...] = ()

    def record_created(self, physical_id: str, arn: str = "", **attributes: str) -> None:
        """Record the ids of the created resource. `Ref` returns the physical id."""
        self.physical_id, self.arn, self.attributes = physical_id, arn, {"Ref": physical_id, **attributes}

    def copy_identity_from(self, old: "Resource") -> None:
        """Copy the ids and attributes of an existing resource."""
        self.physical_id, self.arn, self.attributes = old.physical_id, old.arn, dict(old.attributes)


@dataclass(frozen=True)
class StackContext:
    """The stack that is being changed, and the call that requests the change.

    Attributes:
        call: The call that changes the stack. The resources are created with the permissions of the call's `caller`.
        stack_name: The stack's name.
        tags: Tags of the stack, which every taggable resource gets.
        old_tags: The stack's tags before the update.
    """

    call: Call
    stack_name: str
    tags: dict[str, str]
    old_tags: dict[str, str]


@dataclass(frozen=True)
class ResourceType:
    """A type of resource.

    Attributes:
        service: The service's name in an event's error message, such as `Kms`.
        identifier: The property that identifies a resource (GetTemplateSummary).
        properties: The type of each property's value, by property name. Numbers and booleans may also be given as text.
        attributes: The attributes that Fn::GetAtt returns.
        create: Creates a resource and records its ids.
        update: Updates an existing resource from the old properties to the new properties.
        delete: Deletes a resource. Succeeds even if the resource no longer exists.
        required: Required properties.
        fixed: Properties that cannot be changed. The CloudFormation reference says, for example: "If you change the
            value of … on an existing KMS key, the update request fails".
        replacing: Properties that cannot be changed without replacing the resource.
        name: The property that sets a custom name, if any. For IAM, a custom name requires CAPABILITY_NAMED_IAM.
        not_modelled: CloudFormation properties that the local AWS emulator does not model. A template that sets any of
            them is rejected, with an error that lists them.
    """

    service: str
    identifier: str
    properties: dict[str, type]
    attributes: tuple[str, ...]
    create: Callable[[StackContext, Resource], None]
    update: Callable[[StackContext, Resource, Resource], None]
    delete: Callable[[StackContext, Resource], None]
    required: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    replacing: tuple[str, ...] = ()
    name: str = ""
    not_modelled: tuple[str, ...] = ()

    @property
    def has_tags(self) -> bool:
        """Return whether resources of this type can have tags. Taggable resources also get the tags of their stack."""
        return "Tags" in self.properties

    def coerce_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Convert each property to its type.

        Raises:
            AwsError: `ValidationError` if the properties do not match the schema of the resource type.
        """
        for name in properties:
            if name not in self.properties:
                raise _invalid(f"Encountered unsupported property {name}")
        for name in self.required:
            if name not in properties:
                raise _invalid(f"Property {name} cannot be empty.")
        return {name: _coerce(name, value, self.properties[name]) for name, value in properties.items()}

    def requires_replacement(self, old: dict[str, Any], new: dict[str, Any]) -> bool:
        """Return whether an update of the properties creates a new resource.

        Raises:
            AwsError: `ValidationError` if a changed property is immutable, or if the replacement would have the same
                custom name as the existing resource. CloudFormation creates the replacement before it deletes the
                existing resource (text recorded from AWS).
        """
        for name in self.fixed:
            if old.get(name) != new.get(name):
                raise _invalid(f"You cannot change the {name} of an existing KMS key")
        replaced = any(old.get(name) != new.get(name) for name in self.replacing)
        if replaced and self.name and self.name in new and old.get(self.name) == new[self.name]:
            raise _invalid(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename "
                f"{new[self.name]} and update the stack again."
            )
        return replaced


def merge_stack_tags(properties: dict[str, Any], stack_tags: dict[str, str]) -> dict[str, str]:
    """Merge the stack's tags with the resource's own tags, which take precedence."""
    return stack_tags | {tag["Key"]: to_text(tag["Value"]) for tag in properties.get("Tags", [])}


def _coerce(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool and str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    if wanted is int and str(value).isdigit():
        return int(value)
    if wanted is str and isinstance(value, int | float):
        return to_text(value)
    if wanted is dict and isinstance(value, str):
        value = _from_json(name, value)
    if not isinstance(value, wanted):
        raise _invalid(f"Value of property {name} must be of type {wanted.__name__}")
    return value


def _from_json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise _invalid(f"Value of property {name} must be an object") from error


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
