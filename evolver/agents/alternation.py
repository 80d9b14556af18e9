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
from evolver.agents.document import Document, parse
from evolver.agents.identity import essence
from evolver.agents.rounds import RECOMPOSE, START, Rounds, Step, searched
from evolver.agents.space import applied, composition, free, parameters, pipeline_of
from evolver.config import RewardConfig
from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Observation,
    Parameter,
    Proposer,
    Scored,
    Tuner,
    Unusable,
    Value,
)
from evolver.propose.programs import fitting

PROPOSER = "alternation"
DRAWS = 8
"""So often a tuner is asked for a pipeline that was not tried before: points that differ in what
does not matter are the same pipeline."""
SEEDS_APART = 1_000_003


def first(start: Document) -> Candidate:
    """The pipeline that a search begins with, as its first candidate."""
    return Candidate(
        source=start.text(),
        values=_defaults(start),
        name=start.outline,
        idea="where the search starts",
        family="pipeline",
        proposer=PROPOSER,
        operator=START,
    )


class FromStart:
    """The start of a search for pipelines, and after it whatever `then` proposes."""

    def __init__(self, start: Document, then: Proposer) -> None:
        self.name = then.name
        self._start = first(start)
        self._then = then

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """Raises what `then` raises."""
        return self._start if brief.number == brief.search_from else self._then.propose(brief)

    def close(self) -> None:
        """End every wait for an answer."""
        close = getattr(self._then, "close", None)
        if close is not None:
            close()


class Alternation:
    """`evolver.core.Proposer` of pipelines. A pure function of the brief.

    A step goes on from the best pipeline before it, whoever wrote that, and while an agent is
    refined from the best version of it. programs: as `Rounds` takes it, where others write
    programs in the same search. Raises NothingPays where a whole round brought nothing.
    """

    name = PROPOSER

    def __init__(
        self, start: Document, config: RewardConfig, tuner: Tuner, *, programs: bool = False
    ) -> None:
        self._start = first(start)
        self._config = config
        self._metric = rewards.metric_of(config)
        self._programs = programs
        self._rounds = Rounds(start, config, programs=programs)
        self._tuner = tuner

    def can(self, brief: Brief) -> bool:
        """Whether the step that is due has anything to choose."""
        entries = searched(brief.history)
        step = self._rounds.due(brief.history)
        if step is None:
            return True  # to say that it is over
        document = pipeline_of(self._base(entries, step))
        return bool(_space(document, step))

    def propose(self, brief: Brief) -> Candidate:
        """The start first, then the next trial of the step that is due."""
        if brief.number == brief.search_from:
            return self._start
        entries = searched(brief.history)
        step = self._rounds.next(brief.history)
        base = self._base(entries, step)
        document, values = parse(base.source), _settings(base)
        made = applied(document, values)
        space = _space(made, step)
        if step.kind == RECOMPOSE:
            values |= tuned(made, best_alone(document, brief.history, self._metric))
            move = self._move(brief, entries, made)
            if move is not None:
                return _child(base, {**values, **move}, step)
            space = without(space, hopeless(made, brief.history, self._metric))
        observed = self._observed(entries, step, space, document)
        known = {essence(pipeline_of(e.candidate)) for e in entries if e.candidate.source}
        for draw in range(DRAWS):
            seed = brief.seed + brief.number + draw * SEEDS_APART
            suggested = self._tuner.suggest(space, observed, seed)
            if essence(applied(document, {**values, **suggested})) not in known:
                break
        return _child(base, {**values, **suggested}, step)

    def _move(
        self, brief: Brief, entries: Sequence[Entry], document: Document
    ) -> Mapping[str, Value] | None:
        """What single retrievers suggest that nobody has made.

        What is in flight cannot be seen, but which moves it made follows from the same rule and a
        part of the same history: number m was given away knowing what was recorded `lag` before it.
        """
        seen = max((entry.number for entry in brief.history), default=-1)
        lag, given = brief.number - seen, list[Mapping[str, Value]]()
        tried = [_settings(entry.candidate) for entry in entries if entry.candidate.source]
        for number in range(max(seen, brief.search_from) + 1, brief.number + 1):
            past = [entry for entry in brief.history if entry.number <= number - lag]
            left = [
                move
                for move in moves(document, best_alone(document, past, self._metric))
                if move not in given and not any(move.items() <= each.items() for each in tried)
            ]
            if number == brief.number:
                return left[0] if left else None
            given += left[:1]
        return None

    def _base(self, entries: Sequence[Entry], step: Step) -> Candidate:
        """What the step goes on from: the start where nothing is judged yet."""
        leads = self._programs and step.kind != RECOMPOSE
        found = (self._rounds.leader if leads else self._rounds.base)(entries, step)
        return self._start if found is None else found.candidate

    def _observed(
        self,
        entries: Sequence[Entry],
        step: Step,
        space: Sequence[Parameter],
        document: Document,
    ) -> list[Observation]:
        """Recomposing learns from every trial so far that lies in the space, refining from those of
        its own step with the same program."""
        mine = entries if step.kind == RECOMPOSE else self._rounds.trials(entries, step)
        found = []
        for entry in mine:
            if not entry.candidate.source or not _alike(entry.candidate, document, step):
                continue
            point = _point(_settings(entry.candidate), space)
            if point is not None:
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


def _space(document: Document, step: Step) -> tuple[Parameter, ...]:
    """What the step may change, all else being as the document has it."""
    return composition(document) if step.kind == RECOMPOSE else free(document, step.agent)


def _defaults(document: Document) -> dict[str, Value]:
    return {p.name: p.default for p in parameters(document) if p.default is not None}


def _settings(candidate: Candidate) -> dict[str, Value]:
    """The value of every parameter of a candidate's document: the candidate's, else the
    document's own."""
    return {**_defaults(parse(candidate.source)), **candidate.values}


def _alike(candidate: Candidate, document: Document, step: Step) -> bool:
    """Whether the space of the step means the same in a candidate's document."""
    if step.kind == RECOMPOSE:
        return True
    agent = parse(candidate.source).agents.get(step.agent)
    return agent is not None and agent.source == document.agents[step.agent].source


def _point(values: Mapping[str, Value], space: Sequence[Parameter]) -> dict[str, Value] | None:
    """Where these values lie in a space; None where they do not."""
    given, point = fitting(values, space), dict[str, Value]()
    for p in space:
        if p.when is None or point.get(p.when[0]) in p.when[1]:
            if p.name not in given:
                return None
            point[p.name] = given[p.name]
    return point


def _said(values: Mapping[str, Value], before: Mapping[str, Value]) -> str:
    """What was chosen otherwise than before, in a line."""
    changed = (f"{n} {_short(v)}" for n, v in values.items() if before.get(n) != v)
    return ", ".join(changed)


def _short(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _child(base: Candidate, values: Mapping[str, Value], step: Step) -> Candidate:
    return Candidate(
        source=base.source,
        values=dict(values),
        parents=(base.id,),
        name=applied(parse(base.source), values).outline,
        idea=_said(values, _settings(base)) or step.name,
        family="pipeline",
        proposer=PROPOSER,
        operator=step.kind,
        direction=step.name,
    )
