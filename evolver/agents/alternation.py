"""Evolves a pipeline by turns: refine each agent, then recompose the graph, until neither pays.

A round refines the agents that serve in the best pipeline so far, one after the other, each by the
layered reward with all else fixed; an agent is saturated when several trials in a row brought
nothing. Then the graph is recomposed by the outer reward with the agents fixed, until that is
saturated too: first by what single retrievers have taught (`evolver.agents.alone`), then by the
tuner. Where single retrievers were tuned, recall agents have been refined alone, and the first
round begins with recomposing. A round without a gain is the last one.

Everything follows from what is recorded: each candidate says which step it belongs to, so a killed
search goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evolver.agents import rewards
from evolver.agents.alone import best_alone, hopeless, moves, tuned, without
from evolver.agents.document import Document
from evolver.agents.rounds import RECOMPOSE, START, Rounds, Step
from evolver.agents.space import applied, composition, free, parameters
from evolver.config import RewardConfig
from evolver.core import Brief, Candidate, Entry, Observation, Parameter, Scored, Tuner, Value
from evolver.errors import NothingPays

PROPOSER = "alternation"
DRAWS = 8
"""So often a tuner is asked for a pipeline that was not tried before: points that differ in what
does not matter are the same pipeline."""
SEEDS_APART = 1_000_003


class Alternation:
    """`evolver.core.Proposer` of pipelines. A pure function of the brief.

    Raises NothingPays where a whole round brought nothing.
    """

    name = PROPOSER

    def __init__(self, start: Document, config: RewardConfig, tuner: Tuner) -> None:
        self._start = start
        self._source = start.text()
        self._default = {p.name: p.default for p in parameters(start) if p.default is not None}
        self._config = config
        self._metric = rewards.metric_of(config)
        self._rounds = Rounds(start, config)
        self._tuner = tuner

    def propose(self, brief: Brief) -> Candidate:
        """The start first, then the next trial of the step that is due."""
        if brief.number == brief.search_from:
            return self._candidate(self._default, START, "", None)
        entries = [e for e in brief.history if e.candidate.proposer == PROPOSER]
        alone = best_alone(self._start, brief.history, self._metric)
        step = self._rounds.due(entries, refined=bool(alone))
        if step is None:
            raise NothingPays(
                "a round of refining and recomposing brought no gain; the search is saturated"
            )
        base = self._rounds.base(entries, step)
        values = {**self._default, **(base.candidate.values if base else {})}
        if step.kind == RECOMPOSE:
            document = applied(self._start, values)
            values |= tuned(document, alone)
            move = self._move(brief, entries, document)
            if move is not None:
                return self._candidate({**values, **move}, step.kind, step.name, base)
        space = self._space(values, step, brief.history)
        observed = self._observed(entries, step, space)
        known = [applied(self._start, e.candidate.values).essence for e in entries]
        for draw in range(DRAWS):
            seed = brief.seed + brief.number + draw * SEEDS_APART
            suggested = self._tuner.suggest(space, observed, seed)
            if applied(self._start, {**values, **suggested}).essence not in known:
                break
        return self._candidate({**values, **suggested}, step.kind, step.name, base)

    def _move(
        self, brief: Brief, entries: Sequence[Entry], document: Document
    ) -> Mapping[str, Value] | None:
        """What single retrievers suggest that nobody has made.

        What is in flight cannot be seen, but which moves it made follows from the same rule and a
        part of the same history: number m was given away knowing what was recorded `lag` before it.
        """
        seen = max((entry.number for entry in brief.history), default=-1)
        lag, given = brief.number - seen, list[Mapping[str, Value]]()
        for number in range(max(seen, brief.search_from) + 1, brief.number + 1):
            past = [entry for entry in brief.history if entry.number <= number - lag]
            left = [
                move
                for move in moves(document, best_alone(self._start, past, self._metric))
                if move not in given and not any(_has_made(entry, move) for entry in entries)
            ]
            if number == brief.number:
                return left[0] if left else None
            given += left[:1]
        return None

    def _space(
        self, values: Mapping[str, Value], step: Step, history: Sequence[Entry]
    ) -> tuple[Parameter, ...]:
        """What the step may change, all else being as the values have it."""
        document = applied(self._start, values)
        if step.kind == RECOMPOSE:
            return without(composition(document), hopeless(document, history, self._metric))
        return free(document, step.agent)

    def _observed(
        self, entries: Sequence[Entry], step: Step, space: Sequence[Parameter]
    ) -> list[Observation]:
        """Recomposing learns from every trial so far, refining from those of its own step."""
        mine = entries if step.kind == RECOMPOSE else self._rounds.trials(entries, step)
        found = []
        for entry in mine:
            values = {**self._default, **entry.candidate.values}
            point: dict[str, Value] = {}
            for p in space:
                if p.when is None or point.get(p.when[0]) in p.when[1]:
                    point[p.name] = values.get(p.name, p.default)  # type: ignore[assignment]
            found.append(
                Observation(
                    point=point,
                    score=self._rounds.worth(entry, step),
                    objectives=self._objectives(entry, step),
                )
            )
        return found

    def _objectives(self, entry: Entry, step: Step) -> tuple[float, ...]:
        found = entry.evaluation
        if self._config.mode != "pareto" or step.kind != RECOMPOSE or not isinstance(found, Scored):
            return ()
        parts = {name: found.metrics[f"{rewards.PART}{name}"] for name in rewards.OBJECTIVES}
        return rewards.objectives(self._config, parts)

    def _candidate(
        self, values: Mapping[str, Value], kind: str, step: str, base: Entry | None
    ) -> Candidate:
        document = applied(self._start, values)
        return Candidate(
            source=self._source,
            values=dict(values),
            parents=() if base is None else (base.candidate.id,),
            name=document.outline,
            idea=step or "where the search starts",
            family="pipeline",
            proposer=PROPOSER,
            operator=kind,
            direction=step,
        )


def _has_made(entry: Entry, move: Mapping[str, Value]) -> bool:
    values = entry.candidate.values
    return all(values.get(name) == value for name, value in move.items())
