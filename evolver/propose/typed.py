"""Proposes points of typed spaces: a bandit shares the trials out, a tuner searches each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from evolver.core import Brief, Candidate, Entry, Observation, Parameter, Scored, Tuner, Value
from evolver.errors import ProposerError

HOPE = 0.5
"""What a space may hold beyond its best, in parts of the best score's lead over the median."""


class TypedSpace(Protocol):
    """What a proposer needs of a search space; `evolver.tune.space.Space` is one."""

    @property
    def name(self) -> str: ...

    @property
    def cost(self) -> float: ...

    @property
    def parameters(self) -> Sequence[Parameter]: ...

    @property
    def rules(self) -> Sequence[Any]: ...

    def default(self) -> Mapping[str, Value]: ...

    def repair(self, point: Mapping[str, Value]) -> Mapping[str, Value]: ...

    def compile(self, point: Mapping[str, Value]) -> Candidate: ...


@runtime_checkable
class Lawful(Protocol):
    """A tuner that can keep to a space's rules by itself; what others suggest is mended."""

    def within(self, rules: Sequence[Any]) -> Tuner: ...


@dataclass(frozen=True, slots=True)
class _Arm:
    space: TypedSpace
    entries: tuple[Entry, ...]
    """What was tried in it, oldest first."""

    def tried(self, point: Mapping[str, Value]) -> bool:
        return any(e.candidate.point == point for e in self.entries)


class TypedProposer:
    """Every space's default point first, cheap spaces before dear ones, then more of what has
    worked.

    At most half of the trials go to defaults, so that a small budget is not spent on looking
    around. After that, the space is the one with the highest of the draws "its best score, plus a
    normal error that shrinks with the trials made in it": what counts is the best candidate, not
    the mean one. Where in the space is up to the tuner, which learns from all that the history
    holds of that space, whoever proposed it. A pure function of the brief, so it resumes by itself
    and is safe in threads.

    `trade` names costs ("latency", "parameters") for a tuner that searches a Pareto front.
    """

    def __init__(
        self,
        spaces: Sequence[TypedSpace],
        tuner: Tuner,
        metric: str,
        trade: Sequence[str] = (),
    ) -> None:
        if not spaces:
            raise ProposerError("typed search needs at least one search space")
        self.name = tuner.name
        self._spaces = tuple(sorted(spaces, key=lambda space: (space.cost, space.name)))
        self._tuner = tuner
        self._metric = metric
        self._trade = tuple(trade)

    def propose(self, brief: Brief) -> Candidate:
        """The next point to try, compiled. `parents` is the best entry of its space, if any."""
        arms = [self._arm(space, brief.history) for space in self._spaces]
        rng = np.random.default_rng([brief.seed, brief.number])
        due = self._due(arms, brief)
        arm = due or self._draw(arms, rng)
        candidate = arm.space.compile(arm.space.default()) if due else self._suggested(arm, rng)
        return self._with_parent(arm, candidate)

    def _arm(self, space: TypedSpace, history: Sequence[Entry]) -> _Arm:
        mine = [e for e in history if e.candidate.space == space.name and e.candidate.point]
        return _Arm(space, tuple(sorted(mine, key=lambda e: e.number)))

    def _due(self, arms: Sequence[_Arm], brief: Brief) -> _Arm | None:
        """The space whose default is to be tried now, if one is.

        What was proposed since the last recorded entry cannot be seen yet, but its number can: the
        proposals in flight take the untried defaults in order, so that none is made twice.
        """
        untried = [arm for arm in arms if not arm.tried(arm.space.default())]
        seen = max((entry.number for entry in brief.history), default=-1)
        in_flight = brief.number - max(seen + 1, brief.search_from)
        trials = sum(len(arm.entries) for arm in arms) + in_flight + brief.candidates_left
        opened = len(arms) - len(untried) + in_flight
        if in_flight < len(untried) and 2 * opened < max(trials, 2):
            return untried[in_flight]
        return None

    def _draw(self, arms: Sequence[_Arm], rng: np.random.Generator) -> _Arm:
        """The space that promises most, with luck drawn anew for each call."""
        arms = [arm for arm in arms if arm.entries] or arms
        each = [[e.score(self._metric) for e in arm.entries] for arm in arms]
        known = [s for own in each for s in own if s is not None]
        if not known:
            return arms[int(rng.integers(len(arms)))]
        hope = HOPE * (max(known) - float(np.median(known))) or HOPE * abs(max(known)) or HOPE
        draws = []
        for own in each:
            best = max((s for s in own if s is not None), default=min(known))
            draws.append(rng.normal(best, hope / max(len(own), 1) ** 0.5))
        return arms[int(np.argmax(draws))]

    def _suggested(self, arm: _Arm, rng: np.random.Generator) -> Candidate:
        """What the tuner suggests, made valid; tried again a few times if it is no news."""
        observed = [
            Observation(
                point=e.candidate.point or {},
                score=e.score(self._metric),
                partial=e.partial(self._metric),
                objectives=self._objectives(e),
            )
            for e in arm.entries
        ]
        tuner = self._tuner
        if isinstance(tuner, Lawful):
            tuner = tuner.within(arm.space.rules)
        point: Mapping[str, Value] = {}
        for _ in range(8):
            seed = int(rng.integers(2**31 - 1))
            point = arm.space.repair(tuner.suggest(arm.space.parameters, observed, seed))
            if not arm.tried(point):
                break
        return arm.space.compile(point)

    def _objectives(self, entry: Entry) -> tuple[float, ...]:
        """The metric and, negated, what is to stay low; none where there is nothing to trade."""
        found = entry.evaluation
        if not self._trade or not isinstance(found, Scored):
            return ()
        costs = {"latency": found.latency_ms_p50, "parameters": float(found.parameters)}
        return found.metrics[self._metric], *(-costs[name] for name in self._trade)

    def _with_parent(self, arm: _Arm, candidate: Candidate) -> Candidate:
        scored = [e for e in arm.entries if e.score(self._metric) is not None]
        best = max(scored, key=lambda e: (e.score(self._metric) or 0.0, -e.number), default=None)
        return replace(
            candidate,
            parents=(best.candidate.id,) if best else (),
            proposer=self.name,
            operator="search" if best else "draft",
        )
