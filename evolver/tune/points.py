"""What makes a mapping a point of a typed space: which values must be there, and in which range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evolver.core import Parameter, Value


def is_active(parameter: Parameter, point: Mapping[str, Value]) -> bool:
    """Whether the parameter exists, given the values of all earlier ones that exist."""
    if parameter.when is None:
        return True
    name, values = parameter.when
    return name in point and point[name] in values


def canonical(parameter: Parameter, value: Value) -> Value:
    """The value as it is written into code: the choice as declared, whole numbers as int, others
    at four significant digits; numbers clipped to the declared range."""
    if parameter.kind == "choice":
        return next((c for c in parameter.choices if c == value), value)
    number = min(max(float(value), parameter.low), parameter.high)
    if parameter.kind == "int":
        return round(number)
    # Rounding must not step over a bound that has more digits than four.
    return min(max(float(f"{number:.4g}"), parameter.low), parameter.high)


def problem(parameters: Sequence[Parameter], point: Mapping[str, Value]) -> str | None:
    """What is wrong with the point, or None."""
    seen: dict[str, Value] = {}
    for parameter in parameters:
        if not is_active(parameter, seen):
            if parameter.name in point:
                name, values = parameter.when or ("", ())
                wanted = " or ".join(map(str, values))
                return f"{parameter.name} exists only when {name} is {wanted}"
            continue
        if parameter.name not in point:
            return f"{parameter.name} is missing"
        value = point[parameter.name]
        fault = out_of_range(parameter, value)
        if fault:
            return f"{parameter.name} is {value!r}; it must be {fault}"
        seen[parameter.name] = value
    unknown = sorted(point.keys() - {p.name for p in parameters})
    return f"no parameter is named {unknown[0]!r}" if unknown else None


def out_of_range(parameter: Parameter, value: Value) -> str | None:
    """What the value must be, if it is not."""
    if parameter.kind == "choice":
        ok = any(type(c) is type(value) and c == value for c in parameter.choices)
        return None if ok else "one of " + ", ".join(map(repr, parameter.choices))
    if isinstance(value, bool | str) or (parameter.kind == "int" and value != int(value)):
        return "a whole number" if parameter.kind == "int" else "a number"
    if not parameter.low <= value <= parameter.high:
        return f"between {parameter.low:g} and {parameter.high:g}"
    return None


def key(point: Mapping[str, Value]) -> tuple[tuple[str, str], ...]:
    """Equal for equal points, whatever the order of their names."""
    return tuple(sorted((name, repr(value)) for name, value in point.items()))
