"""Parses and checks CloudFormation templates, and evaluates them to plain values.

This module models only what templates for keys and roles use: parameters with their constraints, mappings, conditions,
outputs, and the intrinsic functions in `_FUNCTIONS`. Rules are in a separate module. If we know CloudFormation's exact
error message, this module uses the message.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from localaws.call import AwsError, not_modelled_error
from localaws.cloudformation.resources import RESOURCE_TYPES
from localaws.cloudformation.values import parse_yaml, to_text

NO_VALUE: Final = object()
"""The value of `AWS::NoValue`. A property with this value is omitted."""

_SECTIONS: Final = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Resources",
        "Outputs",
    }
)
_SUBSTITUTION: Final = re.compile(r"\$\{(!?)([^}]+)\}")
_RESOURCE_MEMBERS: Final = frozenset(
    {"Type", "Properties", "Condition", "DependsOn", "DeletionPolicy", "UpdateReplacePolicy", "Metadata"}
)


def validation_error(message: str) -> AwsError:
    """Build the error that CloudFormation returns for an invalid template or input."""
    return AwsError("ValidationError", message)


@dataclass(frozen=True)
class Template:
    """A template with a valid structure, and its original `text`."""

    text: str
    content: dict[str, Any]

    def section(self, name: str) -> dict[str, Any]:
        """Return a section of the template. A missing section is returned as an empty dictionary."""
        return self.content.get(name) or {}


def parse_template(text: str) -> Template:
    """Parse and check a template.

    Raises:
        AwsError: `ValidationError`, or `NotImplemented` for parts that are not modelled, mainly resource types and
            properties.
    """
    try:
        content = parse_yaml(text)
    except ValueError as error:
        raise validation_error(f"Template format error: YAML not well-formed. {error}") from error
    if not isinstance(content, dict):
        raise validation_error("Template format error: unsupported structure.")
    if not content.get("Resources"):
        raise validation_error("Template format error: At least one Resources member must be defined.")
    unknown = sorted(set(content) - _SECTIONS)
    if unknown:
        raise not_modelled_error(f"the template sections {', '.join(unknown)}")
    template = Template(text, content)
    _check_resources(template)
    return template


def _check_resources(template: Template) -> None:
    resources, conditions = template.section("Resources"), template.section("Conditions")
    for name, resource in resources.items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise validation_error(
                f"Template format error: [/Resources/{name}] Every Resources object must contain a Type member."
            )
        other = sorted(set(resource) - _RESOURCE_MEMBERS)
        if other:
            raise validation_error(
                f"Template format error: [/Resources/{name}] unsupported members: {', '.join(other)}"
            )
    foreign = sorted({resource["Type"] for resource in resources.values()} - set(RESOURCE_TYPES))
    if foreign:
        raise not_modelled_error(f"{', '.join(foreign)}; a stack can contain {', '.join(RESOURCE_TYPES)}")
    for resource in resources.values():
        beyond = sorted(set(resource.get("Properties", {})) & set(RESOURCE_TYPES[resource["Type"]].not_modelled))
        if beyond:
            raise not_modelled_error(f"{', '.join(beyond)} of {resource['Type']}")
    known = set(resources) | set(template.section("Parameters"))
    unresolved = sorted({used for one in resources.values() for used in find_references(one) if used not in known})
    if unresolved:
        names = ", ".join(unresolved)
        raise validation_error(
            f"Template format error: Unresolved resource dependencies [{names}] in the Resources block of the template"
        )
    missing = {
        one["Condition"] for one in (*resources.values(), *template.section("Outputs").values()) if "Condition" in one
    }
    if missing - set(conditions):
        raise validation_error(f"Template format error: Unresolved condition {min(missing - set(conditions))}")


def find_references(value: Any) -> Iterator[str]:
    """Yield the names of the resources and parameters that a part of a template refers to, except pseudo parameters."""
    if isinstance(value, list):
        for item in value:
            yield from find_references(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        if key == "Ref" and isinstance(inner, str):
            names = [inner]
        elif key == "Fn::GetAtt":
            names = [inner[0]]
        elif key == "DependsOn":
            names = [inner] if isinstance(inner, str) else inner
        elif key == "Fn::Sub":
            text, own = (inner, {}) if isinstance(inner, str) else (inner[0], inner[1])
            found = [name.split(".")[0] for literal, name in _SUBSTITUTION.findall(text) if not literal]
            names = [name for name in found if name not in own]
            yield from find_references(own)
        else:
            yield from find_references(inner)
            continue
        yield from (name for name in names if not name.startswith("AWS::"))


def sort_by_dependency(template: Template) -> list[str]:
    """Return the names of the resources. Each resource comes after the resources that it refers to.

    Raises:
        AwsError: `ValidationError` if the dependencies are circular.
    """
    resources = template.section("Resources")
    waiting = {name: {used for used in find_references(one) if used in resources} for name, one in resources.items()}
    ordered: list[str] = []
    while waiting:
        ready = [name for name, needs in waiting.items() if needs <= set(ordered)]
        if not ready:
            raise validation_error(f"Circular dependency between resources: [{', '.join(waiting)}]")
        ordered += ready
        waiting = {name: needs for name, needs in waiting.items() if name not in ordered}
    return ordered


@dataclass
class EvaluationScope:
    """The values that the functions of a template can refer to.

    Attributes:
        template: The template, which defines the conditions and mappings.
        parameters: Values of the parameters.
        pseudo: Values of the pseudo parameters, such as `AWS::Region`.
        attributes: Ids and attributes of the existing resources, such as `{"Key": {"Ref": id, "Arn": arn}}`.
    """

    template: Template
    parameters: Mapping[str, Any]
    pseudo: Mapping[str, Any]
    attributes: dict[str, dict[str, str]] = field(default_factory=dict)

    def evaluate_named_condition(self, condition: str) -> bool:
        """Return whether a named condition is true."""
        conditions = self.template.section("Conditions")
        if condition not in conditions:
            raise validation_error(f"Template format error: Unresolved condition {condition}")
        return bool(self.evaluate(conditions[condition]))

    def is_condition_met(self, condition: str | None) -> bool:
        """Return whether a condition is true. No condition (None) counts as true."""
        return condition is None or self.evaluate_named_condition(condition)

    def evaluate(self, given: Any) -> Any:
        """Return `given` with all functions evaluated, and without the properties whose value is `AWS::NoValue`."""
        if isinstance(given, list):
            return [one for one in map(self.evaluate, given) if one is not NO_VALUE]
        if not isinstance(given, dict):
            return given
        if len(given) == 1:
            name, argument = next(iter(given.items()))
            if name == "Condition" and isinstance(argument, str):
                return self.evaluate_named_condition(argument)
            if name in _FUNCTIONS:
                return _FUNCTIONS[name](self, argument)
            if str(name).startswith("Fn::"):
                raise not_modelled_error(f"the function {name}")
        values = {name: self.evaluate(one) for name, one in given.items()}
        return {name: one for name, one in values.items() if one is not NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.parameters:
            return self.parameters[name]
        return self._attribute(name, "Ref")

    def _attribute(self, name: str, attribute: str) -> str:
        attributes = self.attributes.get(name, {})
        if attribute not in attributes:
            raise validation_error(
                f"Template error: {name}.{attribute} does not exist, or the resource's condition is false"
            )
        return attributes[attribute]

    def _get_att(self, argument: Any) -> str:
        return self._attribute(argument[0], argument[1])

    def _sub(self, argument: Any) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else (argument[0], self.evaluate(argument[1]))

        def replace_match(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            if name in own:
                return to_text(own[name])
            resource, dot, attribute = name.partition(".")
            return to_text(self._attribute(resource, attribute) if dot else self._ref(name))

        return _SUBSTITUTION.sub(replace_match, text)

    def _join(self, argument: Any) -> str:
        return str(argument[0]).join(to_text(one) for one in self.evaluate(argument[1]))

    def _split(self, argument: Any) -> list[str]:
        return to_text(self.evaluate(argument[1])).split(argument[0])

    def _select(self, argument: Any) -> Any:
        index, items = int(self.evaluate(argument[0])), self.evaluate(argument[1])
        if not 0 <= index < len(items):
            raise validation_error("Template error: Fn::Select cannot select nonexistent value at index " + str(index))
        return items[index]

    def _if(self, argument: Any) -> Any:
        return self.evaluate(argument[1] if self.evaluate_named_condition(argument[0]) else argument[2])

    def _equals(self, argument: Any) -> bool:
        return to_text(self.evaluate(argument[0])) == to_text(self.evaluate(argument[1]))

    def _find_in_map(self, argument: Any) -> Any:
        name, top, second = (to_text(self.evaluate(part)) for part in argument)
        try:
            return _text_keys(_text_keys(self.template.section("Mappings")[name])[top])[second]
        except KeyError:
            raise validation_error(f"Template error: Unable to get mapping for {name}::{top}::{second}") from None


_FUNCTIONS: Final[dict[str, Callable[[EvaluationScope, Any], Any]]] = {
    "Ref": EvaluationScope._ref,
    "Fn::GetAtt": EvaluationScope._get_att,
    "Fn::Sub": EvaluationScope._sub,
    "Fn::Join": EvaluationScope._join,
    "Fn::Split": EvaluationScope._split,
    "Fn::Select": EvaluationScope._select,
    "Fn::If": EvaluationScope._if,
    "Fn::Equals": EvaluationScope._equals,
    "Fn::FindInMap": EvaluationScope._find_in_map,
    "Fn::And": lambda scope, argument: all(scope.evaluate(one) for one in argument),
    "Fn::Or": lambda scope, argument: any(scope.evaluate(one) for one in argument),
    "Fn::Not": lambda scope, argument: not scope.evaluate(argument[0]),
}


def _text_keys(mapping: dict[Any, Any]) -> dict[str, Any]:
    """Return a mapping with its keys converted to text, because YAML parses an unquoted account id as a number."""
    return {to_text(name): value for name, value in mapping.items()}


def to_canonical_json(value: Any) -> str:
    """Render a value as JSON, so that equal values produce the same text."""
    return json.dumps(value, sort_keys=True, default=str)
