from __future__ import annotations

from typing import Any

import numpy as np

from evolver.config import PromoteConfig
from evolver.core import Evaluation, Failed, Scored
from evolver.evaluate.gate import run_gate

CONFIG = PromoteConfig()


class Laboratory:
    """Measures on demand; remembers what was asked for."""

    def __init__(self, gain: float, noise: float, fail: tuple[str, int] | None = None) -> None:
        self.gain, self.noise, self.fail = gain, noise, fail
        self.asked: list[tuple[str, int]] = []
        self.readings = 0
        self.base = np.random.default_rng(0).random(500)

    def measure(self, side: Any, run: int) -> Evaluation:
        self.asked.append((side, run))
        if self.fail == (side, run):
            return Failed(kind="timeout", reason="60 s were over")
        rng = np.random.default_rng([run, len(side)])
        luck = rng.normal(0, 0.02, len(self.base)) + self.noise * (-1) ** run
        values = self.base + luck + (self.gain if side == "challenger" else 0.0)
        breadth = {"coverage@10": 0.5, "popularity_share@10": 0.2}
        return Scored(
            metrics={"ndcg@10": float(values.mean()), **breadth},
            per_user={"ndcg@10": values.astype(np.float32)},
            fit_seconds=1, score_seconds=1, latency_ms_p50=1, latency_ms_p99=1, parameters=1,
            peak_bytes=1,
        )  # fmt: skip

    def count(self) -> int:
        self.readings += 1
        return self.readings

    def run(self) -> Any:
        return run_gate(self.measure, self.count, metric="ndcg@10", config=CONFIG)


def test_a_clear_gain_takes_one_reading_and_three_seeds() -> None:
    lab = Laboratory(gain=0.05, noise=0.0)
    (verdict,) = lab.run()
    assert verdict.decision == "promote"
    assert lab.readings == 1
    assert sorted(lab.asked) == [
        (side, run) for side in ("challenger", "incumbent") for run in range(3)
    ]


def test_seeds_are_added_and_each_run_is_measured_once() -> None:
    lab = Laboratory(gain=0.06, noise=0.03)
    *earlier, last = lab.run()
    assert [verdict.decision for verdict in earlier] == ["extend"] * len(earlier)
    assert earlier
    assert last.decision == "promote"
    assert last.evidence.seeds == (earlier[-1].seeds,) * 2
    assert lab.readings == last.evidence.reading == len(earlier) + 1
    assert len(lab.asked) == len(set(lab.asked)) == 2 * earlier[-1].seeds


def test_a_failure_under_another_seed_rejects_and_reads_nothing() -> None:
    lab = Laboratory(gain=0.05, noise=0.0, fail=("challenger", 1))
    (verdict,) = lab.run()
    assert verdict.decision == "reject"
    assert verdict.reason == "the challenger failed in run 2: timeout, 60 s were over"
    assert lab.readings == 0
