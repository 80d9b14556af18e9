"""What is asked for next."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from evolver.core import Entry
from evolver.propose.operators import (
    ANY,
    DIRECTIONS,
    REPAIR_ATTEMPTS,
    STAGNATION,
    Operator,
    Plan,
    inspirations,
    leaner,
    plan,
    repairable,
    stagnant,
)
from tests.propose.samples import brief, crashed, entry


def mature(extra: tuple[Entry, ...] = ()) -> list[Entry]:
    base = [
        entry(0, 0.2, proposer="baseline"),
        entry(1, 0.21, family="graph", proposer="baseline"),
        *(entry(n, 0.2 + n / 100, direction="loss", source=f"#{n}\n" * 600) for n in range(2, 6)),
    ]
    return [*base, *extra]


def test_drafts_come_first() -> None:
    base = entry(0, 0.2, proposer="baseline")
    assert plan(brief()).operator == "draft"
    assert plan(brief([base], [base])).operator == "draft"


def test_where_baselines_are_ideas_enough_half_of_the_first_requests_work_on_one() -> None:
    history = [entry(n, 0.2, family=f"f{n}", proposer="baseline") for n in range(4)]
    counts = Counter(plan(brief(history, history[:1], number=n)).operator for n in range(200))
    assert 90 < counts["draft"] < 140
    assert {"edit", "rewrite", "crossover"} <= set(counts)
    few = [entry(n, 0.2, proposer="baseline") for n in range(4)]
    assert {plan(brief(few, few[:1], number=n)).operator for n in range(40)} == {"draft"}


def test_equal_briefs_give_equal_plans_whatever_is_left() -> None:
    history = mature()
    for number in range(20):
        now = brief(history, history[-2:], number=number)
        assert plan(now) == plan(replace(now, seconds_left=1.0, usd_left=0.5, tokens_left=1))


def test_every_operator_and_direction_occurs() -> None:
    history = mature()
    plans = [plan(brief(history, [history[-1]], number=number)) for number in range(400)]
    counts = Counter(p.operator for p in plans)
    assert set(counts) == {"draft", "edit", "rewrite", "crossover", "simplify"}
    assert counts.most_common(1)[0][0] == "edit"
    assert {p.direction for p in plans} == set(DIRECTIONS)
    mates = {p.mate.candidate.family for p in plans if p.mate is not None}
    assert mates == {"graph"}  # of another family where the selector gave one parent only


def test_broken_candidates_are_repaired_a_bounded_number_of_times() -> None:
    history = mature()
    parent = entry(10, crashed(), direction="loss")
    chain = [parent]
    assert repairable([*history, parent]) == [parent]
    for attempt in range(1, REPAIR_ATTEMPTS + 1):
        repaired = entry(
            10 + attempt,
            crashed(),
            parents=(chain[-1].candidate.id,),
            direction="loss",
            operator="repair",
        )
        chain.append(repaired)
        expected = [repaired] if attempt < REPAIR_ATTEMPTS else []
        assert repairable([*history, *chain]) == expected


def test_repairs_keep_the_direction_and_baselines_are_not_repaired() -> None:
    broken = entry(10, crashed(), direction="negatives")
    theirs = entry(11, crashed(), proposer="baseline")
    plans = [
        plan(brief([*mature(), broken, theirs], mature()[-1:], number=number))
        for number in range(60)
    ]
    repairs = [p for p in plans if p.operator == "repair"]
    assert 15 < len(repairs) < 55
    assert {p.parent.number for p in repairs if p.parent} == {10}
    assert {p.direction for p in repairs} == {"negatives"}


def test_stagnation_jumps_once_in_every_stretch() -> None:
    leader = entry(20, 0.9, direction="loss")
    later = [entry(21 + n, 0.3, direction="loss") for n in range(2 * STAGNATION)]
    jumps = [
        stagnant(brief([*mature(), leader, *later[:count]])) for count in range(2 * STAGNATION + 1)
    ]
    assert [count for count, jump in enumerate(jumps) if jump] == [STAGNATION, 2 * STAGNATION]
    now = brief([*mature(), leader, *later[:STAGNATION]], [leader])
    assert plan(now).operator == "new_direction"
    assert plan(now, "loss").direction not in {"loss", "any"}  # something that was not tried
    assert plan(now, ANY).direction == ANY


def test_a_plan_shows_less_code_step_by_step() -> None:
    one, two = entry(1, 0.2), entry(2, 0.3, family="graph")
    full = Plan(operator="crossover", direction="loss", parent=one, mate=two)
    rewrite = leaner(full)
    assert rewrite == Plan(operator="rewrite", direction="loss", parent=one)
    draft = leaner(rewrite)
    assert draft == Plan(operator="draft", direction="loss")
    assert leaner(draft) is None


def test_inspirations_are_the_best_and_something_else() -> None:
    history = [
        entry(0, 0.3, family="a"),
        entry(1, 0.5, family="b"),
        entry(2, 0.4, family="c"),
        entry(3, crashed(), family="d"),
    ]

    def shown(operator: Operator, parent: int | None) -> list[int]:
        todo = Plan(
            operator=operator,
            direction="loss",
            parent=None if parent is None else history[parent],
        )
        return [e.number for e in inspirations(brief(history, history[:1]), todo)]

    assert shown("draft", None) == [1, 2]
    assert shown("new_direction", None) == [1, 2]
    assert shown("rewrite", 0) == [1, 2]
    assert shown("rewrite", 1) == [2]
    assert shown("edit", 0) == [1]
    assert shown("edit", 1) == []
    assert shown("crossover", 0) == shown("repair", 3) == shown("simplify", 0) == []
    assert inspirations(brief(), Plan(operator="draft", direction="loss")) == []


def test_what_reviewers_turned_down_is_neither_worked_on_nor_shown() -> None:
    barred = [
        entry(10, 0.9, family="graph", direction="loss", source="#" * 2000),
        entry(11, 0.8, family="linear", direction="loss"),
        entry(12, crashed(), direction="loss"),
    ]
    history = [*mature(), *(replace(e, standing="barred") for e in barred)]
    for number in range(200):
        now = brief(history, [], number=number)
        todo = plan(now)
        shown = [todo.parent, todo.mate, *inspirations(now, todo)]
        assert not {e.number for e in shown if e is not None} & {10, 11, 12}


def test_what_reviewers_approved_is_shown_before_what_is_better() -> None:
    liked = entry(10, 0.1, family="linear", direction="loss")
    history = [*mature(), liked]
    todo = Plan(operator="rewrite", direction="loss", parent=history[5])
    assert [e.number for e in inspirations(brief(history), todo)] == [1]
    history[6] = replace(liked, standing="approved")
    assert [e.number for e in inspirations(brief(history), todo)] == [10]
