"""The grammar of a space file, checked by pydantic; unknown keys are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)

from evolver.core import Parameter, Value

Scalar = StrictBool | StrictInt | StrictFloat | StrictStr
NAME = re.compile(r"[a-z][a-z0-9_]*")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Dimension(_Part):
    about: str = ""
    """What it changes, for people and for language models."""
    when: Mapping[str, Scalar | tuple[Scalar, ...]] | None = None
    """One earlier choice and the value or values of it for which this one exists."""

    @field_validator("when")
    @classmethod
    def _one(cls, when: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if when is not None and len(when) != 1:
            raise ValueError("`when` names exactly one earlier choice")
        return when

    def condition(self) -> tuple[str, tuple[Value, ...]] | None:
        if self.when is None:
            return None
        ((name, values),) = self.when.items()
        return name, values if isinstance(values, tuple) else (values,)


class ChoiceDimension(_Dimension):
    """One of several ways; the template branches on it."""

    kind: Literal["choice"]
    choices: Annotated[tuple[Scalar, ...], Field(min_length=2)]
    default: Scalar

    @model_validator(mode="after")
    def _sound(self) -> ChoiceDimension:
        if len({str(choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("two choices are written alike")
        if self.default not in self.choices:
            raise ValueError(f"default {self.default!r} is not among the choices")
        return self

    def parameter(self, name: str) -> Parameter:
        return Parameter(
            name=name,
            kind="choice",
            choices=self.choices,
            default=self.default,
            when=self.condition(),
        )


class NumberDimension(_Dimension):
    """A number; it becomes one of the file's TUNABLES. `log` searches magnitudes."""

    kind: Literal["int", "float"]
    low: float
    high: float
    default: float
    log: bool = False

    @model_validator(mode="after")
    def _sound(self) -> NumberDimension:
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be below high {self.high:g}")
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default:g} is outside {self.low:g} to {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError("a log scale needs low above 0")
        whole = (self.low, self.high, self.default)
        if self.kind == "int" and any(value != int(value) for value in whole):
            raise ValueError("low, high and default of an int must be whole")
        return self

    def parameter(self, name: str) -> Parameter:
        whole = self.kind == "int"
        return Parameter(
            name=name,
            kind=self.kind,
            low=self.low,
            high=self.high,
            log=self.log,
            default=int(self.default) if whole else self.default,
            when=self.condition(),
        )


Dimension = Annotated[ChoiceDimension | NumberDimension, Field(discriminator="kind")]


class Constraint(_Part):
    """Values of choices that do not go together."""

    forbid: Annotated[Mapping[str, Scalar | tuple[Scalar, ...]], Field(min_length=1)]
    why: str

    def broken_by(self, point: Mapping[str, Value]) -> bool:
        return all(
            name in point and point[name] in (values if isinstance(values, tuple) else (values,))
            for name, values in self.forbid.items()
        )

    def __str__(self) -> str:
        parts = [
            f"{name} {'/'.join(map(str, v)) if isinstance(v, tuple) else v}"
            for name, v in self.forbid.items()
        ]
        return f"{' with '.join(parts)} is ruled out: {self.why}"


class SpaceFile(_Part):
    """One family of models and training schemes."""

    name: str
    title: str
    family: str
    """Jinja2: the archive's name for the kind of model, such as "linear: {{ model }}"."""
    label: str
    """Jinja2: a short name of the candidate."""
    idea: str
    """Jinja2: one sentence on what the point embodies."""
    description: str
    template: str
    """A Jinja2 file beside this one; it renders to a candidate file."""
    parameters: Annotated[Mapping[str, Dimension], Field(min_length=1)]
    constraints: tuple[Constraint, ...] = ()

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
        for parameter in self.flat():
            if not NAME.fullmatch(parameter.name):
                raise ValueError(f"{parameter.name!r} is no name: lower-case letters, digits, _")
            if parameter.when is not None:
                _check_reference(earlier, *parameter.when, f"`when` of {parameter.name}")
            earlier[parameter.name] = parameter
        for constraint in self.constraints:
            for name, values in constraint.forbid.items():
                listed = values if isinstance(values, tuple) else (values,)
                _check_reference(earlier, name, listed, "a constraint")
        return self

    def flat(self) -> tuple[Parameter, ...]:
        """Every dimension, in declared order."""
        return tuple(dim.parameter(name) for name, dim in self.parameters.items())

    def abouts(self) -> dict[str, str]:
        """What each dimension changes, in words."""
        return {name: dim.about for name, dim in self.parameters.items()}

    def assemble(self, point: Mapping[str, Value]) -> dict[str, Any]:
        """What the template sees beside the point's own values."""
        return {}


def _check_reference(
    earlier: Mapping[str, Parameter], name: str, values: tuple[Value, ...], where: str
) -> None:
    target = earlier.get(name)
    if target is None or target.kind != "choice":
        raise ValueError(f"{where} names {name!r}, which is no earlier choice")
    for value in values:
        if value not in target.choices:
            raise ValueError(f"{where} names {value!r}, which is no value of {name}")
