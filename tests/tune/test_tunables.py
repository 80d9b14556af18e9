"""Tuning a given file: declarations are read without running it, and only its own trials count."""

from __future__ import annotations

import numpy as np
import pytest

from evolver.core import Candidate, Entry, Failed, Scored
from evolver.errors import ConfigError
from evolver.tune.registry import tuner
from evolver.tune.tunables import observations, read_tunables, tune_candidate

SOURCE = '''"""A file."""
from evolver import contract
from evolver.contract import Choice, Float, Int

TUNABLES: dict = {
    "depth": Int(1, 8, default=2),
    "rate": contract.Float(low=1e-4, high=1.0, default=0.01, log=True),
    "kind": Choice(("a", "b"), default="a"),
}
'''


def scored(value: float) -> Scored:
    return Scored(
        metrics={"ndcg@10": value},
        per_user={"ndcg@10": np.zeros(1, dtype=np.float32)},
        fit_seconds=1.0,
        score_seconds=1.0,
        latency_ms_p50=1.0,
        latency_ms_p99=1.0,
        parameters=1,
        peak_bytes=1,
    )


def test_declarations_are_read() -> None:
    depth, rate, kind = read_tunables(SOURCE)
    assert (depth.kind, depth.low, depth.high, depth.default) == ("int", 1, 8, 2)
    assert (rate.kind, rate.log, rate.default) == ("float", True, 0.01)
    assert (kind.kind, kind.choices, kind.default) == ("choice", ("a", "b"), "a")
    assert read_tunables("x = 1") == ()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("TUNABLES = make()", "dictionary written out"),
        ("TUNABLES = {'a': 3}", "must be Int"),
        ("TUNABLES = {'a': Int(1, n, default=1)}", "literal values"),
        ("TUNABLES = {'a': Int(1, 2)}", "needs low, high and default"),
        ("TUNABLES = {", "not Python"),
    ],
)
def test_what_cannot_be_read_is_said(source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_tunables(source)


def test_defaults_first_then_the_tuner_with_this_source_only() -> None:
    candidate, other = Candidate(source=SOURCE), Candidate(source=SOURCE + "\n")
    parameters = read_tunables(SOURCE)
    chosen = tuner("tpe")

    def tune(history: list[Entry], seed: int = 1) -> Candidate:
        return tune_candidate(candidate, parameters, history, chosen, seed=seed, metric="ndcg@10")

    assert tune([]).values == {}
    foreign = Entry(number=0, candidate=other, evaluation=scored(0.9))
    assert tune([foreign]).values == {}
    history = [foreign, Entry(number=1, candidate=tune([]), evaluation=scored(0.1))]
    second = tune(history)
    assert set(second.values) == {"depth", "rate", "kind"}
    assert second.source == candidate.source
    assert second.values == tune(list(history)).values
    history.append(Entry(number=2, candidate=second, evaluation=Failed(kind="crash", reason="x")))
    seen = observations(history, candidate, parameters, "ndcg@10")
    assert [o.score for o in seen] == [0.1, None]
    assert seen[0].point == {"depth": 2, "rate": 0.01, "kind": "a"}
    assert seen[1].point == dict(second.values)
    assert tune(history).values != second.values


def test_a_file_without_tunables_stays_as_it_is() -> None:
    plain = Candidate(source="x = 1")
    entry = Entry(number=0, candidate=plain, evaluation=scored(0.1))
    assert (
        tune_candidate(plain, (), [entry], tuner("random"), seed=1, metric="ndcg@10").values == {}
    )
