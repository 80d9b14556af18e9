"""What a rung makes of an evaluation."""

from __future__ import annotations

import numpy as np

from evolver.core import Candidate, Entry, Failed, Progress, Scored, Stopped
from evolver.evaluate import cascade


def scored(value: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value},
        per_user={"ndcg@10": np.zeros(1, np.float32)},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=0.1,
        latency_ms_p99=0.1,
        parameters=1,
        peak_bytes=1,
    )


def decided(found: Scored | Stopped | Failed, earlier: list[float]) -> Scored | Stopped | Failed:
    return cascade.decided(found, earlier, 3, "ndcg@10")


def test_a_good_one_goes_on_and_a_poor_one_is_stopped_with_its_score() -> None:
    assert decided(scored(0.4), [0.1, 0.2, 0.3]) == scored(0.4)
    stopped = decided(scored(0.1), [0.1, 0.2, 0.3])
    assert isinstance(stopped, Stopped)
    assert stopped.scored == scored(0.1)
    assert "0.1000" in stopped.reason
    assert "0.2000 was needed" in stopped.reason
    assert "1/3 of 4" in stopped.reason


def test_what_was_recalled_is_decided_anew() -> None:
    before = Stopped(fidelity="low", reason="then", scored=scored(0.25))
    assert decided(before, []) == scored(0.25)
    assert isinstance(decided(before, [0.5]), Stopped)


def test_a_failure_stays_one_and_says_where() -> None:
    crash = Failed(kind="crash", reason="boom")
    assert decided(crash, [0.5]) is crash
    told = cascade.said(crash, "smoke", None)
    assert told == Failed(kind="crash", reason="in the smoke run on a sliver: boom")
    assert cascade.said(crash, "full", None) is crash


def test_what_was_stopped_while_it_trained_has_no_score_whatever_it_ranked() -> None:
    curves = [[Progress(step=1, loss=0.1)]] * 3
    watch = cascade.watch("full", curves)
    assert watch is not None
    assert not watch(Progress(step=1, loss=0.2))
    for outcome in (scored(0.9), Failed(kind="timeout", reason="late")):
        told = cascade.said(outcome, "full", watch)
        assert isinstance(told, Stopped)
        assert told.scored is None
        assert "step 1" in told.reason


def test_a_smoke_run_is_left_to_its_own_end() -> None:
    curves = [[Progress(step=1, loss=0.1)]] * 3
    assert cascade.watch("smoke", curves) is None
    assert cascade.watch("full") is None


def test_a_program_is_proven_once_it_ran_with_whatever_settings() -> None:
    program, other = Candidate(source="a", values={"k": 1}), Candidate(source="b")
    ran = Entry(number=0, candidate=Candidate(source="a"), evaluation=scored(0.1))
    broke = Entry(number=1, candidate=other, evaluation=Failed(kind="crash", reason=""))
    assert cascade.proven(program, [ran, broke])
    assert not cascade.proven(other, [ran, broke])
