"""Thompson sampling of what to try next, by improvement per cost."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """One trial of an arm: what it brought (0 or more) and what it cost, in any one unit each. A
    cost of 0 is none that was measured."""

    arm: str
    reward: float
    cost: float


def ranked(
    arms: Sequence[str], pulls: Sequence[Pull], rng: random.Random, *, cost_power: float = 1.0
) -> list[str]:
    """`arms`, the one to try first: by a draw from each arm's posterior over its mean cost.

    Rewards are scaled to [0, 1] by the largest seen and update a Beta(1, 1) posterior in parts
    (Agrawal and Goyal 2012). Mean costs are shrunk towards the mean of all arms by one trial, and
    a pull without a cost is taken to have cost that mean: it took a candidate of the budget too, so
    an arm that fails for free is no bargain. `cost_power` 0 ignores cost, 1 asks for improvement
    per unit of it.
    """
    largest = max((pull.reward for pull in pulls), default=0.0)
    costs = [pull.cost for pull in pulls if pull.cost > 0]
    typical = sum(costs) / len(costs) if costs else 1.0
    drawn: dict[str, float] = {}
    for arm in arms:
        mine = [pull for pull in pulls if pull.arm == arm]
        won = sum(pull.reward / largest for pull in mine) if largest > 0 else 0.0
        worth = rng.betavariate(1 + won, 1 + len(mine) - won)
        spent = sum(pull.cost or typical for pull in mine)
        cost = (typical + spent) / (1 + len(mine)) / typical
        drawn[arm] = worth / max(cost, 1e-3) ** cost_power
    return sorted(arms, key=lambda arm: -drawn[arm])
