from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evolver.agents.promotion import judge_agent
from evolver.config import PromoteConfig
from evolver.core import Scored

USERS = 300
CONFIG = PromoteConfig()


def side(inner: float, outer: float, seeds: int = 3) -> list[Scored]:
    """A pipeline whose agent and whole have these means, with luck over users and seeds."""
    rng = np.random.default_rng(1)
    users = rng.normal(0, 0.1, USERS)
    found = []
    for seed in range(seeds):
        luck = users + np.random.default_rng([2, seed]).normal(0, 0.01, USERS)
        values = {"inner.ials": luck + inner, "reward@10": luck + outer}
        found.append(
            Scored(
                metrics={
                    "popularity_share@10": 0.2,
                    "coverage@10": 0.5,
                    **{name: float(each.mean()) for name, each in values.items()},
                },
                per_user={name: each.astype(np.float32) for name, each in values.items()},
                fit_seconds=1.0,
                score_seconds=1.0,
                latency_ms_p50=1.0,
                latency_ms_p99=2.0,
                parameters=1,
                peak_bytes=1,
            )
        )
    return found


def judged(challenger: Sequence[Scored], incumbent: Sequence[Scored]) -> tuple[str, str]:
    found = judge_agent("ials", challenger, incumbent, metric="reward@10", reading=1, config=CONFIG)
    return found.decision, str(found)


def test_a_version_that_wins_twice_is_promoted() -> None:
    decision, said = judged(side(0.45, 0.34), side(0.40, 0.30))
    assert decision == "promote"
    assert "better alone and better for the whole" in said


def test_a_version_that_wins_alone_and_hurts_the_whole_is_refused_and_shown() -> None:
    decision, said = judged(side(0.50, 0.25), side(0.40, 0.30))
    assert decision == "refuse"
    assert "it wins alone and hurts the whole" in said
    alone, whole = said.splitlines()[1:]
    assert alone.startswith("  alone: Promote: ")
    assert whole.startswith("  in the whole: Reject: it is not better")


def test_a_version_that_wins_alone_and_leaves_the_whole_alone_is_refused() -> None:
    decision, said = judged(side(0.50, 0.30), side(0.40, 0.30))
    assert decision == "refuse"
    assert "brings the whole nothing that can be told from luck" in said


def test_a_version_that_helps_the_whole_by_something_else_is_refused() -> None:
    decision, said = judged(side(0.35, 0.34), side(0.40, 0.30))
    assert decision == "refuse"
    assert "alone it is no better" in said


def test_too_few_seeds_are_asked_for_more() -> None:
    decision, _ = judged(side(0.45, 0.34, seeds=2), side(0.40, 0.30, seeds=2))
    assert decision == "extend"
