"""Converts a template's text to values, and values to text, as CloudFormation does.

CloudFormation reads YAML 1.1, in which `yes`, `no`, `on` and `off` are booleans too (AWS CLI, pull request 5257).
CloudFormation converts a boolean to `true` or `false`: in a recorded case, the unquoted tag value `YES` became `true`.
CloudFormation does not parse dates: `Version: 2012-10-17` stays text.
"""

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """A YAML 1.1 loader that accepts the short forms of functions and does not parse dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any = None
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


def parse_yaml(text: str) -> Any:
    """Parse a template, which is YAML or JSON.

    Raises:
        ValueError: The text is neither YAML nor JSON.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with the short forms
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def to_text(value: Any) -> str:
    """Return the text of a boolean, number or string, as CloudFormation uses it in comparisons and outputs."""
    return str(value).lower() if isinstance(value, bool) else str(value)
