"""Which step of the alternation is due, read off what was tried: the schedule and its stop rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evolver.agents import rewards
from evolver.agents.document import Document
from evolver.agents.space import applied, composition, own
from evolver.config import RewardConfig
from evolver.core import Entry

START, REFINE, RECOMPOSE = "start", "refine", "recompose"
PATIENCE = {REFINE: 3, RECOMPOSE: 6}
"""So many trials of a step in a row without a gain, and it is saturated."""
MOST = {REFINE: 8, RECOMPOSE: 16}
"""So many trials of a step at most, gains or not: the others wait."""
GAIN = 0.001
"""Relative to the best so far; less is no gain."""
_NAME = re.compile(r"round ([0-9]+)\.([0-9]+): ")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a round, both from 0; `agent` is "" for recomposing."""

    round: int
    place: int
    kind: str
    agent: str = ""

    @property
    def name(self) -> str:
        """How a candidate says, as its `direction`, that it belongs here."""
        return f"round {self.round + 1}.{self.place + 1}: {self.kind} {self.agent}".rstrip()


class Rounds:
    """The steps of one search. Entries are those of the search, in order, the start among them."""

    def __init__(self, start: Document, config: RewardConfig) -> None:
        self._start = start
        self._config = config
        self._metric = rewards.metric_of(config)

    def due(self, entries: Sequence[Entry], *, refined: bool = False) -> Step | None:
        """The first step that is not saturated; None where a whole round brought no gain.

        `refined`: agents were refined before, so the first round begins with recomposing.
        """
        number = 0
        while True:
            steps = self._steps(number, entries, compose_first=refined and number == 0)
            for step in steps:
                if not self._saturated(entries, step):
                    return step
            if not self._gained(entries, number):
                return None
            number += 1

    def trials(self, entries: Sequence[Entry], step: Step) -> list[Entry]:
        """Those that say they belong to the step."""
        return [e for e in entries if e.candidate.direction == step.name]

    def base(self, entries: Sequence[Entry], step: Step) -> Entry | None:
        """What the step starts from: the best of what came before it, by the outer reward."""
        return self._best([e for e in entries if _place(e) < (step.round, step.place)])

    def worth(self, entry: Entry, step: Step) -> float | None:
        """What an entry is worth to a step: the outer reward, for an agent the layered one."""
        reward = entry.score(self._metric)
        if reward is None or step.kind == RECOMPOSE:
            return reward
        inner = entry.score(f"{rewards.INNER}{step.agent}") if _has(entry, step.agent) else None
        return rewards.layered(self._config, reward, inner)

    def _steps(self, number: int, entries: Sequence[Entry], *, compose_first: bool) -> list[Step]:
        """The agents that serve in the best pipeline before they are refined, and the graph."""
        first = int(compose_first and bool(composition(self._start)))
        leader = self._best([e for e in entries if _place(e) < (number, first)])
        document = applied(self._start, leader.candidate.values if leader else {})
        agents = [name for name in document.serving if own(document, name)]
        refine = [Step(number, first + place, REFINE, name) for place, name in enumerate(agents)]
        if first:
            return [Step(number, 0, RECOMPOSE), *refine]
        return [*refine, Step(number, len(refine), RECOMPOSE)] if composition(document) else refine

    def _saturated(self, entries: Sequence[Entry], step: Step) -> bool:
        trials = self.trials(entries, step)
        if len(trials) >= MOST[step.kind]:
            return True
        before = self.base(entries, step)
        top = None if before is None else self.worth(before, step)
        idle = 0
        for entry in trials:
            value = self.worth(entry, step)
            better = value is not None and _gain(value, top)
            idle, top = (0, value) if better else (idle + 1, top)
        return idle >= PATIENCE[step.kind]

    def _gained(self, entries: Sequence[Entry], number: int) -> bool:
        before = self._best([e for e in entries if _place(e) < (number, 0)])
        within = self._best([e for e in entries if _place(e)[0] == number])
        value = None if within is None else within.score(self._metric)
        return value is not None and _gain(
            value, None if before is None else before.score(self._metric)
        )

    def _best(self, entries: Sequence[Entry]) -> Entry | None:
        scored = [(value, -e.number, e) for e in entries
                  if (value := e.score(self._metric)) is not None]  # fmt: skip
        return max(scored, key=lambda found: found[:2])[2] if scored else None


def _place(entry: Entry) -> tuple[int, int]:
    """(round, place) of the step that an entry belongs to; the start comes before all."""
    found = _NAME.match(entry.candidate.direction)
    return (int(found[1]) - 1, int(found[2]) - 1) if found else (-1, 0)


def _gain(value: float, top: float | None) -> bool:
    return top is None or value > top + GAIN * abs(top)


def _has(entry: Entry, agent: str) -> bool:
    return f"{rewards.INNER}{agent}" in getattr(entry.evaluation, "metrics", {})
