"""What may be said of figures that are known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from evolver.comparing.charts import by_candidates, by_seconds, colour, differences
from evolver.comparing.claims import (
    all_claims,
    before,
    cautions,
    claims,
    compute_claims,
    promotion_claims,
    scope,
)
from evolver.comparing.outcome import Result, RunOutcome, cheapest, compare_pairs
from evolver.comparing.page import markdown, page
from evolver.comparing.spec import make_spec
from evolver.config import BudgetConfig, ProposeConfig, RunConfig

SLOTS, SEARCHED = 2, 3


def outcome(label: str, seed: int, final: float, **given: object) -> RunOutcome:
    made = RunOutcome(
        label=label,
        seed=seed,
        folder="",
        ended="all candidates are done",
        start=0.1,
        best=(0.1, 0.1, final),
        own=(None, 0.05, final),
        seconds=(1.0, 2.0, 4.0),
        proposed=(label, "same", "last"),
        failed={"crash": 1},
        repeats=0,
        wall_seconds=3.0,
        model_seconds=0.0,
        requests=0,
        tokens=0,
        usd=0.0,
        unpriced=0,
        winner="EASE",
        winner_number=4,
    )
    return replace(made, **given)  # type: ignore[arg-type]


def result(finals: Mapping[str, Sequence[float]], reference: str | None = None) -> Result:
    seeds = len(next(iter(finals.values())))
    config = RunConfig(
        propose=ProposeConfig(models=("m/a",)), budget=BudgetConfig(candidates=SLOTS + SEARCHED)
    )
    spec = make_spec(config, list(finals), seeds, reference)
    runs = [outcome(a, s, v) for a, each in finals.items() for s, v in enumerate(each)]
    values = {(run.label, run.seed): run.final or 0.0 for run in runs}
    compute = cheapest(runs, spec.seeds)
    early = {(run.label, run.seed): run.within(compute[run.seed]) or 0.0 for run in runs}
    return Result(
        spec=spec,
        folder="out",
        data="toy",
        metric="ndcg@10",
        part="search",
        slots=SLOTS,
        workers=2,
        candidate_seconds=60.0,
        lag=4,
        runs=runs,
        seeds=spec.seeds,
        pairs=compare_pairs(spec.pairs(), values, spec.seeds),
        compute=compute,
        compute_pairs=compare_pairs(spec.pairs(), early, spec.seeds),
    )


def test_the_best_within_so_many_seconds_of_training() -> None:
    run = outcome("tpe", 0, 0.3, best=(0.1, 0.2, 0.3), seconds=(1.0, 2.0, 4.0), start=0.05)
    told = [run.within(seconds) for seconds in (0.0, 0.99, 1.0, 3.9, 4.0, 99.0)]
    assert told == [0.05, 0.05, 0.1, 0.2, 0.3, 0.3]
    dear = outcome("llm", 0, 0.3, seconds=(3.0, 3.0, 9.0))
    none = outcome("llm", 1, 0.3, best=(), own=(), seconds=())
    assert cheapest([run, dear, none], (0, 1)) == {0: 4.0, 1: 0.0}


def slow(found: Result, label: str) -> Result:
    """The same, but that each training of one arm took ten times as long."""
    seconds = (10.0, 20.0, 40.0)
    runs = [replace(r, seconds=seconds) if r.label == label else r for r in found.runs]
    compute = cheapest(runs, found.seeds)
    early = {(r.label, r.seed): r.within(compute[r.seed]) or 0.0 for r in runs}
    pairs = compare_pairs(found.spec.pairs(), early, found.seeds)
    return replace(found, runs=runs, compute=compute, compute_pairs=pairs)


RANDOM = (0.30, 0.31, 0.32, 0.30, 0.31, 0.32)
BETTER = (0.33, 0.345, 0.35, 0.33, 0.345, 0.35)
MIXED = (0.29, 0.32, 0.31, 0.31, 0.30, 0.33)


def test_pairs_by_hand() -> None:
    found = result({"random": RANDOM, "tpe": BETTER, "cmaes": MIXED})
    tpe, cmaes = found.pairs
    assert tpe.by_seed == pytest.approx((0.03, 0.035, 0.03, 0.03, 0.035, 0.03))
    assert (tpe.wins, tpe.losses, tpe.ties) == (6, 0, 0)
    assert tpe.difference.mean == pytest.approx(0.19 / 6)
    assert tpe.p == pytest.approx(2 / 64)
    assert tpe.p_corrected == pytest.approx(4 / 64)
    assert not tpe.shown  # six seeds cannot show one of two
    assert (cmaes.wins, cmaes.losses) == (3, 3)
    assert cmaes.p_corrected == 1.0


def test_a_difference_that_holds_is_said_and_no_more() -> None:
    (line,) = claims(result({"random": RANDOM, "tpe": BETTER}))
    assert line.startswith("tpe beats random: ndcg@10 +0.0317 [+0.02")
    assert line.endswith("ahead in 6 of 6 seeds, p = 0.031.")
    (worse,) = claims(result({"random": BETTER, "tpe": RANDOM}))
    assert worse.startswith("random beats tpe: ndcg@10 +0.0317 [+0.02")
    (open_,) = claims(result({"random": RANDOM, "tpe": MIXED}))
    assert open_.startswith("tpe is not told from random: ndcg@10 +0.0000 [-0.0")
    assert "3 of 6 seeds" in open_


def test_too_few_seeds_say_how_many_it_takes() -> None:
    lines = claims(result({"random": RANDOM[:5], "tpe": BETTER[:5]}))
    assert "not told from random" in lines[0]
    assert "no result could have shown a difference (the smallest p is 0.062); 6 seeds" in lines[1]
    assert claims(result({"random": RANDOM[:1], "tpe": BETTER[:1]}))[0].startswith("One seed is")
    assert before(2, 1, 6, 2 / 64) is None
    assert "--seeds 7" in str(before(3, 2, 5, 0.125))


def test_equal_runs_are_ties() -> None:
    (line,) = claims(result({"random": RANDOM, "tpe": RANDOM}))
    assert line == (
        "tpe and random ended with the same ndcg@10 in each of 6 seeds: neither is shown to be "
        "better."
    )


def test_a_model_helps_only_if_it_beats_every_arm_without_one() -> None:
    eight = {"random": (*RANDOM, 0.30, 0.31), "tpe": (*MIXED, 0.30, 0.32)}
    top = (*BETTER, 0.34, 0.35)
    helped = claims(result({**eight, "llm": top}))
    assert helped[-1].startswith("The language model of llm helps here: llm beats every arm")
    not_tpe = claims(result({**eight, "tpe": top, "llm": top}))
    assert not_tpe[-1] == (
        "It is not shown that the language model of llm helps at equal candidates: it does not "
        "beat tpe."
    )
    none = claims(result({"llm": RANDOM, "llm:-lessons": MIXED}))
    assert none[-1].startswith("Whether a language model helps cannot be said")


def test_what_holds_at_equal_candidates_need_not_hold_at_equal_training_time() -> None:
    eight = {"random": (*RANDOM, 0.30, 0.31), "llm": (*BETTER, 0.34, 0.35)}
    alike = result(eight)
    assert [line.replace("candidates", "training time") for line in claims(alike)] == (
        compute_claims(alike)
    )
    dear = slow(alike, "llm")
    assert dear.compute == dict.fromkeys(range(8), 4.0)
    said = all_claims(dear)
    assert said[:2] == claims(alike)
    assert said[2].startswith("At equal training time: random beats llm: ndcg@10 +0.2")
    assert said[3] == (
        "At equal training time: It is not shown that the language model of llm helps at equal "
        "training time: it does not beat random."
    )
    final = dear.at_equal_compute("llm")
    assert final is not None
    assert final.mean == pytest.approx(0.1)  # the tuned baselines: it had trained nothing by then
    assert compute_claims(result({"random": RANDOM[:1], "llm": BETTER[:1]})) == []


def test_what_a_reader_must_know_is_said() -> None:
    plain = result({"random": RANDOM, "tpe": BETTER})
    assert cautions(plain) == []
    runs = [*plain.runs[:-1], outcome("tpe", 5, 0.3, ended="the time is up", unpriced=2)]
    said = cautions(replace(plain, runs=runs))
    assert said[0].startswith("tpe with seed 5 ended after 3 of 3 candidates: the time is up")
    assert said[1].startswith("2 requests had no known price")
    open_ = cautions(replace(plain, runs=plain.runs[:-1], seeds=plain.seeds[:-1]))
    assert open_[0].startswith("1 of 12 runs are not done; only the 5 seeds that")
    grown = replace(plain, spec=replace(plain.spec, asked=(*plain.spec.asked,) * 2))
    assert "2 arms with 6 seeds, then 2 arms with 6 seeds" in cautions(grown)[0]
    failed = [outcome("tpe", 0, 0.3, promotion_failed="crash")]
    assert "failed on the promotion part: crash" in " ".join(cautions(replace(plain, runs=failed)))
    alike = [replace(run, proposed=("one", "two", "three")) for run in plain.runs]
    assert "at this budget they are one search" in cautions(replace(plain, runs=alike))[0]
    assert "flatter" in scope(plain)
    assert promotion_claims(plain) == []


def test_charts_go_through_the_known_places() -> None:
    found = result({"random": RANDOM, "tpe": BETTER})
    for chart in (by_candidates(found), by_seconds(found)):
        assert chart is not None
        lines = [s for s in chart.strokes if s.kind.endswith("-line")]
        assert [s.kind for s in lines] == ["arm-0-line", "arm-1-line"]
        starts = {s.path.partition("H")[0] for s in lines}
        assert len(starts) == 1  # both begin at the tuned baselines
    forest = differences(found)
    assert forest is not None
    assert sum(dot.kind == "scored" for dot in forest.dots) == 6
    assert [dot.label for dot in forest.dots if dot.kind == "winner"] == ["mean +0.0317"]
    middle = (forest.left + forest.right) / 2
    assert all(dot.x > middle for dot in forest.dots)
    assert len({colour(n) for n in range(16)}) == 16


def test_nothing_foreign_acts_on_a_page() -> None:
    hostile = "<script>alert(1)</script>|`x`"
    found = result({"random": RANDOM, "tpe": BETTER})
    found = replace(found, data=hostile, runs=[replace(r, winner=hostile) for r in found.runs])
    text = page(found, f"evolver compare '{hostile}'")
    assert "<script" not in text
    assert "&lt;script" in text
    assert "<script" not in markdown(found, "evolver compare x")
