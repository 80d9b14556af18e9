"""Mistakes in a space file, told with the line, the key and what is allowed there."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from evolver.errors import ConfigError
from evolver.tune.dimensions import (
    ChoiceDimension,
    NumberDimension,
    PermutationDimension,
    RepeatDimension,
    WiringDimension,
)
from evolver.tune.language import Constraint, LocatedError, Range, SpaceFile

KINDS: dict[str, type[BaseModel]] = {
    "choice": ChoiceDimension,
    "int": NumberDimension,
    "float": NumberDimension,
    "permutation": PermutationDimension,
    "repeat": RepeatDimension,
    "wiring": WiringDimension,
}


def read_space_file(path: Path) -> SpaceFile:
    """The checked file. Raises ConfigError with the line, the key and what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the search space {path}: {error}") from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        keys = ", ".join(SpaceFile.model_fields)
        raise ConfigError(f"{path}: a space file is a mapping with the keys {keys}")
    for first, second in _doubled(root):
        raise ConfigError(
            f"{path}:{second.start_mark.line + 1}: the key {second.value!r} is there already, "
            f"in line {first.start_mark.line + 1}"
        )
    try:
        return SpaceFile.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(_told(path, root, error)) from None


def _told(path: Path, root: yaml.Node, error: ValidationError) -> str:
    """The fault that says most, first in the order of the file, and how many more there are."""
    found: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for each in error.errors():
        found.setdefault(_place(root, each), []).append(each)
    by_line = sorted(found, key=lambda p: (_vague(found[p][0]["type"]), _line(root, p)))
    place, faults = by_line[0], found[by_line[0]]
    where = ".".join(str(part) for part in place) or "the file"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{path}:{_line(root, place)}: {where}: {_message(faults)}{more}"


def _vague(kind: str) -> int:
    """One mistake can make several faults: a misspelt key is also missing, and says more."""
    return {"extra_forbidden": 0, "missing": 2, "too_short": 2}.get(kind, 1)


def _message(faults: Sequence[ErrorDetails]) -> str:
    first = faults[0]
    kind = first["type"]
    if kind == "missing":
        return f"`{first['loc'][-1]}` is missing"
    if kind == "extra_forbidden":
        allowed = list(_model(first["loc"][:-1]).model_fields)
        near = difflib.get_close_matches(str(first["loc"][-1]), allowed, 1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        return f"there is no such key here; allowed: {', '.join(allowed)}{hint}"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        given = (first.get("ctx") or {}).get("tag")
        said = f"kind {given!r} is unknown" if given else "`kind` is missing"
        return f"{said}; it is one of {', '.join(KINDS)}"
    if kind in {"too_short", "too_long"}:
        ctx = first.get("ctx") or {}
        bound = ctx.get("min_length", ctx.get("max_length"))
        return f"it needs at {'least' if kind == 'too_short' else 'most'} {bound} entries"
    if len(faults) > 1:  # each type that a value may have complains
        return f"{first['input']!r} is not a word, a number, true or false, or a list of these"
    return first["msg"].removeprefix("Value error, ")


def _model(loc: Sequence[str | int]) -> type[BaseModel]:
    """Which part of the grammar the keys at this place belong to."""
    if loc and loc[0] == "constraints":
        return Range if "forbid" in loc else Constraint
    tags = [str(part) for part in loc if part in KINDS]
    return KINDS[tags[-1]] if tags else SpaceFile


def _place(root: yaml.Node, error: ErrorDetails) -> tuple[str | int, ...]:
    """The keys that lead to the fault, without pydantic's names of types."""
    raised = (error.get("ctx") or {}).get("error")
    loc = raised.place if isinstance(raised, LocatedError) else error["loc"]
    place: list[str | int] = []
    node: yaml.Node | None = root
    for part in loc:
        inner = _child(node, part)
        if inner is not None:
            place.append(part)
            node = inner[1]
    return tuple(place)


def _line(root: yaml.Node, place: Sequence[str | int]) -> int:
    """The line of the last key of the place."""
    mark, node = root.start_mark, root
    for part in place:
        found = _child(node, part)
        if found is not None:
            mark, node = found[0].start_mark, found[1]
    return int(mark.line) + 1


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The key and the value of one step into the file; None where there is no such step."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if str(key.value) == str(part):
                return key, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _doubled(node: yaml.Node) -> Iterator[tuple[Any, Any]]:
    """Pairs of equal keys in one mapping."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, Any] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield seen[key.value], key
                seen[key.value] = key
            yield from _doubled(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _doubled(value)
