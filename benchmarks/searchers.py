"""Which searcher finds good candidates soonest? All of them on tables of a small space.

    python -m benchmarks.searchers table ml-100k DATA/ml-100k   # train every point once
    python -m benchmarks.searchers run --seeds 20 --trials 40             # writes docs/search.md

A table holds the search metric of every point of a grid over one family, trained once on real
data, so that hundreds of searches cost no training. The searchers see the grid as the typed space
it is: choices as choices, levels of a number as a number, looked up at the nearest level. They are
told what a real run would tell them, and nothing of how good the best point is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import types
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from evolver.config import DataConfig, SplitConfig
from evolver.contract import Budget, Params
from evolver.core import Observation, Parameter, Value
from evolver.data.formats import load
from evolver.data.split import Fold, make_fold, make_split
from evolver.metrics.ranking import parse_metric, per_user
from evolver.tune.points import is_active
from evolver.tune.registry import TUNERS, tuner
from evolver.tune.sampling import to_unit
from evolver.tune.space import load_space

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "search.md"
METRIC = parse_metric("ndcg@10")
BEGIN, END = "<!-- searchers: begin -->", "<!-- searchers: end -->"
SLOW = ("gp", "ppo", "rl")
SHOWN = (5, 10, 20, 40)
LEVELS: Mapping[str, tuple[float, ...]] = {
    "history_half_life": (4.0, 40.0),
    "sequence_share": (0.25, 0.6),
}
CHOICES = ("items", "age", "history", "sequence", "absence", "popularity")


def grid_space() -> tuple[Parameter, ...]:
    """The part of the linear space that the tables cover; all else stays at its default."""
    return tuple(p for p in load_space("linear").parameters if p.name in (*CHOICES, *LEVELS))


def grid() -> list[dict[str, Value]]:
    """Every point of the table, once."""
    space = grid_space()
    axes = [p.choices if p.kind == "choice" else LEVELS[p.name] for p in space]
    points: dict[str, dict[str, Value]] = {}
    for values in itertools.product(*axes):
        point: dict[str, Value] = {}
        for p, value in zip(space, values, strict=True):
            if is_active(p, point):
                point[p.name] = value
        points[key(point)] = point
    return list(points.values())


def key(point: Mapping[str, Value]) -> str:
    return json.dumps(dict(sorted(point.items())))


def nearest(point: Mapping[str, Value]) -> str:
    """The key of the table's point that is nearest to this one."""
    space = {p.name: p for p in grid_space()}
    found: dict[str, Value] = {}
    for name, value in point.items():
        p = space[name]
        if p.kind == "choice":
            found[name] = value
        else:
            place = to_unit(p, value)
            found[name] = min(LEVELS[name], key=lambda level: abs(to_unit(p, level) - place))
    return key(found)


# --- tables -------------------------------------------------------------------------------------


def measured(source: str, fold: Fold) -> float:
    """The search metric of a candidate that was compiled from our own template."""
    module = types.ModuleType("candidate")
    exec(compile(source, "candidate", "exec"), module.__dict__)
    params = Params({name: t.default for name, t in module.TUNABLES.items()})
    model = module.Model(params)
    steps = model.fit(fold.train, Budget(seconds=60.0, seed=0))
    for _ in steps or ():
        pass
    lists = []
    for start in range(0, len(fold.queries), 1024):
        users = fold.queries[start : start + 1024]
        scores = np.array(model.score(users), dtype=np.float32)
        scores[np.repeat(np.arange(len(users)), np.diff(users.indptr)), users.items] = -np.inf
        lists.append(np.argsort(-scores, axis=1, kind="stable")[:, : METRIC.k].astype(np.int32))
    values = per_user(
        np.concatenate(lists),
        fold.labels.indptr,
        fold.labels.items,
        fold.train.n_items,
        (METRIC,),
    )
    return float(next(iter(values.values())).mean())


def build_table(name: str, path: str) -> None:
    dataset = load(DataConfig(path=path))
    split = make_split(dataset, SplitConfig(), seed=0)
    fold = make_fold(dataset, split, "search", False)
    space = load_space("linear")
    scores: dict[str, float] = {}
    points = grid()
    for number, point in enumerate(points, 1):
        candidate = space.compile(space.complete(point))
        scores[key(point)] = round(measured(candidate.source, fold), 6)
        print(f"\r{number} of {len(points)}", end="", flush=True)
    (HERE / "tables").mkdir(exist_ok=True)
    target = HERE / "tables" / f"linear-{name}.json"
    target.write_text(json.dumps(scores, indent=0, sort_keys=True) + "\n", encoding="utf-8")
    print(f"\n{target}: {len(scores)} points, best {max(scores.values()):.4f}")


# --- searches -----------------------------------------------------------------------------------


def curve(job: tuple[str, Mapping[str, float], int, int]) -> list[float]:
    """The best score so far after each trial of one search."""
    name, table, trials, seed = job
    searcher, space = tuner(name), grid_space()
    observed: list[Observation] = []
    best: list[float] = []
    for number in range(trials):
        point = searcher.suggest(space, observed, seed * 10_007 + number)
        score = table[nearest(point)]
        observed.append(Observation(point=point, score=score))
        best.append(max(score, best[-1] if best else score))
    return best


def interval(values: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95% bootstrap interval of the mean over seeds."""
    means = rng.choice(values, (4000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def report(name: str, table: Mapping[str, float], curves: Mapping[str, np.ndarray]) -> str:
    """One table: mean best-so-far at several budgets, and the test against random search."""
    rng = np.random.default_rng(0)
    trials = next(iter(curves.values())).shape[1]
    shown = [t for t in SHOWN if t <= trials]
    top, median = max(table.values()), float(np.median(list(table.values())))
    lines = [
        f"**{name}**: {len(table)} points, median {median:.4f}, best {top:.4f}.",
        "",
        "| searcher | seeds | " + " | ".join(f"after {t}" for t in shown) + " | p against random |",
        "| --- | --- |" + " --- |" * (len(shown) + 1),
    ]
    area = {n: c.mean(axis=1) for n, c in curves.items()}
    for searcher in sorted(curves, key=lambda n: -float(area[n].mean())):
        cells = []
        for t in shown:
            values = curves[searcher][:, t - 1]
            low, high = interval(values, rng)
            cells.append(f"{values.mean():.4f} ({low:.4f} to {high:.4f})")
        if searcher == "random":
            p = "·"
        else:
            test = stats.mannwhitneyu(area[searcher], area["random"], alternative="greater")
            p = f"{test.pvalue:.3g}"
        seeds = len(curves[searcher])
        lines.append(f"| {searcher} | {seeds} | " + " | ".join(cells) + f" | {p} |")
    return "\n".join(lines)


def run(names: Sequence[str], seeds: int, slow_seeds: int, trials: int, workers: int) -> None:
    parts = []
    for path in sorted((HERE / "tables").glob("*.json")):
        table: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        curves = {}
        for name in names:
            count = slow_seeds if name in SLOW else seeds
            jobs = [(name, table, trials, seed) for seed in range(count)]
            with ProcessPoolExecutor(workers) as pool:
                curves[name] = np.array(list(pool.map(curve, jobs)))
            print(f"{path.stem} {name}: {curves[name][:, -1].mean():.4f}", flush=True)
        parts.append(report(path.stem, table, curves))
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(
        before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, encoding="utf-8"
    )
    print(f"wrote {DOCS}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands: Any = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("table", help="train every point of the grid on one data set")
    one.add_argument("name")
    one.add_argument("path")
    many = commands.add_parser("run", help="search the tables and write docs/search.md")
    many.add_argument("--searchers", nargs="+", default=list(TUNERS), choices=list(TUNERS))
    many.add_argument("--seeds", type=int, default=20)
    many.add_argument("--slow-seeds", type=int, default=5, help="for " + ", ".join(SLOW))
    many.add_argument("--trials", type=int, default=40)
    many.add_argument("--workers", type=int, default=1)
    told = parser.parse_args()
    if told.command == "table":
        build_table(told.name, told.path)
    else:
        run(told.searchers, told.seeds, told.slow_seeds, told.trials, told.workers)


if __name__ == "__main__":
    main()
