"""Reads `TUNABLES = {...}` without running it, and checks values against it."""

from __future__ import annotations

import ast
import keyword
import math
from collections.abc import Mapping, Sequence
from typing import cast

from evolver.core import Parameter, Value
from evolver.evaluate.refusal import Refused, quote

_FIELDS = {
    "Int": ("low", "high", "default", "log"),
    "Float": ("low", "high", "default", "log"),
    "Choice": ("options", "default"),
}
_POSITIONAL = {"Int": 2, "Float": 2, "Choice": 1}
_REQUIRED = {"Int": ("low", "high", "default"), "Float": ("low", "high", "default")}
_TAKEN = frozenset({"get", "items", "keys", "values", "ablate"})  # what `Params` has itself
_LARGEST = 2**53  # beyond it a float, which is what tuners search in, skips whole numbers
_MOST = 64


def parse_tunables(node: ast.expr, contract_names: Mapping[str, str]) -> tuple[Parameter, ...]:
    """The declared parameters in order. `contract_names` maps a name in the file to what it is in
    `evolver.contract`. Raises Refused."""
    if not isinstance(node, ast.Dict):
        raise Refused('TUNABLES must be a literal {"name": Int(...), ...}', node)
    if len(node.keys) > _MOST:
        raise Refused(f"TUNABLES has {len(node.keys)} entries; {_MOST} is the most", node)
    parameters: dict[str, Parameter] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if not (isinstance(key, ast.Constant) and isinstance(key.value, str)):
            raise Refused("every key of TUNABLES must be a name in quotes", key or value)
        name = key.value
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise Refused(f"tunable {quote(name)} must be a plain Python name", key)
        if len(name) > 40:
            raise Refused(f"tunable {quote(name)} has too long a name", key)
        if name in _TAKEN:
            raise Refused(f"tunable {name!r} hides a method of Params; choose another name", key)
        if name in parameters:
            raise Refused(f"tunable {name!r} is declared twice", key)
        try:
            parameters[name] = _parameter(name, value, contract_names)
        except Refused as refusal:
            raise Refused(f"tunable {name!r}: {refusal}", value) from None
    return tuple(parameters.values())


def value_fault(parameter: Parameter, value: object) -> str | None:
    """Why a parameter cannot take this value, or None."""
    if parameter.kind == "choice":
        if not any(_same(value, option) for option in parameter.choices):
            options = ", ".join(map(quote, parameter.choices))
            return f"{quote(value)} is not one of {options}"
        return None
    whole = parameter.kind == "int"
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"{quote(value)} is not a {'whole ' if whole else ''}number"
    if not parameter.low <= cast(float, value) <= parameter.high:
        return f"{quote(value)} is outside {_range(parameter)}"
    return None


def _range(parameter: Parameter) -> str:
    if parameter.kind == "int":
        return f"{int(parameter.low)} to {int(parameter.high)}"
    return f"{parameter.low:g} to {parameter.high:g}"


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _parameter(name: str, node: ast.expr, contract_names: Mapping[str, str]) -> Parameter:
    kind, fields = _call(node, contract_names)
    default = cast(Value, fields["default"])
    if kind == "Choice":
        parameter = Parameter(
            name=name, kind="choice", choices=_options(fields["options"]), default=default
        )
    else:
        whole = kind == "Int"
        low, high = (_bound(fields[side], side, whole) for side in ("low", "high"))
        log = fields.get("log", False)
        if not isinstance(log, bool):
            raise Refused(f"log must be True or False, not {quote(log)}")
        if low > high:
            raise Refused(f"low {low:g} is above high {high:g}")
        if log and low <= 0:
            raise Refused(f"log=True needs a low above 0, not {low:g}")
        parameter = Parameter(
            name=name, kind="int" if whole else "float", low=low, high=high, log=log,
            default=default,
        )  # fmt: skip
    fault = value_fault(parameter, default)
    if fault is not None:
        raise Refused(f"default {fault}")
    return parameter


def _call(node: ast.expr, contract_names: Mapping[str, str]) -> tuple[str, dict[str, object]]:
    kind = ""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        kind = contract_names.get(node.func.id, "")
    if not isinstance(node, ast.Call) or kind not in _FIELDS:
        raise Refused("must be Int(...), Float(...) or Choice(...) from evolver.contract")
    names = _FIELDS[kind]
    if len(node.args) > _POSITIONAL[kind]:
        raise Refused(f"{kind} takes {_POSITIONAL[kind]} values by position, the rest by name")
    fields = {name: _literal(arg) for name, arg in zip(names, node.args, strict=False)}
    for given in node.keywords:
        if given.arg not in names:
            raise Refused(f"{kind} has no {quote(given.arg)}; it has {', '.join(names)}")
        if given.arg in fields:
            raise Refused(f"{given.arg} is given twice")
        fields[given.arg] = _literal(given.value)
    for name in _REQUIRED.get(kind, names):
        if name not in fields:
            raise Refused(f"{kind} needs {name}")
    return kind, fields


def _literal(node: ast.expr) -> object:
    """A number, string, True or False, a signed number, or a list or tuple of these."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _literal(node.operand)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(element) for element in node.elts]
    raise Refused("write the value itself: no names, no arithmetic, no calls")


def _bound(value: object, side: str, whole: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise Refused(f"{side} must be a {'whole ' if whole else ''}number, not {quote(value)}")
    number = cast(float, value)
    if not math.isfinite(number) or (whole and abs(number) > _LARGEST):
        raise Refused(f"{side} {quote(value)} is too large")
    return float(number)


def _options(value: object) -> tuple[Value, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        raise Refused("Choice needs a list of values")
    for number, option in enumerate(value):
        if not isinstance(option, int | float | str):
            raise Refused(f"option {quote(option)} must be one number, string, True or False")
        if isinstance(option, float) and not math.isfinite(option):
            raise Refused(f"option {quote(option)} is not finite")
        if any(_same(option, earlier) for earlier in value[:number]):
            raise Refused(f"option {quote(option)} is listed twice")
    return tuple(value)
