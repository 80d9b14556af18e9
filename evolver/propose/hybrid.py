"""A language model for structure, tuners for numbers, and a bandit that shares the budget out.

In a fixed space tuners beat language models, and the two together beat both (Centaur,
arXiv 2603.24647); so each proposal goes to whoever has lately brought most for its time.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from evolver.core import Brief, Candidate, Entry, Proposer, Unusable
from evolver.propose.bandit import ranked
from evolver.propose.effects import Effects, PerUser
from evolver.propose.operators import ours

FIRST = 2
"""So many proposals each arm gets before the bandit decides, as far as it has any to make."""


@runtime_checkable
class Conditional(Protocol):
    """A proposer that has nothing to propose for some briefs."""

    def can(self, brief: Brief) -> bool: ...


class HybridProposer:
    """Hands each brief to one of `arms`. A pure function of the brief, as the arms are.

    An arm is known in the archive by the `proposer` of its candidates, so arms are named by it.
    """

    name = "hybrid"

    def __init__(self, arms: Mapping[str, Proposer], *, per_user: PerUser | None = None) -> None:
        if not arms:
            raise ValueError("a hybrid needs at least one arm")
        self._arms = dict(arms)
        self._per_user = per_user
        self._lock = threading.Lock()
        self._effects: dict[str, Effects] = {}

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """What the chosen arm proposes."""
        return self._arms[self.choose(brief)].propose(brief)

    def choose(self, brief: Brief) -> str:
        """The arm for this brief."""
        able = [
            name
            for name, arm in self._arms.items()
            if not isinstance(arm, Conditional) or arm.can(brief)
        ]
        if not able:
            able = list(self._arms)
        rng = random.Random(f"{brief.seed}/{brief.number}/arm")
        tried = {name: [e for e in brief.history if self._arm(e) == name] for name in able}
        fresh = [name for name in able if len(tried[name]) < FIRST]
        if fresh:
            return rng.choice(fresh)
        effects = self._effects_by(brief.metric)
        pulls = [effects.pull(name, entry, brief.history) for name in able for entry in tried[name]]
        return ranked(able, pulls, rng)[0]

    def close(self) -> None:
        """Close the arms that can be closed."""
        for arm in self._arms.values():
            close = getattr(arm, "close", None)
            if close is not None:
                close()

    def _arm(self, entry: Entry) -> str:
        proposer = entry.candidate.proposer
        if proposer in self._arms:
            return proposer
        return "llm" if ours(entry) else ""

    def _effects_by(self, metric: str) -> Effects:
        with self._lock:
            return self._effects.setdefault(metric, Effects(metric, self._per_user))
