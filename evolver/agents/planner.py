"""What to ask an author of pipelines for next: which step is due, on what to build, and how."""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping, Sequence

from evolver.agents.alternation import first
from evolver.agents.document import Document, Stage
from evolver.agents.editing import program_name
from evolver.agents.rounds import REFINE, START, Rounds, Step, searched
from evolver.agents.space import pipeline_of
from evolver.config import Feature, RewardConfig
from evolver.core import Brief, Entry, Failed
from evolver.propose.context import PENDING
from evolver.propose.operators import (
    DIRECTIONS,
    REPAIR_SHARE,
    Operator,
    Plan,
    allowed,
    best,
    repairable,
)

SHARES: Mapping[Operator, float] = {
    "edit": 0.55,
    "rewrite": 0.25,
    "crossover": 0.12,
    "simplify": 0.08,
}
COMPOSITIONS: Mapping[str, str] = {
    "recall": "who recalls: another kind of retriever beside or instead of one that adds little; "
    "quotas, and the order of turns",
    "merge": "how lists become one: in turns, by reciprocal rank fusion, or as learned",
    "ranking": "who ranks what was merged, or nobody, and how much of it (depth)",
    "re-ranking": "who re-ranks the head, or nobody, and how long the head is",
    "a new agent": "an agent with a program of your own that brings what none of the pool does",
    "fewer parts": "what can go without a loss",
}
"""What a recomposition may be about."""
_OF_LISTS = frozenset({"negatives", "augmentation"})
"""Directions that make no sense after recall."""
_BLAMED = re.compile(r"agent ([a-z][a-z0-9_]*): ")


class Planner:
    """`evolver.propose.prompted.Judgement.planned` of pipelines. A pure function of the brief.

    start: where the search begins, and what is built on until something is judged. Raises
    NothingPays where a whole round brought no gain.
    """

    def __init__(
        self, start: Document, config: RewardConfig, without: Collection[Feature] = ()
    ) -> None:
        self._start = first(start)
        self._rounds = Rounds(start, config, programs=True)
        self._without = without

    def __call__(self, brief: Brief) -> Plan:
        entries = searched(brief.history)
        step = self._rounds.next(brief.history)
        rng = random.Random(f"{brief.seed}/{brief.number}/operator")
        broken = [e for e in allowed(repairable(entries)) if e.candidate.direction == step.name]
        if broken and rng.random() < REPAIR_SHARE:
            return self._repair(rng.choice(broken), brief, step)
        parent = self._rounds.leader(allowed(entries), step) or self._first(brief)
        mate = None if "crossover" in self._without else _mate(brief, entries, parent, step)
        ends = self._rounds.ends_next(entries, step)
        operator = "new_direction" if ends else _drawn(parent, mate, step, rng)
        return Plan(
            operator=operator,
            direction=step.name,
            parent=parent,
            mate=mate if operator == "crossover" else None,
            focus=step.agent,
            advice="" if "directions" in self._without else _advice(parent, step, rng),
            base=parent,
        )

    def _first(self, brief: Brief) -> Entry:
        """The start: as it is recorded, else as it is about to be."""
        found = (e for e in brief.history if e.candidate.operator == START)
        pending = Entry(number=brief.search_from, candidate=self._start, evaluation=PENDING)
        return next(found, pending)

    def _repair(self, broken: Entry, brief: Brief, step: Step) -> Plan:
        return Plan(
            operator="repair",
            direction=step.name,
            parent=broken,
            focus=step.agent or _blamed(broken),
            base=self._sound(broken, brief),
        )

    def _sound(self, broken: Entry, brief: Brief) -> Entry:
        """What a failed pipeline was made from, repairs of repairs left aside."""
        start = self._first(brief)
        known = {start.candidate.id: start} | {e.candidate.id: e for e in brief.history}
        found = broken
        while isinstance(found.evaluation, Failed) and found.candidate.parents:
            before = known.get(found.candidate.parents[0])
            if before is None:
                break
            found = before
        return found


def _blamed(broken: Entry) -> str:
    """The agent that a pipeline failed by, if it says so."""
    reason = broken.evaluation.reason if isinstance(broken.evaluation, Failed) else ""
    found = _BLAMED.match(reason)
    return found[1] if found else ""


def _mate(brief: Brief, entries: Sequence[Entry], parent: Entry, step: Step) -> Entry | None:
    """The best other pipeline; where an agent is refined, of those with another program of it."""
    found = [e for e in allowed(entries) if e.number != parent.number]
    if step.kind == REFINE:
        own = _program(parent, step.agent)
        found = [e for e in found if _program(e, step.agent) not in (None, own)]
    return best(found, brief.metric)


def _program(entry: Entry, agent: str) -> str | None:
    """The program of an agent; None where there is no such agent, or no pipeline."""
    if not entry.candidate.source:
        return None
    found = pipeline_of(entry.candidate).agents.get(agent)
    return None if found is None else found.source


def _drawn(parent: Entry, mate: Entry | None, step: Step, rng: random.Random) -> Operator:
    shares = dict(SHARES)
    document = pipeline_of(parent.candidate)
    if mate is None:
        del shares["crossover"]
    if step.kind == REFINE:
        plain = program_name(document, step.agent, parent.number).startswith("zoo/")
    else:
        plain = len(document.serving) < 2
    if plain:
        del shares["simplify"]  # nothing has been added that could be taken out again
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def _advice(parent: Entry, step: Step, rng: random.Random) -> str:
    offered: Mapping[str, str] = COMPOSITIONS
    if step.kind == REFINE:
        stage: Stage = pipeline_of(parent.candidate).agents[step.agent].stage
        offered = {n: t for n, t in DIRECTIONS.items() if stage == "recall" or n not in _OF_LISTS}
    name = rng.choice(list(offered))
    return f"**{name}** ({offered[name]})"
