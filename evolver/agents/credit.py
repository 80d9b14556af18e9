"""Who of a pipeline's agents earned its reward: leave one out, and Shapley.

A value function says what a coalition of agents is worth: the outer reward of the pipeline with all
others left out. Leave-one-out is what is lost without an agent; two agents that can stand in for
each other then both earn nothing. Shapley (1953) is the mean, over all orders in which agents could
have come, of what an agent added when it came; it shares out all that the pipeline is worth above
what is served without any agent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb, sqrt

import numpy as np

MOST_EXACT = 6
"""Up to so many agents every coalition is valued (64 of them); beyond, orders are drawn."""
ORDERS = 24

Value = Callable[[frozenset[str]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """What one agent earned. `error`: the standard error of `shapley` from drawing orders, 0 where
    it is exact."""

    agent: str
    leave_one_out: float
    shapley: float
    error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credits:
    """whole, nothing: what all agents, and none, are worth. The Shapley values add up to what lies
    between. `orders`: how many were drawn; 0 where all coalitions were valued."""

    agents: tuple[Credit, ...]
    whole: float
    nothing: float
    orders: int = 0


def attribute(
    agents: Sequence[str], value: Value, *, seed: int = 0, orders: int = ORDERS
) -> Credits:
    """The credit of each agent. A coalition is valued once, however often it is needed."""
    known: dict[frozenset[str], float] = {}

    def worth(coalition: frozenset[str]) -> float:
        if coalition not in known:
            known[coalition] = value(coalition)
        return known[coalition]

    everyone = frozenset(agents)
    exact = len(agents) <= MOST_EXACT
    shares = (
        {agent: (_exact(agent, agents, worth), 0.0) for agent in agents}
        if exact
        else _sampled(agents, worth, orders, seed)
    )
    return Credits(
        agents=tuple(
            Credit(
                agent=agent,
                leave_one_out=worth(everyone) - worth(everyone - {agent}),
                shapley=shares[agent][0],
                error=shares[agent][1],
            )
            for agent in agents
        ),
        whole=worth(everyone),
        nothing=worth(frozenset()),
        orders=0 if exact else orders,
    )


def coalitions(agents: Sequence[str]) -> tuple[frozenset[str], ...]:
    """Those that an exact computation values, the largest first."""
    sizes = range(len(agents), -1, -1)
    return tuple(frozenset(each) for size in sizes for each in combinations(agents, size))


def _exact(agent: str, agents: Sequence[str], worth: Value) -> float:
    """Mean over the sizes of coalitions, and over coalitions of a size, of what it adds."""
    others = [each for each in agents if each != agent]
    total = 0.0
    for size in range(len(others) + 1):
        for chosen in combinations(others, size):
            before = frozenset(chosen)
            total += (worth(before | {agent}) - worth(before)) / comb(len(others), size)
    return total / len(agents)


def _sampled(
    agents: Sequence[str], worth: Value, orders: int, seed: int
) -> Mapping[str, tuple[float, float]]:
    """Shapley from drawn orders (Castro et al., 2009), each used forwards and backwards, which
    cancels part of the chance; the error is that of the mean of such pairs."""
    if orders < 4:
        raise ValueError("at least four orders are needed for an error to be told")
    rng = np.random.default_rng([seed, 7])
    pairs = orders // 2
    found = np.zeros((pairs, len(agents)))
    for pair in range(pairs):
        order = rng.permutation(len(agents))
        for way in (order, order[::-1]):
            coalition: frozenset[str] = frozenset()
            for place in way:
                larger = coalition | {agents[int(place)]}
                found[pair, place] += (worth(larger) - worth(coalition)) / 2
                coalition = larger
    means = found.mean(axis=0)
    errors = found.std(axis=0, ddof=1) / sqrt(pairs)
    return {a: (float(means[n]), float(errors[n])) for n, a in enumerate(agents)}
