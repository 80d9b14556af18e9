"""Is a module an agent? Three criteria, each shown by running it, none by what it says of itself.

1. The loop closes: what it hands on is consumed (without it, other lists are served), and feedback
   on it comes back (it has an inner reward, a number for each user that is not always the same).
2. It can be scored alone on logged inputs: served by itself, or on what was logged before it, it is
   judged, and judged the same again.
3. Its space has more than one reachable point that changes what it hands on.

A module that fails stays a fixed part of the pipeline; what fails it is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evolver.agents.document import Document
from evolver.agents.rewards import INNER
from evolver.agents.space import free
from evolver.agents.staged import Staged
from evolver.core import Failed, Scored
from evolver.tune.registry import tuner

POINTS = 4
"""So many points of the space are tried besides the declared one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A pipeline that was run and judged."""

    staged: Staged
    scored: Scored


class Judge(Protocol):
    """Runs a pipeline and judges it on the search part."""

    def __call__(self, document: Document, *, again: bool = False) -> Judged | Failed:
        """With `again` nothing is recalled that was brought back before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One of the three, and what was seen."""

    name: str
    met: bool
    seen: str


def check_agent(document: Document, agent: str, judge: Judge, *, seed: int = 0) -> list[Criterion]:
    """The three criteria for an agent that serves in the document's graph."""
    whole = judge(document)
    if isinstance(whole, Failed):
        said = f"the pipeline fails: {whole.reason}"
        return [Criterion(name=name, met=False, seen=said) for name in NAMES]
    return [
        _closes(document, agent, whole, judge),
        _alone(document, agent, judge),
        _moves(document, agent, whole, judge, seed),
    ]


NAMES = ("the loop closes", "it can be scored alone", "its space changes what it does")


def _closes(document: Document, agent: str, whole: Judged, judge: Judge) -> Criterion:
    def said(met: bool, seen: str) -> Criterion:
        return Criterion(name=NAMES[0], met=met, seen=seen)

    without = judge(document.without(agent))
    if isinstance(without, Failed):
        consumed = f"nothing can be served without it ({without.reason})"
    else:
        changed = (without.staged.answers != whole.staged.answers).any(axis=1)
        if not changed.any():
            return said(False, "what it hands on is not consumed: without it, the same is served")
        consumed = f"without it {changed.mean():.0%} of the lists differ"
    feedback = whole.scored.per_user.get(f"{INNER}{agent}")
    if feedback is None:
        return said(False, f"{consumed}, but no feedback reaches it: it has no inner reward")
    if np.ptp(feedback) == 0:
        return said(
            False, f"{consumed}, but its feedback says nothing: {feedback[0]:.4g} for everybody"
        )
    return said(True, f"{consumed}; its inner reward is {feedback.mean():.4f} on average")


def _alone(document: Document, agent: str, judge: Judge) -> Criterion:
    """Recall serves by itself; a later stage is judged on what was logged before it, twice."""

    def said(met: bool, seen: str) -> Criterion:
        return Criterion(name=NAMES[1], met=met, seen=seen)

    lone = alone(document, agent)
    first, second = judge(lone), judge(lone, again=True)
    for each in (first, second):
        if isinstance(each, Failed):
            return said(False, f"by itself it fails: {each.reason}")
    if isinstance(first, Failed) or isinstance(second, Failed):
        raise TypeError("a failure was told above")
    values = [each.scored.per_user.get(f"{INNER}{agent}") for each in (first, second)]
    if values[0] is None or values[1] is None:
        return said(False, "by itself it has no inner reward")
    if not np.array_equal(values[0], values[1]):
        return said(False, "on the same inputs with the same seed it is judged differently")
    return said(
        True, f"by itself its inner reward is {float(values[0].mean()):.4f}, twice the same"
    )


def _moves(document: Document, agent: str, whole: Judged, judge: Judge, seed: int) -> Criterion:
    def said(met: bool, seen: str) -> Criterion:
        return Criterion(name=NAMES[2], met=met, seen=seen)

    head = f"{agent}."
    space = free(document, agent)
    if not space:
        return said(False, "it declares nothing to choose from")
    before, failed = handed_on(whole.staged, agent), 0
    for point in range(POINTS):
        values = tuner("random").suggest(space, [], seed + point)
        found = judge(
            document.with_values(agent, {n.removeprefix(head): v for n, v in values.items()})
        )
        if isinstance(found, Failed):
            failed += 1
        elif not np.array_equal(handed_on(found.staged, agent), before, equal_nan=True):
            return said(True, f"another point of {len(space)} tunables changes what it hands on")
    return said(
        False,
        f"{POINTS} points of its space were tried: {failed} failed, and the others hand on the "
        "same",
    )


def alone(document: Document, agent: str) -> Document:
    """The agent on logged inputs: a recall agent as the whole pipeline, a later one with what comes
    before it and nothing after."""
    graph, stage = document.graph, document.agents[agent].stage
    after = {"recall": ("ranking", "reranking"), "ranking": ("reranking",), "reranking": ()}
    left_out = {name for later in after[stage] if (name := getattr(graph, later)) is not None}
    if stage == "recall":
        left_out |= set(graph.recall) - {agent}
    return document.without(*left_out)


def handed_on(staged: Staged, agent: str) -> NDArray[np.generic]:
    """What an agent handed to the next stage."""
    stage = staged.document.agents[agent].stage
    if stage == "recall":
        return staged.recalled[agent]
    if stage == "ranking" and staged.probabilities is not None:
        return staged.probabilities
    return staged.answers
