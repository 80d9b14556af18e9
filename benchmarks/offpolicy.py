"""How far off are off-policy estimates, and is what gets adopted better?

    python -m benchmarks.offpolicy estimators open-bandit learners --data FOLDER [--write]

Simulated bandits with known truth; the Open Bandit sample, each log against the other; serving
decisions on MovieLens 1M with modelled rewards. FOLDER holds `obd` and `ml-1m`. --write puts the
tables of these parts into docs/serving.md.
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from evolver.config import DataConfig
from evolver.data.formats import load
from evolver.serving.adopt import judge
from evolver.serving.estimators import ESTIMATORS
from evolver.serving.learn import halves, learn, learn_best
from evolver.serving.log import read_log
from evolver.serving.offpolicy import OffPolicy, evaluate
from evolver.serving.policy import Policy, UniformPolicy, as_logged
from evolver.serving.problem import Settings
from evolver.serving.semisynthetic import from_interactions
from evolver.serving.simulate import TableBandit, synthetic

PAGE = Path(__file__).parents[1] / "docs" / "serving.md"
TITLES = {
    "estimators": "Estimators, truth known",
    "open-bandit": "Open Bandit sample, each policy from the other's log",
    "learners": "Learners and adoption",
}
Map = Callable[..., Iterator[Any]]
WORLDS = {
    "even": partial(synthetic, seed=1, sharpness=0.5),
    "heavy weights": partial(synthetic, seed=2, sharpness=2.5),
    "rewards no linear model fits": partial(synthetic, seed=3, curved=True, dependence=2.0),
    "rare rewards": partial(synthetic, seed=4, base=-5.0),
}
SIZES = (500, 2000)
LEARNERS = {
    "cem": (Settings(learner="cem"),),
    "cmaes": (Settings(learner="cmaes"),),
    "gradient": (Settings(),),
}


# --- estimators ---------------------------------------------------------------------------------


@cache
def world_of(name: str) -> tuple[TableBandit, Policy]:
    """A bandit and a policy worth asking about: one that was learned, on rows of its own."""
    bandit = WORLDS[name]()
    return bandit, learn(bandit.log(3000, 10**6), Settings(steps=60, explore=0.1))


def one_estimate(job: tuple[str, int, int]) -> OffPolicy:
    world, n, seed = job
    bandit, policy = world_of(world)
    log = bandit.log(n, seed)
    return evaluate(log, policy.probabilities(log), resamples=200, seed=seed)


def estimators(repeats: int, mapped: Map) -> Iterator[str]:
    yield f"{repeats} logs a row; the target policy was learned on rows of its own."
    yield ""
    yield (
        "| bandit | rows | estimator | bias / truth | RMSE / truth | student covers "
        "| bootstrap covers | width / truth |"
    )
    yield "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"
    for world in WORLDS:
        bandit, policy = world_of(world)
        truth = bandit.value(policy)
        for n in SIZES:
            jobs = [(world, n, seed) for seed in range(repeats)]
            found = list(mapped(one_estimate, jobs))
            start = f"| {world} | {n} |"
            for name in ESTIMATORS:
                each = [f.estimates[name] for f in found]
                errors = np.array([e.value for e in each]) / truth - 1
                by_student = np.mean([e.student.low <= truth <= e.student.high for e in each])
                by_bootstrap = np.mean(
                    [b.low <= truth <= b.high for e in each if (b := e.bootstrap) is not None]
                )
                width = np.mean([e.student.high - e.student.low for e in each]) / truth
                yield (
                    f"{start} {name} | {errors.mean():+.3f} | {np.sqrt((errors**2).mean()):.3f} "
                    f"| {by_student:.1%} | {by_bootstrap:.1%} | {width:.2f} |"
                )
            for name in ("betting", "bernstein"):
                each_honest = [f.honest[name] for f in found]
                covered = np.mean([i.low <= truth <= i.high for i in each_honest])
                width = np.mean([i.high - i.low for i in each_honest]) / truth
                yield f"{start} {name} interval | | | {covered:.1%} | | {width:.2f} |"


# --- the Open Bandit sample ---------------------------------------------------------------------


def open_bandit(folder: Path) -> Iterator[str]:
    logs = {name: read_log(folder / "obd" / name) for name in ("random", "bts")}
    yield "| policy | from the log of | estimator | value, 95% | on its own log |"
    yield "| --- | --- | --- | --- | --- |"
    for name, source in (("bts", "random"), ("random", "bts")):
        log, own = logs[source], logs[name]
        policy: Policy = as_logged(own) if name == "bts" else UniformPolicy()
        found = evaluate(log, policy.probabilities(log))
        mean = float(own.rewards.mean())
        error = 1.96 * float(own.rewards.std(ddof=1)) / len(own) ** 0.5
        truth = f"{mean:.4f} ({mean - error:.4f} to {mean + error:.4f})"
        for key in ("dm", "ips", "snips", "dr", "switch-dr", "dr-shrunk"):
            e = found.estimates[key]
            text = f"{e.value:.4f} ({e.student.low:.4f} to {e.student.high:.4f})"
            yield f"| {name} | {source} | {key} | {text} | {truth} |"
        for key, i in found.honest.items():
            text = f"{i.low:.4f} to {i.high:.4f}"
            yield f"| {name} | {source} | {key} interval | {text} | {truth} |"
        s = found.support
        yield (
            f"| {name} | {source} | worth | {s.effective:.0f} observations, {s.rewarded} clicks, "
            f"mean weight {s.mean_weight:.3f} ± {s.weight_error:.3f} | |"
        )


# --- learners -----------------------------------------------------------------------------------

_bandits: dict[str, TableBandit] = {}


def build(folder: Path) -> dict[str, TableBandit]:
    return {
        "noise": synthetic(seed=9, actions=6, dependence=0.0, spread=0.0),
        "context matters": synthetic(seed=10, actions=6, dependence=1.5, spread=0.3, sharpness=0.5),
        "ml-1m": from_interactions(load(DataConfig(path=str(folder / "ml-1m")))),
    }


def one_search(job: tuple[str, str, int, int]) -> tuple[float, bool, bool]:
    """The learned policy's true value, and whether each bound adopts it."""
    name, learner, n, seed = job
    bandit = _bandits[name]
    learning, judging = halves(bandit.log(n, seed), 0.5, seed)
    policy, _ = learn_best(learning, LEARNERS[learner], explore=0.05, seed=seed)
    chances = policy.probabilities(judging)
    adopted = [judge(judging, chances, bound=b, seed=seed).decision for b in ("betting", "student")]
    return bandit.value(policy), adopted[0] == "adopt", adopted[1] == "adopt"


def learners(repeats: int, mapped: Map) -> Iterator[str]:
    yield (
        "Half of the rows learn, half judge; risk 5%, 5% of decisions left to chance. Wrong: "
        "adopted though not better than the logging policy, with a 95% interval. Value: of what "
        "serves after the verdict of the betting bound, mean."
    )
    yield ""
    yield (
        "| bandit | rows | logs | learner | learned | value after | betting: adopted | wrong | "
        "student: adopted | wrong |"
    )
    yield "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, sizes, logs in (
        ("noise", (1000,), repeats),
        ("context matters", (1000, 8000), max(repeats // 10, 2)),
        ("ml-1m", (5000, 20000), max(repeats // 10, 2)),
    ):
        b = _bandits[name]
        for n in sizes:
            for learner in LEARNERS:
                jobs = [(name, learner, n, seed) for seed in range(logs)]
                found = list(mapped(one_search, jobs))
                values = np.array([f[0] for f in found])
                line = f"| {name} | {n} | {logs} | {learner} | {values.mean():.4f} |"
                for bound in (1, 2):
                    took = np.array([f[bound] for f in found])
                    if bound == 1:
                        after = np.where(took, values, b.logged_value).mean()
                        line += f" {after:.4f} |"
                    wrong = int((took & (values <= b.logged_value + 1e-12)).sum())
                    i = binomtest(wrong, logs).proportion_ci()
                    line += (
                        f" {took.mean():.0%} | {wrong / logs:.1%} ({i.low:.1%} to {i.high:.1%}) |"
                    )
                yield line
        yield (
            f"| {name} | | | truth | logging {b.logged_value:.4f} | best static "
            f"{b.best_static:.4f} | best by context {b.best_contextual:.4f} | | | |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=list(TITLES))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if "learners" in options.parts:
        _bandits.update(build(options.data))
    with contextlib.ExitStack() as stack:
        mapped: Map = map
        if options.workers > 1:
            pool = ProcessPoolExecutor(
                options.workers,
                mp_context=get_context("spawn"),  # a fork of running threads may hang
                initializer=_bandits.update,
                initargs=(_bandits,),
            )
            mapped = partial(stack.enter_context(pool).map, chunksize=5)
        for part in options.parts:
            start = time.perf_counter()
            lines = []
            for line in {
                "estimators": lambda: estimators(options.repeats, mapped),
                "open-bandit": lambda: open_bandit(options.data),
                "learners": lambda: learners(options.repeats, mapped),
            }[part]():
                lines.append(line)
                print(line, flush=True)
            print(f"{time.perf_counter() - start:.0f} s")
            if options.write:
                write(part, lines)


def write(part: str, lines: list[str]) -> None:
    """Put a part's lines between its marks."""
    begin, end = (f"<!-- {part}: {word} -->" for word in ("begin", "end"))
    before, rest = PAGE.read_text(encoding="utf-8").split(begin)
    text = "\n".join([f"### {TITLES[part]}", "", *lines])
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
