"""Run the promotion gate to its end: measure, judge, add seeds while it asks for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evolver.config import PromoteConfig
from evolver.core import Failed, Scored
from evolver.evaluate.promotion import Verdict, judge

Side = Literal["challenger", "incumbent"]


def run_gate(
    measure: Callable[[Side, int], Scored | Failed],
    count_reading: Callable[[], int],
    *,
    metric: str,
    config: PromoteConfig,
    slices: Mapping[str, NDArray[np.bool_]] | None = None,
    seed: int = 0,
    resamples: int = 10_000,
    ahead: Callable[[Sequence[tuple[Side, int]]], None] = lambda wanted: None,
) -> tuple[Verdict, ...]:
    """Every verdict on the way, the last one final.

    `measure(side, run)` trains one side with the run-th seed (0, 1, ...) and judges it on the
    promotion part; it is asked once for each. `count_reading` records one more reading of the part
    and says which it is, from 1; it is called before each judgement, so that a killed run has paid
    for what it may have seen. `ahead` is told what `measure` will be asked for next, for whoever
    can measure side by side. A side that fails in a run ends it with a rejection.
    """
    measured: dict[Side, list[Scored]] = {"challenger": [], "incumbent": []}
    verdicts: list[Verdict] = []
    wanted = config.seeds
    while True:
        ahead([(side, n) for n in range(wanted) for side in measured if n >= len(measured[side])])
        for side, runs in measured.items():
            while len(runs) < wanted:
                got = measure(side, len(runs))
                if isinstance(got, Failed):
                    reason = f"the {side} failed in run {len(runs) + 1}: {got.kind}, {got.reason}"
                    return (*verdicts, Verdict(decision="reject", reason=reason, evidence=None))
                runs.append(got)
        verdict = judge(
            measured["challenger"],
            measured["incumbent"],
            metric=metric,
            reading=count_reading(),
            config=config,
            slices=slices,
            seed=seed,
            resamples=resamples,
        )
        verdicts.append(verdict)
        if verdict.decision != "extend":
            return tuple(verdicts)
        wanted = verdict.seeds
