"""Trials by program: one program with different settings is one idea, tried several times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evolver.core import Entry, Observation, Parameter, Value
from evolver.propose.baselines import is_baseline

Parameters = Callable[[str], Sequence[Parameter] | None]
"""What a source declares, without running it; None where it cannot be read."""
Identify = Callable[[str], str]
"""Equal for sources that differ in the defaults of their tunables only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program and everything that was tried of it, oldest first."""

    identity: str
    trials: tuple[Entry, ...]

    @property
    def baseline(self) -> bool:
        """Whether it is a baseline, whoever else proposed it too."""
        return any(is_baseline(e) for e in self.trials)

    def first(self, metric: str) -> Entry | None:
        """The earliest scored trial: the idea as it was proposed."""
        return next((e for e in self.trials if e.score(metric) is not None), None)

    def best(self, metric: str) -> Entry | None:
        """The trial with the highest score, the earliest of equals."""
        scored = [e for e in self.trials if e.score(metric) is not None]
        return max(scored, key=lambda e: (e.score(metric), -e.number), default=None)


def programs(history: Sequence[Entry], identify: Identify, metric: str) -> list[Program]:
    """Every program that was tried, the best first; those without a score last, in their order."""
    trials: dict[str, list[Entry]] = {}
    for entry in sorted(history, key=lambda e: e.number):
        if entry.candidate.source:
            trials.setdefault(identify(entry.candidate.source), []).append(entry)
    found = [Program(identity=key, trials=tuple(each)) for key, each in trials.items()]

    def rank(program: Program) -> tuple[bool, float, int]:
        best = program.best(metric)
        score = None if best is None else best.score(metric)
        return score is None, -(score or 0.0), program.trials[0].number

    return sorted(found, key=rank)


def most_baseline_trials(found: Sequence[Program]) -> int:
    """How many trials the most tuned baseline had; 0 without baselines."""
    return max((len(p.trials) for p in found if p.baseline), default=0)


def settings(entry: Entry, parameters: Parameters) -> dict[str, Value]:
    """The value of every tunable of a trial: the given one, else its own file's default."""
    declared = parameters(entry.candidate.source) or ()
    defaults = {p.name: p.default for p in declared if p.default is not None}
    return defaults | dict(entry.candidate.values)


def observations(
    trials: Sequence[Entry], parameters: Parameters, space: Sequence[Parameter], metric: str
) -> list[Observation]:
    """What a tuner can learn from these trials of one program."""
    names = {p.name for p in space}
    return [
        Observation(
            point={n: v for n, v in settings(entry, parameters).items() if n in names},
            score=entry.score(metric),
            partial=entry.partial(metric),
        )
        for entry in trials
    ]


def fitting(values: Mapping[str, Value], space: Sequence[Parameter]) -> dict[str, Value]:
    """Those of the values that parameters of the same name may take."""
    found: dict[str, Value] = {}
    for p in space:
        value = values.get(p.name)
        if value is None:
            continue
        if p.kind == "choice":
            if any(type(value) is type(c) and value == c for c in p.choices):
                found[p.name] = value
        elif not isinstance(value, bool | str) and p.low <= value <= p.high:
            if p.kind == "float":
                found[p.name] = float(value)
            elif value == int(value):
                found[p.name] = int(value)
    return found
