"""The critic: exact where it can be checked by hand, sure where it has seen, shared by likeness."""

from __future__ import annotations

import numpy as np
import pytest

from evolver.core import Observation, Parameter
from evolver.testing import TUNER_SPACE
from evolver.tune.critic import Critic
from evolver.tune.encoding import Decisions, centred_ranks
from evolver.tune.experience import Experience, likeness, regime
from evolver.tune.sampling import random_point, seeded

LETTERS = (Parameter(name="letter", kind="choice", choices=("a", "b", "c")),)


def seen(*scores: float, letters: str = "abc") -> Experience:
    pairs = zip(letters, scores, strict=False)
    return Experience(observed=tuple(Observation(point={"letter": x}, score=s) for x, s in pairs))


def test_without_doubt_it_is_the_posterior_mean() -> None:
    rows = Decisions(LETTERS).rows([{"letter": x} for x in "abc"])
    told = Critic(
        Decisions(LETTERS), [seen(3, 1)], seeded(1), doubt=0.0, level=0.0, single=1.0, pairs=1.0
    )
    # Rewards 1 and -1, each seen once: prior variance 1 + 1, noise 0.1; c was never seen.
    assert told(rows) == pytest.approx([2 / 2.1, -2 / 2.1, 0.0])


def test_draws_scatter_where_nothing_was_seen_and_around_the_mean() -> None:
    decisions = Decisions(LETTERS)
    rows = decisions.rows([{"letter": x} for x in "abc"])
    drawn = np.array(
        [Critic(decisions, [seen(3, 1)], seeded(n), level=0.0)(rows) for n in range(2000)]
    )
    assert drawn.mean(axis=0) == pytest.approx([2 / 2.1, -2 / 2.1, 0.0], abs=0.1)
    # Posterior variance: 2 - 4 / 2.1 where it was seen, the prior's 2 where not.
    assert drawn.var(axis=0) == pytest.approx([2 - 4 / 2.1, 2 - 4 / 2.1, 2.0], abs=0.15)


def test_it_predicts_points_that_it_has_not_seen() -> None:
    decisions, rng = Decisions(TUNER_SPACE), seeded(3)
    points = [random_point(TUNER_SPACE, rng) for _ in range(160)]
    worth = [2.0 * (p["model"] == "b") + float(p["rate"]) for p in points]
    observed = [Observation(point=p, score=s) for p, s in zip(points[:80], worth, strict=False)]
    told = Critic(decisions, [Experience(observed=tuple(observed))], seeded(0), doubt=0.0)
    guessed = centred_ranks(told(decisions.rows(points[80:])).tolist())
    assert np.corrcoef(guessed, centred_ranks(worth[80:]))[0, 1] > 0.8


def test_experience_counts_as_far_as_the_data_is_alike() -> None:
    rows = Decisions(LETTERS).rows([{"letter": x} for x in "abc"])

    def mean(earlier: tuple[float, ...], now: tuple[float, ...]) -> np.ndarray:
        told = Experience(observed=seen(1, 2, 3).observed, regime=earlier)
        runs = [told, Experience(observed=(), regime=now)]
        return Critic(Decisions(LETTERS), runs, seeded(0), doubt=0.0)(rows)

    alike, apart = mean((0.0,), (0.0,)), mean((0.0,), (2.0,))
    assert alike.argmax() == apart.argmax() == 2
    assert np.ptp(alike) > 2 * np.ptp(apart) > 0


def test_only_points_of_the_space_are_experience() -> None:
    mixed = Experience(
        observed=(
            Observation(point={"letter": "a"}, score=1.0),
            Observation(point={"letter": "z"}, score=1.0),
            Observation(point={"other": "a"}, score=1.0),
        ),
        regime=(1.0,),
    )
    kept = mixed.of(LETTERS)
    assert [dict(o.point) for o in kept.observed] == [{"letter": "a"}]
    assert kept.regime == (1.0,)


def test_a_regime_is_a_few_numbers_of_order_one() -> None:
    told = regime(
        {
            "users": 1000,
            "items": 10_000,
            "rows": 100_000,
            "long_tail": {"gini": 0.75},
            "repeat_rate": 0.25,
            "drift": {"jensen_shannon": 0.5},
        }
    )
    assert told == pytest.approx((0.0, 1.0, 0.5, 0.5, 0.25, 0.5))
    assert likeness(told, told) == 1.0
    assert likeness((), told) == 1.0
    assert likeness((0.0,), (1.0,)) == pytest.approx(np.exp(-0.5))
