"""How long do workers stand idle while a slow language model writes?

    python -m benchmarks.proposer_overlap           # writes docs/llm.md; about half an hour

The whole loop runs: prompts are rendered and sent over real HTTP to a scripted server that takes
its time, replies are streamed, read, checked and recorded. Only training is replaced, by a sleep of
a known length, so that what is measured is the loop and not the machine. Lengths vary by a half to
either side. Idle is what is missing to all workers being busy, from the moment when the first
written candidate trains to the moment when the last one begins.
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.searchers import HERE
from evolver import assemble
from evolver import run as runs
from evolver.archive.select import selector
from evolver.config import BudgetConfig, DataConfig, ExecuteConfig, ProposeConfig, RunConfig
from evolver.core import Completed, Execution, Job, Progress
from evolver.evolve import Search
from evolver.propose.llm import LLMProposer
from tests.propose.openai_server import Act, Server
from tests.propose.samples import SOURCE, good_reply

DOCS = HERE.parent / "docs" / "llm.md"
BEGIN, END = "<!-- overlap: begin -->", "<!-- overlap: end -->"
BAR = 0.10
HIDDEN = 2.0
"""With the default `propose.ahead`, replies up to so many trainings long keep workers busy."""
SMOKE = 0.1
"""A smoke run takes this part of a training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """train and write: mean seconds of one training and of one reply. lag: candidates in flight
    for each worker (`propose.ahead`)."""

    workers: int
    train: float
    write: float
    lag: int
    candidates: int = 60


class Sleeping:
    """A sandbox in which training is a sleep; remembers when it was busy."""

    name = "sleeping"

    def __init__(self, seconds: float) -> None:
        self.busy: list[tuple[float, float]] = []
        self._seconds = seconds
        self._lock = threading.Lock()

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        rng = random.Random(job.candidate.id)
        begun = time.monotonic()
        whole = 1.0 if job.view.name == "search" else SMOKE
        time.sleep(whole * self._seconds * rng.uniform(0.5, 1.5))
        if job.candidate.proposer == "llm":
            with self._lock:
                self.busy.append((begun, time.monotonic()))
        return Execution(outcome=_ranked(job), seconds=time.monotonic() - begun)

    def close(self) -> None:
        """Nothing is held."""


def _ranked(job: Job) -> Completed:
    """Any valid lists: users' own items left out."""
    indptr = np.load(job.view / "query_indptr.npy")
    items = np.load(job.view / "query_items.npy")
    rng = np.random.default_rng(int(job.candidate.id, 16))
    lists = np.empty((job.queries, job.k), dtype=np.int32)
    for row in range(job.queries):
        left = np.setdiff1d(np.arange(job.items), items[indptr[row] : indptr[row + 1]])
        lists[row] = rng.permutation(left)[: job.k]
    return Completed(
        answers=lists,
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms=np.array([0.1]),
        parameters=1,
        peak_bytes=1,
    )


def measure(case: Case) -> float:
    """The share of the workers' time in which they stood idle."""
    sandbox = Sleeping(case.train)
    numbers = itertools.count()
    dice = random.Random(0)

    def write(_: dict[str, Any]) -> str:
        number = next(numbers)
        time.sleep(case.write * dice.uniform(0.5, 1.5))
        return good_reply(SOURCE.replace("FAMILY =", f"LABEL = {number}\nFAMILY ="))

    server = Server([Act(echo=write)])
    with tempfile.TemporaryDirectory() as folder:
        config = RunConfig(
            data=DataConfig(path=_data(Path(folder))),
            budget=BudgetConfig(candidates=case.candidates),
            execute=ExecuteConfig(workers=case.workers, threads=1, device="cpu"),
            propose=ProposeConfig(
                proposer="llm",
                models=("openai/scripted",),
                api_base=server.base,
                similarity=1.0,
                ahead=case.lag,
            ),
            baseline_share=0.01,
        )
        run = runs.create(config, Path(folder) / "run")
        llm = LLMProposer(config.propose, run.archive, judgement=assemble._judgement(run))
        Search(
            run,
            sandbox=sandbox,
            tuning=assemble.baseline_proposer(run),
            searching=llm,
            selector=selector(config.select, run.metric, run.seed),
        ).go()
        run.archive.close()
    server.close()
    start = min(begun for begun, _ in sandbox.busy)
    end = max(begun for begun, _ in sandbox.busy)
    worked = sum(max(0.0, min(over, end) - begun) for begun, over in sandbox.busy)
    return 1.0 - worked / (case.workers * (end - start))


def _data(folder: Path) -> str:
    rng = np.random.default_rng(0)
    rows = [
        f"{user},{item},{1_600_000_000 + user * 7 + step * 40_000}"
        for user in range(60)
        for step, item in enumerate(rng.permutation(50)[:20])
    ]
    path = folder / "ratings.csv"
    path.write_text("user,item,timestamp\n" + "\n".join(rows) + "\n")
    return str(path)


def table(cases: list[Case], idle: list[float]) -> str:
    lines = [
        "| workers | one training | one reply | `ahead` | idle |",
        "| --- | --- | --- | --- | --- |",
    ]
    for case, share in zip(cases, idle, strict=True):
        lines.append(
            f"| {case.workers} | {case.train:g} s | {case.write:g} s | {case.lag} | {share:.1%} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", type=float, default=6.0, help="mean seconds of one training")
    parser.add_argument("--processes", type=int, default=2, help="cases measured side by side")
    told = parser.parse_args()
    cases = [
        Case(workers=workers, train=told.train, write=ratio * told.train, lag=lag)
        for workers in (2, 4)
        for ratio, lag in ((0.5, 3), (0.5, 4), (1.0, 3), (1.0, 4), (2.0, 3), (2.0, 4), (4.0, 6))
    ]
    with ProcessPoolExecutor(told.processes) as pool:
        idle = list(pool.map(measure, cases))
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    found = table(cases, idle)
    DOCS.write_text(f"{before}{BEGIN}\n\n{found}\n\n{END}{after}", encoding="utf-8")
    print(found)
    usual = ProposeConfig().ahead
    within = [
        share
        for case, share in zip(cases, idle, strict=True)
        if case.lag == usual and case.write <= HIDDEN * case.train
    ]
    print(
        f"worst with ahead {usual}, replies up to {HIDDEN:g} trainings long: {max(within):.1%}; "
        f"bar {BAR:.0%}"
    )
    sys.exit(max(within) > BAR)


if __name__ == "__main__":
    main()
