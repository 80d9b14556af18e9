"""What a parameter of a space file may be. Each kind becomes one or more flat parameters, so that
every searcher handles it, and is handed to the template in the form that code is written from."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from types import SimpleNamespace
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
Condition = tuple[str, tuple[Value, ...]]
NAME = re.compile(r"[a-z][a-z0-9_]*")
MOST_CHOICES = 64
_TAKEN = frozenset({"from", "inputs", "name", "number"})


class Part(BaseModel):
    """A piece of a space file: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Dimension(Part):
    """What every kind has."""

    about: str = ""
    """What it changes, for people and for language models."""
    when: Mapping[str, Scalar | tuple[Scalar, ...]] | None = None
    """One earlier choice and the value or values of it for which this parameter exists."""

    @field_validator("when")
    @classmethod
    def _one(cls, when: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if when is not None and len(when) != 1:
            raise ValueError("it names exactly one earlier choice, such as {model: ease}")
        return when

    def condition(self) -> Condition | None:
        if self.when is None:
            return None
        ((name, values),) = self.when.items()
        return name, values if isinstance(values, tuple) else (values,)

    def flat(self, name: str, condition: Condition | None) -> tuple[Parameter, ...]:
        """The parameters that this one is searched as, each after those it depends on."""
        raise NotImplementedError

    def abouts(self, name: str) -> dict[str, str]:
        """What each of them changes, in words."""
        return {parameter.name: self.about for parameter in self.flat(name, None)}

    def assembled(self, name: str, point: Mapping[str, Value]) -> Mapping[str, Any]:
        """What the template sees beside the point's own values."""
        return {}


class ChoiceDimension(Dimension):
    """One of several ways; the template branches on it."""

    kind: Literal["choice"]
    choices: Annotated[tuple[Scalar, ...], Field(min_length=2, max_length=MOST_CHOICES)]
    """Words, numbers, true or false. Quote words that YAML reads otherwise: "no", "off"."""
    default: Scalar
    """The choice that is tried first."""

    @model_validator(mode="after")
    def _sound(self) -> ChoiceDimension:
        kinds = {type(choice) for choice in self.choices}
        if kinds >= {bool, str}:
            raise ValueError("words and true/false are mixed; YAML reads no, off, yes as such")
        if len({str(choice) for choice in self.choices}) < len(self.choices):
            raise ValueError("two choices are written alike")
        if not _among(self.default, self.choices):
            allowed = ", ".join(map(_written, self.choices))
            raise ValueError(f"default {_written(self.default)} is not among: {allowed}")
        return self

    def flat(self, name: str, condition: Condition | None) -> tuple[Parameter, ...]:
        return (
            Parameter(
                name=name,
                kind="choice",
                choices=self.choices,
                default=self.default,
                when=condition,
            ),
        )


class NumberDimension(Dimension):
    """A number; it becomes one of the file's TUNABLES."""

    kind: Literal["int", "float"]
    low: float
    """The smallest value, included."""
    high: float
    """The largest value, included."""
    default: float
    """The value that is tried first."""
    log: bool = False
    """Search magnitudes: 1 to 10 gets as much attention as 10 to 100."""

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

    def flat(self, name: str, condition: Condition | None) -> tuple[Parameter, ...]:
        whole = self.kind == "int"
        return (
            Parameter(
                name=name,
                kind=self.kind,
                low=self.low,
                high=self.high,
                log=self.log,
                default=int(self.default) if whole else self.default,
                when=condition,
            ),
        )


class PermutationDimension(Dimension):
    """An order of named things.

    Searched as one number for each thing but the first: how many of those listed before it come
    after it (an inversion table). All zero is the order as listed, and every table is an order.
    """

    kind: Literal["permutation"]
    of: Annotated[tuple[str, ...], Field(min_length=2, max_length=12)]
    """The names, in the order that is tried first."""

    @field_validator("of")
    @classmethod
    def _names(cls, of: tuple[str, ...]) -> tuple[str, ...]:
        _check_names(of)
        if len(set(of)) < len(of):
            raise ValueError("a name is listed twice")
        return of

    def flat(self, name: str, condition: Condition | None) -> tuple[Parameter, ...]:
        return tuple(
            Parameter(
                name=f"{name}_{thing}",
                kind="choice",
                choices=tuple(range(place + 1)),
                default=0,
                when=condition,
            )
            for place, thing in enumerate(self.of)
            if place > 0
        )

    def abouts(self, name: str) -> dict[str, str]:
        about = f"{self.about}: " if self.about else ""
        return {
            f"{name}_{thing}": f"{about}how many of {', '.join(self.of[:place])} follow {thing}"
            for place, thing in enumerate(self.of)
            if place > 0
        }

    def assembled(self, name: str, point: Mapping[str, Value]) -> Mapping[str, Any]:
        if f"{name}_{self.of[1]}" not in point:
            return {}
        order = [self.of[0]]
        for thing in self.of[1:]:
            order.insert(len(order) - int(point[f"{name}_{thing}"]), thing)
        return {name: order}


class _Parts(Dimension):
    """A number of like parts, each with parameters of its own."""

    low: Annotated[int, Field(ge=0)]
    """The least number of parts."""
    high: Annotated[int, Field(le=12)]
    """The largest number of parts."""
    default: int
    """The number of parts that is tried first."""
    part: str
    """What one part is called: `block` gives block1_width, block2_width and so on."""
    of: Mapping[str, ChoiceDimension | NumberDimension]
    """The parameters of each part. A `when` in here names an earlier one of the same part."""

    @model_validator(mode="after")
    def _sound(self) -> _Parts:
        if not self.low <= self.default <= self.high:
            raise ValueError(f"default {self.default} is outside {self.low} to {self.high}")
        if self.high < 1:
            raise ValueError("high must be 1 or more")
        _check_names((self.part, *self.of))
        earlier: set[str] = set()
        for name, inner in self.of.items():
            if name in _TAKEN:
                raise ValueError(f"a parameter of a part cannot be called {name!r}")
            if inner.when is not None and not inner.when.keys() <= earlier:
                siblings = ", ".join(sorted(earlier)) or "there is none"
                raise ValueError(f"`when` of {name} must name an earlier one of: {siblings}")
            earlier.add(name)
        return self

    def flat(self, name: str, condition: Condition | None) -> tuple[Parameter, ...]:
        counts = tuple(range(self.low, self.high + 1))
        found = [
            Parameter(
                name=name, kind="choice", choices=counts, default=self.default, when=condition
            )
        ]
        for number in range(1, self.high + 1):
            exists: Condition | None = (name, tuple(c for c in counts if c >= number))
            if number <= self.low:
                exists = condition
            found += self._part(number, exists)
        return tuple(found)

    def abouts(self, name: str) -> dict[str, str]:
        found = {name: self.about}
        for number in range(1, self.high + 1):
            found |= self._part_abouts(number)
        return found

    def assembled(self, name: str, point: Mapping[str, Value]) -> Mapping[str, Any]:
        if name not in point:
            return {}
        return {name: [self._seen(number, point) for number in range(1, int(point[name]) + 1)]}

    def _part(self, number: int, exists: Condition | None) -> list[Parameter]:
        """The parameters of one part."""
        found: list[Parameter] = []
        for name, inner in self.of.items():
            own = inner.condition()
            condition = exists if own is None else (f"{self.part}{number}_{own[0]}", own[1])
            found += inner.flat(f"{self.part}{number}_{name}", condition)
        return found

    def _part_abouts(self, number: int) -> dict[str, str]:
        return {f"{self.part}{number}_{name}": inner.about for name, inner in self.of.items()}

    def _seen(self, number: int, point: Mapping[str, Value]) -> SimpleNamespace:
        """A part as the template sees it: `name`, `number` and its own values."""
        label = f"{self.part}{number}"
        own = {key: point[f"{label}_{key}"] for key in self.of if f"{label}_{key}" in point}
        return SimpleNamespace(name=label, number=number, **own)


class RepeatDimension(_Parts):
    """Like parts one after the other, each with choices of its own: the layers of a network."""

    kind: Literal["repeat"]


class WiringDimension(_Parts):
    """Parts wired to each other in a directed acyclic graph.

    Each part reads what comes in, earlier parts, or several of these; one parameter a part says
    which. What no part reads is the output, so that every part counts and no two points are the
    same graph.
    """

    kind: Literal["wiring"]
    fan_in: Annotated[int, Field(ge=1, le=4)] = 2
    """The most sources that one part reads."""

    @model_validator(mode="after")
    def _bounded(self) -> WiringDimension:
        most = len(self._sources(self.high))
        if most > MOST_CHOICES:
            raise ValueError(
                f"part {self.high} could be wired in {most} ways, more than {MOST_CHOICES}; "
                "lower high or fan_in"
            )
        return self

    def assembled(self, name: str, point: Mapping[str, Value]) -> Mapping[str, Any]:
        """Beside the parts, `<name>_outputs`: the names of what no part reads."""
        parts: list[SimpleNamespace] = [*super().assembled(name, point).get(name, ())]
        if name not in point:
            return {}
        read = {source for part in parts for source in part.inputs}
        outputs = [part.name for part in parts if part.name not in read] or ["input"]
        return {name: parts, f"{name}_outputs": outputs}

    def _sources(self, number: int) -> tuple[str, ...]:
        """What part `number` can be wired to: sets of what is there before it."""
        there = ["input", *(f"{self.part}{earlier}" for earlier in range(1, number))]
        return tuple(
            "+".join(chosen)
            for size in range(1, self.fan_in + 1)
            for chosen in itertools.combinations(there, size)
        )

    def _part(self, number: int, exists: Condition | None) -> list[Parameter]:
        wired = []
        if number > 1:  # the first part has no choice
            wired = [
                Parameter(
                    name=f"{self.part}{number}_from",
                    kind="choice",
                    choices=self._sources(number),
                    default=f"{self.part}{number - 1}",
                    when=exists,
                )
            ]
        return wired + super()._part(number, exists)

    def _part_abouts(self, number: int) -> dict[str, str]:
        wired = {f"{self.part}{number}_from": "what it reads"} if number > 1 else {}
        return wired | super()._part_abouts(number)

    def _seen(self, number: int, point: Mapping[str, Value]) -> SimpleNamespace:
        seen = super()._seen(number, point)
        seen.inputs = str(point.get(f"{seen.name}_from", "input")).split("+")
        return seen


AnyDimension = Annotated[
    ChoiceDimension | NumberDimension | PermutationDimension | RepeatDimension | WiringDimension,
    Field(discriminator="kind"),
]


def _check_names(names: tuple[str, ...]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name: lower-case letters, digits, _")


def _among(value: Value, choices: tuple[Value, ...]) -> bool:
    return any(type(c) is type(value) and c == value for c in choices)


def _written(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
