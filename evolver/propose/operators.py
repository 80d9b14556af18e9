"""What kind of change to ask for next: a pure function of the brief.

Operators: draft (from nothing), edit (search/replace), rewrite (whole file), crossover (two
parents), repair (a failed candidate), simplify (take out what does not pay), new_direction (leave
what stagnates).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from evolver.core import Brief, Entry, Failed, Scored

Operator = Literal["draft", "edit", "rewrite", "crossover", "repair", "simplify", "new_direction"]

DIRECTIONS: Mapping[str, str] = {
    "architecture": "what the model computes: its form, its inputs, how scores arise",
    "loss": "what it is trained for: pairwise, softmax, weighted, closed form",
    "negatives": "which items stand for 'not taken', and how many",
    "features": "more of the given data: order, recency, times, values, side features",
    "augmentation": "more or better training pairs: windows, dropout of history, graph edges",
    "regularisation": "what keeps it from fitting noise, long tail against popular items",
    "schedule": "how it is trained: initialisation, optimiser, steps, stopping",
    "inference": "how scores are used: normalisation, blending, re-weighting by history",
    "ensembling": "two different models whose scores are put on one scale and added",
}

ANY = "any"
"""The direction of a request that leaves it to whoever answers."""

REPAIR_ATTEMPTS = 2
"""A failed candidate is repaired at most this often, its repairs that fail again included."""

REPAIR_SHARE = 0.6
STAGNATION = 8
"""After this many candidates of ours without a new best, the next one leaves the best's family."""

_SHARES: Mapping[Operator, float] = {
    "edit": 0.50,
    "rewrite": 0.18,
    "crossover": 0.12,
    "draft": 0.12,
    "simplify": 0.08,
}
_WARM_UP = 3
"""Until so many families are scored, and drafts more often until so many candidates of ours are, so
that the search starts from more than one idea. Baselines are ideas too."""
_EARLY_DRAFTS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One request: what to do, to whom, in which direction.

    focus: the part of the parent that alone is to change, where it has parts; "" for none. advice:
    what to think of first. base: what the answer has to agree with in all else; None: the parent.
    unseen: whether the focus is too long to be shown in full.
    """

    operator: Operator
    direction: str
    parent: Entry | None = None
    mate: Entry | None = None
    focus: str = ""
    advice: str = ""
    base: Entry | None = None
    unseen: bool = False

    @property
    def parents(self) -> tuple[str, ...]:
        return tuple(e.candidate.id for e in (self.parent, self.mate) if e is not None)


def ours(entry: Entry) -> bool:
    """Whether a language model (or whoever answers in its place) made this candidate."""
    return bool(entry.candidate.direction)


def best(history: Sequence[Entry], metric: str) -> Entry | None:
    """The scored entry with the highest metric; the earliest of equals."""
    scored = [e for e in history if e.score(metric) is not None]
    return max(scored, key=lambda e: (e.score(metric), -e.number), default=None)


def allowed(history: Sequence[Entry]) -> list[Entry]:
    """Without what reviewers banned or rejected: that is neither worked on nor an example."""
    return [e for e in history if e.standing != "barred"]


def plan(brief: Brief, direction: str | None = None, *, crossover: bool = True) -> Plan:
    """The next request, in `direction` or a random one; a repair keeps the direction it had.

    Equal briefs (but for what is left of time and money) give equal plans.
    """
    rng = random.Random(f"{brief.seed}/{brief.number}/operator")
    jump = stagnant(brief)
    any_direction = rng.choice(tuple(DIRECTIONS))
    chosen = direction or any_direction
    broken = allowed(repairable(brief.history))
    if broken and rng.random() < REPAIR_SHARE:
        entry = rng.choice(broken)
        return Plan(operator="repair", direction=entry.candidate.direction or chosen, parent=entry)
    parents = [e for e in brief.parents if isinstance(e.evaluation, Scored)]
    if not parents:
        leader = best(allowed(brief.history), brief.metric)
        parents = [leader] if leader is not None else []
    mine = sum(ours(e) for e in brief.history)
    families = {e.candidate.family for e in brief.history if isinstance(e.evaluation, Scored)}
    early = mine < _WARM_UP
    if not parents or (early and (len(families) < _WARM_UP or rng.random() < _EARLY_DRAFTS)):
        return Plan(operator="draft", direction=chosen)
    if jump:
        return Plan(operator="new_direction", direction=_neglected(brief, direction, rng))
    parent = parents[0]
    mate = next((e for e in parents[1:] if e.candidate.id != parent.candidate.id), None)
    mate = mate or _other_family(brief, parent)
    return _scored_plan(parent, mate if crossover else None, chosen, rng)


def _neglected(brief: Brief, direction: str | None, rng: random.Random) -> str:
    """One of the directions that were tried least: what the bandit likes has led nowhere lately."""
    if direction == ANY:
        return ANY
    tried = Counter(e.candidate.direction for e in brief.history)
    least = min(tried[d] for d in DIRECTIONS)
    return rng.choice([d for d in DIRECTIONS if tried[d] == least])


def leaner(todo: Plan) -> Plan | None:
    """The next request that shows less code: without the second parent, then without any; where the
    answer has to agree with the parent, without its focus."""
    if todo.mate is not None:
        return replace(todo, operator="rewrite", mate=None)
    if todo.base is not None:
        lean = todo.unseen or not todo.focus
        operator: Operator = "repair" if todo.operator == "repair" else "rewrite"
        return None if lean else replace(todo, operator=operator, unseen=True)
    if todo.parent is not None:
        return Plan(operator="draft", direction=todo.direction)
    return None


def inspirations(brief: Brief, todo: Plan) -> list[Entry]:
    """What else to show: the best, then the best of other families than those that are shown, what
    reviewers think well of before the rest. Only where a parent is not to be kept as it is."""
    if todo.operator not in ("draft", "rewrite", "edit", "new_direction"):
        return []
    scored = [e for e in allowed(brief.history) if e.score(brief.metric) is not None]
    chosen = [] if todo.parent is None else [todo.parent]
    leader = best(scored, brief.metric)
    found = []
    if leader is not None and (todo.parent is None or leader.number != todo.parent.number):
        found.append(leader)
    families = {e.candidate.family for e in [*chosen, *found]}
    others = [e for e in scored if e.candidate.family not in families]
    liked = [e for e in others if e.standing in ("approved", "pinned")]
    other = best(liked or others, brief.metric)
    selected = [e for e in brief.parents[1:] if e.candidate.family not in families]
    if todo.operator != "edit" and other is not None:
        found.append(other if liked or not selected else selected[0])
    return found


def _scored_plan(parent: Entry, mate: Entry | None, direction: str, rng: random.Random) -> Plan:
    shares = dict(_SHARES)
    if mate is None:
        del shares["crossover"]
    if not ours(parent) or len(parent.candidate.source) < 1500:
        del shares["simplify"]  # nothing has been added that could be taken out again
    operator = rng.choices(list(shares), weights=list(shares.values()))[0]
    if operator == "draft":
        return Plan(operator="draft", direction=direction)
    return Plan(
        operator=operator,
        direction=direction,
        parent=parent,
        mate=mate if operator == "crossover" else None,
    )


def _other_family(brief: Brief, parent: Entry) -> Entry | None:
    """The best scored candidate of another family than the parent's."""
    others = [e for e in allowed(brief.history) if e.candidate.family != parent.candidate.family]
    return best(others, brief.metric)


def repairable(history: Sequence[Entry]) -> list[Entry]:
    """Failed candidates of ours with code that are worth another attempt, oldest first.

    A repair that failed stands for its whole chain; an attempt counts wherever it ended.
    """
    attempts: dict[str, int] = {}
    repaired: set[str] = set()
    for entry in history:
        if entry.candidate.operator == "repair" and entry.candidate.parents:
            root = entry.candidate.parents[0]
            repaired.add(root)
            attempts[entry.candidate.id] = attempts.get(root, 0) + 1
    return [
        entry
        for entry in history
        if isinstance(entry.evaluation, Failed)
        and ours(entry)
        and entry.candidate.source
        and entry.candidate.id not in repaired
        and attempts.get(entry.candidate.id, 0) < REPAIR_ATTEMPTS
    ]


def stagnant(brief: Brief) -> bool:
    """Whether the last candidates of ours brought no new best; true once in every such stretch."""
    leader = best(allowed(brief.history), brief.metric)
    if leader is None:
        return False
    since = sum(1 for e in brief.history if ours(e) and e.number > leader.number)
    return since > 0 and since % STAGNATION == 0
