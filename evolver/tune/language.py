"""The grammar of a space file, checked by pydantic; unknown keys are refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from evolver.core import Parameter, Value
from evolver.tune.dimensions import NAME, AnyDimension, Condition, Part, Scalar


class LocatedError(ValueError):
    """What is wrong, and the path of keys to where in the file it is."""

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place


class Range(Part):
    """Numbers above or below a bound, the bound itself not."""

    above: float | None = None
    below: float | None = None

    @model_validator(mode="after")
    def _sound(self) -> Range:
        if self.above is None and self.below is None:
            raise ValueError("give `above`, `below` or both")
        return self

    def holds(self, value: Value) -> bool:
        return (self.above is None or float(value) > self.above) and (
            self.below is None or float(value) < self.below
        )

    def __str__(self) -> str:
        bounds = [("above", self.above), ("below", self.below)]
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


class Constraint(Part):
    """What does not go together. Exactly one of `forbid` and `ascending`."""

    forbid: Annotated[Mapping[str, Scalar | tuple[Scalar, ...] | Range] | None, Field()] = None
    """Ruled out: all of these at once. For a choice, a value or a list of values; for a number,
    {above: 2} or {below: 2}."""
    ascending: Annotated[tuple[str, ...] | None, Field(min_length=2)] = None
    """Numbers that must not fall from one to the next; those that do not exist are left out."""
    why: str
    """The reason, for whoever reads that a point is ruled out."""

    @model_validator(mode="after")
    def _sound(self) -> Constraint:
        if (not self.forbid) == (not self.ascending):
            raise ValueError("give either `forbid` or `ascending`")
        return self

    def names(self) -> tuple[str, ...]:
        """The parameters that it is about."""
        return tuple(self.forbid or self.ascending or ())

    def broken_by(self, point: Mapping[str, Value]) -> bool:
        if self.forbid:
            return all(
                name in point and _matches(point[name], wanted)
                for name, wanted in self.forbid.items()
            )
        numbers = [float(point[name]) for name in self.names() if name in point]
        return numbers != sorted(numbers)

    def __str__(self) -> str:
        if self.forbid:
            parts = [
                f"{name} {'/'.join(map(str, v)) if isinstance(v, tuple) else v}"
                for name, v in self.forbid.items()
            ]
            return f"{' with '.join(parts)} is ruled out: {self.why}"
        return f"{', '.join(self.names())} must not fall: {self.why}"


def _matches(value: Value, wanted: Scalar | tuple[Scalar, ...] | Range) -> bool:
    if isinstance(wanted, Range):
        return wanted.holds(value)
    return value in wanted if isinstance(wanted, tuple) else value == wanted


class SpaceFile(Part):
    """One family of models and training schemes."""

    name: str
    """Lower-case letters, digits and _."""
    task: Literal["retrieval", "ranking", "reranking"] = "retrieval"
    """What its candidates are asked for."""
    title: str
    """A few words for lists."""
    family: str
    """Jinja2: the archive's name for the kind of model, such as "linear: {{ model }}"."""
    label: str
    """Jinja2: a short name of the candidate."""
    idea: str
    """Jinja2: one sentence on what the point embodies."""
    description: str
    """What is in the space, with the papers it comes from."""
    cost: Annotated[float, Field(gt=0)] = 1.0
    """What training a point costs beside points of other spaces; cheap spaces are opened first."""
    template: str
    """A Jinja2 file beside this one; it renders to a candidate file."""
    parameters: Annotated[Mapping[str, AnyDimension], Field(min_length=1)]
    """What is decided, in order. A choice becomes code, a number one of the file's TUNABLES."""
    constraints: tuple[Constraint, ...] = ()
    """What does not go together."""

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if not NAME.fullmatch(name):
            raise ValueError("a name is lower-case letters, digits and _, and starts with a letter")
        return name

    @field_validator("template")
    @classmethod
    def _beside(cls, template: str) -> str:
        if "/" in template or "\\" in template or not template.endswith(".j2"):
            raise ValueError("the template is the name of a .j2 file beside this one")
        return template

    @model_validator(mode="after")
    def _sound(self) -> SpaceFile:
        earlier: dict[str, Parameter] = {}
        for name, dimension in self.parameters.items():
            if not NAME.fullmatch(name):
                message = f"{name!r} is no name: lower-case letters, digits, _"
                raise LocatedError(message, "parameters", name)
            if condition := dimension.condition():
                _check_choice(earlier, condition, "`when`", ("parameters", name, "when"))
            for parameter in dimension.flat(name, condition):
                if parameter.name in earlier:
                    message = f"two parameters are named {parameter.name!r}"
                    raise LocatedError(message, "parameters", name)
                if parameter.when is not None:
                    place = ("parameters", name)
                    _check_choice(earlier, parameter.when, f"`when` of {parameter.name}", place)
                earlier[parameter.name] = parameter
        for row, constraint in enumerate(self.constraints):
            _check_constraint(earlier, constraint, row)
        return self

    def flat(self) -> tuple[Parameter, ...]:
        """Every parameter that is searched, each after the one its `when` names."""
        return tuple(
            parameter
            for name, dimension in self.parameters.items()
            for parameter in dimension.flat(name, dimension.condition())
        )

    def abouts(self) -> dict[str, str]:
        """What each of them changes, in words."""
        return {
            flat: about
            for name, dimension in self.parameters.items()
            for flat, about in dimension.abouts(name).items()
        }

    def assemble(self, point: Mapping[str, Value]) -> dict[str, Any]:
        """What the template sees beside the point's own values: orders, parts and their wiring."""
        seen: dict[str, Any] = {}
        for name, dimension in self.parameters.items():
            seen |= dimension.assembled(name, point)
        return seen


def _check_choice(
    earlier: Mapping[str, Parameter], condition: Condition, where: str, place: tuple[str | int, ...]
) -> None:
    name, values = condition
    target = earlier.get(name)
    if target is None or target.kind != "choice":
        known = ", ".join(n for n, p in earlier.items() if p.kind == "choice") or "there is none"
        raise LocatedError(
            f"{where} names {name!r}, which is no earlier choice; these are: {known}", *place
        )
    for value in values:
        if not any(type(c) is type(value) and c == value for c in target.choices):
            known = ", ".join(map(str, target.choices))
            message = f"{where} names {value!r}, which is no value of {name}; these are: {known}"
            raise LocatedError(message, *place)


def _check_constraint(earlier: Mapping[str, Parameter], constraint: Constraint, row: int) -> None:
    for name in constraint.names():
        place = ("constraints", row, "forbid" if constraint.forbid else "ascending", name)
        wanted = (constraint.forbid or {}).get(name)
        numeric = wanted is None or isinstance(wanted, Range)
        if numeric and (name not in earlier or earlier[name].kind == "choice"):
            known = ", ".join(n for n, p in earlier.items() if p.kind != "choice") or "none"
            raise LocatedError(f"it names {name!r}, which is no number; these are: {known}", *place)
        if wanted is not None and not isinstance(wanted, Range):
            values = wanted if isinstance(wanted, tuple) else (wanted,)
            _check_choice(earlier, (name, values), "it", place)


def schema_text() -> str:
    """The JSON schema of space files, as it lies beside the bundled ones for editors."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | SpaceFile.model_json_schema(), indent=2) + "\n"
