"""What a type of resource is: its properties, what updating each means, and how one is made, changed and removed."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localaws.call import AwsError, Call


@dataclass
class Resource:
    """A resource of a stack, as it was last made.

    Attributes:
        logical_id: Its name in the template.
        kind: `AWS::KMS::Key`.
        properties: Evaluated and typed.
        physical_id: Key id, alias name or role name; empty where it was never made.
        arn: Its ARN.
        attributes: What Ref and Fn::GetAtt give.
        on_delete: DeletionPolicy.
        on_replace: UpdateReplacePolicy.
        depends_on: Logical ids of what it refers to.
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
        """Note what exists now; `Ref` gives the physical id."""
        self.physical_id, self.arn, self.attributes = physical_id, arn, {"Ref": physical_id, **attributes}

    def copy_identity_from(self, old: "Resource") -> None:
        """Be what is there already."""
        self.physical_id, self.arn, self.attributes = old.physical_id, old.arn, dict(old.attributes)


@dataclass(frozen=True)
class StackContext:
    """On whose behalf a resource is worked on.

    Attributes:
        call: The call that changes the stack; whoever made it makes the resources.
        stack_name: The stack's name.
        tags: Tags of the stack, which every resource gets that can have tags.
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
        service: The service as a refusal names it in an event, `Kms`.
        identifier: The property that identifies a resource (GetTemplateSummary).
        properties: Property to the type its value has to have; numbers and booleans can be text, too.
        attributes: What Fn::GetAtt gives.
        create: Makes a resource and notes its ids.
        update: Brings a resource from its old properties to the new ones, in place.
        delete: Removes a resource; what is gone already is fine.
        required: Properties that have to be there.
        fixed: "If you change the value of … on an existing KMS key, the update request fails".
        replacing: Properties whose change makes a new resource.
        name: The property that may give a name of the customer's own, which has to be acknowledged for IAM.
        not_modelled: Properties of CloudFormation's that the local AWS refuses by name.
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
        """Whether a resource can have tags, and so gets those of its stack."""
        return "Tags" in self.properties

    def coerce_properties(self, properties: dict[str, Any]) -> dict[str, Any]:
        """The properties, each of its type.

        Raises:
            AwsError: `ValidationError`, as a resource fails whose properties do not fit its schema.
        """
        for name in properties:
            if name not in self.properties:
                raise _invalid(f"Encountered unsupported property {name}")
        for name in self.required:
            if name not in properties:
                raise _invalid(f"Property {name} cannot be empty.")
        return {name: _coerce(name, value, self.properties[name]) for name, value in properties.items()}

    def requires_replacement(self, old: dict[str, Any], new: dict[str, Any]) -> bool:
        """Whether an update of the properties makes a new resource.

        Raises:
            AwsError: `ValidationError` for a property that cannot be changed at all, and for a new resource of the same
                name: it would have to be made before the old one goes (recorded text).
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
    """The tags of a resource: those of the stack, and its own, which win."""
    return stack_tags | {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}


def _coerce(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool and str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    if wanted is int and str(value).isdigit():
        return int(value)
    if wanted is str and isinstance(value, int | float):
        return str(value)
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
