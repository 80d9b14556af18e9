"""Which step of the alternation is due, read off what was tried: the schedule and its stop rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evolver.agents import rewards
from evolver.agents.alone import best_alone
from evolver.agents.document import Document
from evolver.agents.space import composition, own, pipeline_of
from evolver.config import RewardConfig
from evolver.core import Entry
from evolver.errors import NothingPays
from evolver.propose.baselines import is_baseline

START, REFINE, RECOMPOSE = "start", "refine", "recompose"


@dataclass(frozen=True, slots=True)
class Patience:
    """idle: so many trials of a step in a row without a gain, and it is saturated. most: so many
    trials of a step at most, gains or not: the others wait."""

    idle: int
    most: int


TUNED: Mapping[str, Patience] = {REFINE: Patience(3, 8), RECOMPOSE: Patience(6, 16)}
"""Where a tuner draws points."""
WRITTEN: Mapping[str, Patience] = {REFINE: Patience(2, 5), RECOMPOSE: Patience(4, 10)}
"""Where programs are written too: a trial is dearer, and there is more that waits for its turn."""
GAIN = 0.001
"""Relative to the best so far; less is no gain."""
_NAME = re.compile(r"round ([0-9]+)\.([0-9]+): (refine|recompose) ?([a-z0-9_]*)")


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


def step_of(direction: str) -> Step | None:
    """The step that the direction of a candidate names; None for the start's, which has none."""
    found = _NAME.fullmatch(direction)
    return found and Step(int(found[1]) - 1, int(found[2]) - 1, found[3], found[4])


def searched(history: Sequence[Entry]) -> list[Entry]:
    """What was proposed of pipelines, the start among them: all but the single retrievers that
    they are compared with."""
    return [entry for entry in history if not is_baseline(entry)]


class Rounds:
    """The steps of one search. Entries are those that were `searched`, in order.

    Where recall agents of the start came to a score alone, they have been refined, and the first
    round begins with recomposing.

    programs: whether programs are written too. An agent without tunables is then refined like any
    other, and a pool of one may be recomposed.
    """

    def __init__(self, start: Document, config: RewardConfig, *, programs: bool = False) -> None:
        self._start = start
        self._config = config
        self._metric = rewards.metric_of(config)
        self._programs = programs
        self._patience = WRITTEN if programs else TUNED

    def due(self, history: Sequence[Entry]) -> Step | None:
        """The first step that is not saturated; None where a whole round brought no gain."""
        entries, number = searched(history), 0
        refined = bool(best_alone(self._start, history, self._metric))
        while True:
            steps = self._steps(number, entries, compose_first=refined and number == 0)
            for step in steps:
                if not self._saturated(entries, step):
                    return step
            if not self._gained(entries, number):
                return None
            number += 1

    def next(self, history: Sequence[Entry]) -> Step:
        """The step that is due. Raises NothingPays where a whole round brought no gain."""
        step = self.due(history)
        if step is None:
            raise NothingPays(
                "a round of refining and recomposing brought no gain; the search is saturated"
            )
        return step

    def trials(self, entries: Sequence[Entry], step: Step) -> list[Entry]:
        """Those that say they belong to the step."""
        return [e for e in entries if e.candidate.direction == step.name]

    def base(self, entries: Sequence[Entry], step: Step) -> Entry | None:
        """What the step starts from: the best of what came before it, by the outer reward."""
        return self._best([e for e in entries if _place(e) < (step.round, step.place)])

    def leader(self, entries: Sequence[Entry], step: Step) -> Entry | None:
        """The best that there is to build on in the step: its base, or a trial of its own."""
        base = self.base(entries, step)
        found = [*([] if base is None else [base]), *self.trials(entries, step)]
        scored = [(value, -e.number, e) for e in found
                  if (value := self.worth(e, step)) is not None]  # fmt: skip
        return max(scored, key=lambda each: each[:2])[2] if scored else None

    def worth(self, entry: Entry, step: Step) -> float | None:
        """What an entry is worth to a step: the outer reward, for an agent the layered one."""
        reward = entry.score(self._metric)
        if reward is None or step.kind == RECOMPOSE:
            return reward
        inner = entry.score(f"{rewards.INNER}{step.agent}") if _has(entry, step.agent) else None
        return rewards.layered(self._config, reward, inner)

    def _steps(self, number: int, entries: Sequence[Entry], *, compose_first: bool) -> list[Step]:
        """The agents that serve in the best pipeline before they are refined, and the graph."""
        first = int(compose_first and (self._programs or bool(composition(self._start))))
        leader = self._best([e for e in entries if _place(e) < (number, first)])
        document = pipeline_of(leader.candidate) if leader else self._start
        agents = [n for n in document.serving if self._programs or own(document, n)]
        refine = [Step(number, first + place, REFINE, name) for place, name in enumerate(agents)]
        if first:
            return [Step(number, 0, RECOMPOSE), *refine]
        recomposed = self._programs or composition(document)
        return [*refine, Step(number, len(refine), RECOMPOSE)] if recomposed else refine

    def idle(self, entries: Sequence[Entry], step: Step) -> int:
        """How many trials of the step in a row, the latest among them, brought nothing."""
        before = self.base(entries, step)
        top = None if before is None else self.worth(before, step)
        idle = 0
        for entry in self.trials(entries, step):
            value = self.worth(entry, step)
            better = value is not None and _gain(value, top)
            idle, top = (0, value) if better else (idle + 1, top)
        return idle

    def ends_next(self, entries: Sequence[Entry], step: Step) -> bool:
        """Whether the step is over if its next trial brings nothing."""
        return self.idle(entries, step) + 1 >= self._patience[step.kind].idle

    def _saturated(self, entries: Sequence[Entry], step: Step) -> bool:
        if len(self.trials(entries, step)) >= self._patience[step.kind].most:
            return True
        return self.idle(entries, step) >= self._patience[step.kind].idle

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
    step = step_of(entry.candidate.direction)
    return (step.round, step.place) if step else (-1, 0)


def _gain(value: float, top: float | None) -> bool:
    return top is None or value > top + GAIN * abs(top)


def _has(entry: Entry, agent: str) -> bool:
    return f"{rewards.INNER}{agent}" in getattr(entry.evaluation, "metrics", {})
