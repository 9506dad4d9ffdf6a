"""Writes CloudFormation templates in the usual YAML style, with short-form functions and folded long strings."""

from collections.abc import Callable
from typing import Any

import yaml


class Ref(str):
    """`!Ref name`."""

    __slots__ = ()


class Sub(str):
    """`!Sub text`."""

    __slots__ = ()


class GetAtt(str):
    """`!GetAtt resource.attribute`."""

    __slots__ = ()


class IntrinsicFunction(list[Any]):
    """A function with a list of arguments, such as `!Select [4, …]`."""

    def __init__(self, name: str, *arguments: Any, inline: bool = True) -> None:
        super().__init__(arguments)
        self.name = name
        self.inline = inline


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        """Write repeated values in full, because CloudFormation's console editor does not accept YAML aliases."""
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's API
        """Indent the items of a list under their key."""
        return super().increase_indent(flow, False)

    def choose_scalar_style(self) -> str:
        """Write `!Ref Name` instead of `!Ref 'Name'`, although PyYAML quotes every tagged value by default."""
        style = str(super().choose_scalar_style())
        facts: Any = self.analysis
        event: Any = self.event
        plain = facts.allow_flow_plain if self.flow_level else facts.allow_block_plain
        return "" if plain and style == "'" and str(event.tag).startswith("!") else style


def _text(tag: str) -> Callable[[_Dumper, str], yaml.Node]:
    return lambda dumper, value: dumper.represent_scalar(tag, str(value))


def _function(dumper: _Dumper, value: IntrinsicFunction) -> yaml.Node:
    return dumper.represent_sequence(f"!{value.name}", list(value), flow_style=value.inline)


_Dumper.add_representer(Ref, _text("!Ref"))
_Dumper.add_representer(Sub, _text("!Sub"))
_Dumper.add_representer(GetAtt, _text("!GetAtt"))
_Dumper.add_representer(IntrinsicFunction, _function)


def dump_template(content: dict[str, Any], heading: str) -> str:
    """Return a template's text.

    Args:
        content: The template's sections, in order.
        heading: The comment at the top.
    """
    comment = "".join(f"# {line}".rstrip() + "\n" for line in heading.splitlines())
    sections = (
        yaml.dump({name: section}, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True)
        for name, section in content.items()
    )
    return comment + "\n".join(sections)
