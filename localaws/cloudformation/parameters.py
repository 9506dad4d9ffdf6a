"""Checks the parameter values of a stack against the declarations in the template."""

import re
from collections.abc import Mapping
from typing import Any, Final

from localaws.cloudformation.template import Template, validation_error
from localaws.cloudformation.values import to_text

_TYPES: Final = frozenset({"String", "Number", "CommaDelimitedList"})


def resolve_parameters(template: Template, given: list[dict[str, Any]], previous: Mapping[str, Any]) -> dict[str, str]:
    """Return the value of every parameter of the template, as text.

    Args:
        template: The template, whose `Parameters` section declares the parameters.
        given: The parameters in the format of CreateStack. With `UsePreviousValue`, the value comes from `previous`.
        previous: The current values of the stack.

    Raises:
        AwsError: `ValidationError` with CloudFormation's message.
    """
    declared = template.section("Parameters")
    unknown = [one["ParameterKey"] for one in given if one["ParameterKey"] not in declared]
    if unknown:
        raise validation_error(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    chosen: dict[str, str] = {}
    for one in given:
        name = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if name not in previous:
                raise validation_error(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true here"
                )
            chosen[name] = previous[name]
        elif "ParameterValue" in one:
            chosen[name] = one["ParameterValue"]
    missing = [name for name, rule in declared.items() if name not in chosen and "Default" not in rule]
    if missing:
        raise validation_error(f"Parameters: [{', '.join(missing)}] must have values")
    values = {name: chosen.get(name, to_text(rule.get("Default", ""))) for name, rule in declared.items()}
    for name, value in values.items():
        _check(name, value, declared[name])
    return values


def _check(name: str, value: str, rule: Mapping[str, Any]) -> None:
    kind = rule.get("Type", "String")
    if kind not in _TYPES:
        raise validation_error(f"Template format error: Unrecognized parameter type: {kind}")
    if kind == "Number" and not re.fullmatch(r"-?\d+(\.\d+)?", value):
        raise validation_error(f"Parameter '{name}' must be a number.")
    told = None
    if "AllowedPattern" in rule and not re.fullmatch(rule["AllowedPattern"], value):
        told = f"Parameter '{name}' must match pattern {rule['AllowedPattern']}"
    if "AllowedValues" in rule and value not in [to_text(one) for one in rule["AllowedValues"]]:
        allowed = ", ".join(to_text(one) for one in rule["AllowedValues"])
        told = f"Parameter '{name}' must be one of AllowedValues: [{allowed}]"
    if len(value) < int(rule.get("MinLength", 0)):
        told = f"Parameter '{name}' must contain at least {rule['MinLength']} characters"
    if "MaxLength" in rule and len(value) > int(rule["MaxLength"]):
        told = f"Parameter '{name}' must contain at most {rule['MaxLength']} characters"
    if told and "ConstraintDescription" in rule:
        told = f"Parameter {name} failed to satisfy constraint: {rule['ConstraintDescription']}"
    if told:
        raise validation_error(told)


def split_list_parameters(template: Template, values: Mapping[str, str]) -> dict[str, Any]:
    """Return the values as intrinsic functions receive them. The value of a list parameter is a list."""
    declared = template.section("Parameters")
    lists = {name for name, rule in declared.items() if rule.get("Type") == "CommaDelimitedList"}
    return {
        name: [one.strip() for one in value.split(",")] if name in lists else value for name, value in values.items()
    }


def render_parameters(template: Template, values: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the values as DescribeStacks shows them. The values of NoEcho parameters are hidden."""
    hidden = {
        name for name, rule in template.section("Parameters").items() if str(rule.get("NoEcho")).lower() == "true"
    }
    return [
        {"ParameterKey": name, "ParameterValue": "****" if name in hidden else value} for name, value in values.items()
    ]


def describe_parameters(template: Template) -> list[dict[str, Any]]:
    """Return the parameters as GetTemplateSummary and ValidateTemplate describe them."""
    return [
        {
            "ParameterKey": name,
            "ParameterType": rule.get("Type", "String"),
            "NoEcho": str(rule.get("NoEcho")).lower() == "true",
            **({"DefaultValue": to_text(rule["Default"])} if "Default" in rule else {}),
            **({"Description": rule["Description"]} if "Description" in rule else {}),
        }
        for name, rule in template.section("Parameters").items()
    ]
