"""Tuning a given candidate file: reads what it declares, asks a tuner, sets the values.

Nothing is executed: TUNABLES must be a literal dictionary of `Int`, `Float` and `Choice` calls.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import replace

from evolver.core import Candidate, Entry, Observation, Parameter, Tuner, Value
from evolver.errors import ConfigError
from evolver.syntax import parse
from evolver.tune.points import key


def read_tunables(source: str) -> tuple[Parameter, ...]:
    """The tunables that a candidate file declares, in order; empty where it declares none.

    Raises ConfigError where the file is not Python or TUNABLES is not a literal declaration.
    """
    for node in _parse(source).body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        if isinstance(target, ast.Name) and target.id == "TUNABLES":
            if not isinstance(node.value, ast.Dict):
                raise ConfigError("TUNABLES must be a dictionary written out in the file")
            pairs = zip(node.value.keys, node.value.values, strict=True)
            return tuple(_parameter(name, call) for name, call in pairs)
    return ()


def docstring(source: str) -> str:
    """The file's docstring, or nothing. Raises ConfigError where the file is not Python."""
    return ast.get_docstring(_parse(source)) or ""


def _parse(source: str) -> ast.Module:
    try:
        return parse(source)
    except (SyntaxError, ValueError) as error:
        raise ConfigError(f"the candidate is not Python: {error}") from None


def _parameter(name: ast.expr | None, call: ast.expr) -> Parameter:
    try:
        label = ast.literal_eval(name) if name is not None else None
        if not isinstance(call, ast.Call) or not isinstance(label, str):
            raise ConfigError(f"TUNABLES[{label!r}] must be Int(...), Float(...) or Choice(...)")
        kind = getattr(call.func, "attr", getattr(call.func, "id", ""))
        args = [ast.literal_eval(arg) for arg in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except ValueError:
        raise ConfigError(f"TUNABLES[{label!r}] must be written with literal values") from None
    if kind == "Choice":
        options = named.get("options", args[0] if args else ())
        return Parameter(
            name=label, kind="choice", choices=tuple(options), default=named.get("default")
        )
    if kind not in {"Int", "Float"}:
        raise ConfigError(f"TUNABLES[{label!r}] must be Int(...), Float(...) or Choice(...)")
    bounds = dict(zip(("low", "high"), args, strict=False)) | named
    if not {"low", "high", "default"} <= bounds.keys():
        raise ConfigError(f"TUNABLES[{label!r}] needs low, high and default")
    return Parameter(
        name=label,
        kind="int" if kind == "Int" else "float",
        low=bounds["low"],
        high=bounds["high"],
        log=bool(bounds.get("log", False)),
        default=bounds["default"],
    )


def observations(
    history: Sequence[Entry], candidate: Candidate, parameters: Sequence[Parameter], metric: str
) -> list[Observation]:
    """What has been tried of this candidate's source, whoever proposed it, oldest first."""
    names = [p.name for p in parameters]
    defaults = {p.name: p.default for p in parameters if p.default is not None}
    found = []
    for entry in sorted(history, key=lambda e: e.number):
        if entry.candidate.source == candidate.source:
            values = defaults | dict(entry.candidate.values)
            point = {name: values[name] for name in names if name in values}
            found.append(
                Observation(point=point, score=entry.score(metric), partial=entry.partial(metric))
            )
    return found


def tune_candidate(
    candidate: Candidate,
    parameters: Sequence[Parameter],
    history: Sequence[Entry],
    tuner: Tuner,
    *,
    seed: int,
    metric: str,
) -> Candidate:
    """The candidate with the values to try next: the declared defaults first, then the tuner's.

    A pure function of its arguments. Observed are the entries of the history with this source.
    """
    defaults: dict[str, Value] = {p.name: p.default for p in parameters if p.default is not None}
    observed = observations(history, candidate, parameters, metric)
    tried = {key(observation.point) for observation in observed}
    if not parameters or key(defaults) not in tried:
        return replace(candidate, values={})
    values = tuner.suggest(parameters, observed, seed)
    return replace(candidate, values=values, operator="tune", proposer=tuner.name)
