from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.agents.credit import attribute, coalitions


def found(agents: str, value: object, **more: int) -> dict[str, tuple[float, float]]:
    told = attribute(list(agents), value, **more)  # type: ignore[arg-type]
    return {c.agent: (c.leave_one_out, c.shapley) for c in told.agents}


def test_agents_that_do_not_meet_earn_what_they_are_worth() -> None:
    worth = {"a": 0.3, "b": 0.1, "c": 0.0}
    told = found("abc", lambda coalition: sum(worth[a] for a in coalition))
    for agent, value in worth.items():
        assert told[agent] == pytest.approx((value, value))


def test_stand_ins_for_each_other_share_what_one_of_them_brings() -> None:
    # "a" and "b" recall the same items, "c" ranks them; without recall nothing is there
    def worth(coalition: frozenset[str]) -> float:
        return (0.2 if coalition & {"a", "b"} else 0.0) * (1.5 if "c" in coalition else 1.0)

    told = found("abc", worth)
    assert told["a"] == told["b"]
    assert told["a"][0] == 0.0  # leave one out sees nothing
    # c: after a or b (2/3 of the orders) +0.1; a: first of a, b. Together 0.3.
    assert told["c"] == pytest.approx((0.1, 0.2 / 3))
    assert told["a"][1] == pytest.approx((0.3 - 0.2 / 3) / 2)


def test_an_agent_that_hurts_has_a_negative_credit() -> None:
    told = found("ab", lambda c: len(c & {"a"}) - 0.4 * len(c & {"b"}))
    assert told["b"] == pytest.approx((-0.4, -0.4))


@given(st.lists(st.floats(-1, 1), min_size=16, max_size=16))
def test_credits_add_up_to_what_the_whole_is_worth(values: list[float]) -> None:
    table = dict(zip(coalitions("abcd"), values, strict=True))
    told = attribute("abcd", table.__getitem__)
    assert sum(c.shapley for c in told.agents) == pytest.approx(told.whole - told.nothing)
    assert told.orders == 0


def test_each_coalition_is_valued_once() -> None:
    asked: list[frozenset[str]] = []

    def worth(coalition: frozenset[str]) -> float:
        asked.append(coalition)
        return float(len(coalition))

    attribute("abcd", worth)
    assert len(asked) == len(set(asked)) == len(coalitions("abcd")) == 16


def test_beyond_six_agents_orders_are_drawn_and_the_error_holds() -> None:
    agents = "abcdefgh"
    weight = {agent: 0.1 * n for n, agent in enumerate(agents)}

    def worth(coalition: frozenset[str]) -> float:
        pairs = 0.3 * ("a" in coalition and "h" in coalition)  # shared by the two of them
        return sum(weight[agent] for agent in coalition) + pairs

    told = attribute(agents, worth, seed=5)
    assert told.orders == 24
    for credit in told.agents:
        exact = weight[credit.agent] + (0.15 if credit.agent in "ah" else 0.0)
        assert abs(credit.shapley - exact) <= 3 * credit.error + 1e-9
    assert sum(c.shapley for c in told.agents) == pytest.approx(told.whole - told.nothing)
    assert attribute(agents, worth, seed=5) == told
