"""YAML as pipelines are written in it. What is read may come from anybody, a language model too."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from evolver.errors import ConfigError


def load(text: str) -> Any:
    """What the text holds, as plain values. Raises `ConfigError` in one line for what is no YAML,
    and for what only means harm or a slip: aliases, which can grow without bound, and a name that
    is given twice, of which one would be lost."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {' '.join(str(error).split())}") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # a number or a date that is none; nested too deep
        raise ConfigError(f"not YAML: {type(error).__name__} {str(error)[:200]}".rstrip()) from None


class Inline(dict[str, Any]):
    """A mapping that is written on one line, however long."""


def dump(value: Any, *, width: int | None = None) -> str:
    """YAML with programs written line by line, so that two documents can be compared by eye. Equal
    values give equal text. width: of a line that may be broken; None: PyYAML's."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "aliases are not read; write it out", mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"{twice!r} is given twice", node.start_mark
            )
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    pass


def _lines(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _inline(dumper: yaml.SafeDumper, value: Inline) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)


_Dumper.add_representer(str, _lines)
_Dumper.add_representer(Inline, _inline)
