"""Speed and agreement of the trusted metrics, beside ranx and ir-measures, in one run; and the
speed of the bootstrap, of reading and of splitting, beside the bars that they are to keep.

    python -m benchmarks.evaluation [--users 1000000] [--shared 20000] [--large] [--write]

All get the same lists and held-out items, one thread each. Seconds are processor time, the best of
three runs, so that what else the machine does hardly counts.
Others keep queries and documents as text in dictionaries; what it takes to get there is shown
apart. --large reads twenty million rows too, which takes minutes and 1 GB of disk. --write puts the
tables into docs/evaluation.md.
"""

# ruff: noqa: E402 - the number of threads must be set before numpy is imported
from __future__ import annotations

import argparse
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import data_loading
from evolver.config import EvaluateConfig, SplitConfig
from evolver.data.profile import folds_of
from evolver.data.sample import sample
from evolver.data.split import make_fold, make_split
from evolver.evaluate.canaries import data_canaries
from evolver.evaluate.effect import bootstrap_effect
from evolver.metrics.ranking import parse_metric, per_user
from evolver.metrics.statistics import bootstrap_means, paired_bootstrap
from evolver.tasks.retrieval import metrics_of

MARKS = ("<!-- speed: begin -->", "<!-- speed: end -->")
NAMES = {  # ours: (ranx, ir-measures)
    "ndcg@10": ("ndcg@10", "nDCG@10"),
    "recall@20": ("recall@20", "R@20"),
    "ndcg@20": ("ndcg@20", "nDCG@20"),
    "hit@10": ("hit_rate@10", "Success@10"),
    "mrr@10": ("mrr@10", "RR@10"),
    "map@10": ("map@10", "AP@10"),
}


def case(users: int, n_items: int, k: int, seed: int = 0) -> tuple[Any, Any, Any]:
    """Top-k lists without duplicates and up to 19 held-out items a user, half of them listed."""
    rng = np.random.default_rng(seed)
    step = n_items // (k + 1)
    starts = rng.integers(0, n_items, (users, 1))
    names = rng.permutation(n_items).astype(np.int32)
    lists = names[(starts + step * np.arange(k)) % n_items]
    sizes = rng.integers(1, 20, users)
    rows = np.repeat(np.arange(users), sizes)
    inside = rng.random(len(rows)) < 0.5
    chosen = np.where(
        inside, lists[rows, rng.integers(0, k, len(rows))], rng.integers(0, n_items, len(rows))
    )
    keys = np.unique(rows * n_items + chosen)
    sizes = np.bincount(keys // n_items, minlength=users)
    return lists, np.concatenate([[0], np.cumsum(sizes)]), (keys % n_items).astype(np.int32)


def best(work: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Seconds of the fastest run, and its answer."""
    seconds, answer = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        answer = work()
        seconds = min(seconds, time.process_time() - start)
    return seconds, answer


def beside_others(users: int, n_items: int = 20_000, k: int = 100) -> list[str]:
    import ir_measures

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, about its own caching
        import ranx

        lists, indptr, items = case(users, n_items, k)
        metrics = [parse_metric(name) for name in NAMES]
        ours, values = best(lambda: per_user(lists, indptr, items, n_items, metrics))
        qrels, run, converting = _dictionaries(lists, indptr, items)

        few = [str(user) for user in range(3)]  # compile, which is done once for all
        ranx.Qrels({each: qrels[each] for each in few})
        ranx.Run({each: run[each] for each in few})
        start = time.process_time()
        theirs_qrels, theirs_run = ranx.Qrels(qrels), ranx.Run(run)
        ranx_convert = converting + time.process_time() - start
        wanted = [names[0] for names in NAMES.values()]
        evaluate = lambda: ranx.evaluate(  # noqa: E731
            theirs_qrels, theirs_run, wanted, return_mean=False
        )
        evaluate()  # compile
        ranx_seconds, found = best(evaluate)
        order = [int(name) for name in theirs_run.keys()]  # noqa: SIM118 - not a dict
        ranx_gap = _gap(values, {n: found[NAMES[n][0]] for n in NAMES}, indptr, np.array(order))

    measures = [ir_measures.parse_measure(names[1]) for names in NAMES.values()]
    start = time.process_time()
    evaluator = ir_measures.evaluator(measures, qrels)
    evaluator_seconds = time.process_time() - start
    ir_seconds, rows = best(lambda: list(evaluator.iter_calc(run)), repeats=1)
    answers = {name: np.zeros(users) for name in NAMES}
    back = {str(m): name for m, name in zip(measures, NAMES, strict=True)}
    for row in rows:
        answers[back[str(row.measure)]][int(row.query_id)] = row.value
    ir_gap = _gap(values, answers, indptr, np.arange(users))

    return [
        f"The six default metrics of top-{k} lists, {users:,} users, {n_items:,} items.",
        "",
        "| | to its own form (s) | metrics (s) | largest difference from evolver |",
        "| --- | ---: | ---: | ---: |",
        f"| evolver | 0 | {ours:.3f} | |",
        f"| ranx {version('ranx')} | {ranx_convert:.2f} | {ranx_seconds:.3f} | {ranx_gap:.1e} |",
        f"| ir-measures {version('ir-measures')} | {converting + evaluator_seconds:.2f} "
        + f"| {ir_seconds:.2f} | {ir_gap:.1e} |",
    ]


def _dictionaries(lists: Any, indptr: Any, items: Any) -> tuple[dict, dict, float]:
    start = time.process_time()
    k = lists.shape[1]
    names = {i: str(i) for i in range(int(max(lists.max(), items.max())) + 1)}
    scores = [float(k - place) for place in range(k)]
    run = {
        str(user): dict(zip((names[i] for i in row), scores, strict=True))
        for user, row in enumerate(lists.tolist())
    }
    held = items.tolist()
    qrels = {
        str(user): {names[i]: 1 for i in held[indptr[user] : indptr[user + 1]]}
        for user in range(len(lists))
    }
    return qrels, run, time.process_time() - start


def _gap(
    values: dict[str, NDArray[np.float64]], theirs: dict[str, Any], indptr: Any, order: Any
) -> float:
    """Both others divide MAP by all held-out items, evolver by those that fit: set right here."""
    sizes = np.diff(indptr)
    worst = 0.0
    for name, own in values.items():
        scale = np.minimum(sizes, 10) / sizes if name == "map@10" else 1.0
        worst = max(worst, float(np.abs((own * scale)[order] - np.asarray(theirs[name])).max()))
    return worst


def at_scale(users: int) -> list[str]:
    metrics = metrics_of(EvaluateConfig())
    deep = [parse_metric(name) for name in ("ndcg@100", "recall@100", "map@100", "mrr@100")]
    lines = [
        "| users x list, items | default metrics (s) | all at 100 (s) | bar for a million (s) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for n_items in (3_000, 50_000, 1_000_000):
        lists, indptr, items = case(users, n_items, 100)
        default, _ = best(lambda: per_user(lists, indptr, items, n_items, metrics))  # noqa: B023
        hundred, _ = best(lambda: per_user(lists, indptr, items, n_items, deep))  # noqa: B023
        lines.append(f"| {users:,} x 100, {n_items:,} | {default:.2f} | {hundred:.2f} | 2 |")
    return lines


def statistics() -> list[str]:
    rng = np.random.default_rng(0)
    lines = ["| 10,000 resamples of | seconds | bar (s) |", "| --- | ---: | ---: |"]
    for users, same in ((1_000, 0.0), (100_000, 0.0), (100_000, 0.7), (1_000_000, 0.7)):
        values = np.where(rng.random(users) < same, 0.0, rng.normal(0.01, 0.1, users))
        seconds, _ = best(lambda: paired_bootstrap(values, np.zeros(len(values))), 2)  # noqa: B023
        alike = f", {same:.0%} of them scored alike" if same else ""
        lines.append(f"| {users:,} users{alike} | {seconds:.2f} | |")
    sides = [rng.random((3, 100_000)) + rng.normal(0, 0.001, (3, 1)) for _ in range(2)]
    seconds, _ = best(lambda: bootstrap_effect(*sides), 2)
    lines.append(f"| 100,000 users x 3 seeds of both sides, as in the gate | {seconds:.2f} | 5 |")
    dense = rng.normal(size=100_000)
    own, _ = best(lambda: bootstrap_means(dense), 1)
    note = f"`scipy.stats.bootstrap` takes {_scipy(dense):.1f} s where this takes {own:.1f} s"
    return [*lines, "", f"{note} (100,000 users, 10,000 resamples, percentile)."]


def _scipy(values: NDArray[np.float64]) -> float:
    from scipy.stats import bootstrap

    options = {"n_resamples": 10_000, "method": "percentile", "batch": 50, "rng": 0}
    seconds, _ = best(lambda: bootstrap((values,), np.mean, **options), 1)
    return seconds


def data() -> list[str]:
    lines = [
        "| sample data | split (s) | fold (s) | canaries, all parts (s) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for users, items, rows in ((1_500, 800, 60_000), (20_000, 5_000, 1_000_000)):
        made = sample(users=users, items=items, rows=rows)
        split_seconds, split = best(lambda: make_split(made, SplitConfig(), 0))  # noqa: B023
        fold_seconds, _ = best(lambda: make_fold(made, split, "search", False))  # noqa: B023
        folds = folds_of(made, split).values()
        canary_seconds, _ = best(lambda: data_canaries(made, split, folds), 1)  # noqa: B023
        lines.append(
            f"| {len(made):,} rows | {split_seconds:.2f} | {fold_seconds:.2f} "
            f"| {canary_seconds:.2f} |"
        )
    return lines


def files(sizes: tuple[int, ...]) -> list[str]:
    """Each read once, with an empty cache, by a process of its own on all cores."""
    bars = {1_000_000: "1 s", 20_000_000: "15 s, 4 GB"}
    lines = [
        "| CSV | load (s) | split (s) | both, processor (s) | peak (GB) | bar |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for rows in sizes:
            path = data_loading.write(Path(folder), rows, "csv")
            _, load, split, _, cpu, peak, _ = data_loading.measure(path, Path(folder) / "cache")
            lines.append(
                f"| {rows:,} rows | {load:.2f} | {split:.2f} | {cpu:.2f} | {peak / 1e9:.2f} "
                f"| {bars[rows]} |"
            )
            path.unlink()
    return [*lines, "", "Seconds of loading and splitting are wall-clock after imports."]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--shared", type=int, default=20_000)
    parser.add_argument("--large", action="store_true", help="read twenty million rows too")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    machine = f"{os.cpu_count()} cores ({platform.machine()}), one used; Python "
    text = [
        f"Measured on {machine}{platform.python_version()}, NumPy {np.__version__}; processor time."
    ]
    for part in (
        lambda: beside_others(options.shared),
        lambda: at_scale(options.users),
        statistics,
        data,
        lambda: files((1_000_000, 20_000_000) if options.large else (1_000_000,)),
    ):
        lines = part()
        print("\n".join(lines), end="\n\n", flush=True)
        text += ["", *lines]
    if options.write:
        page = Path(__file__).parents[1] / "docs" / "evaluation.md"
        before, rest = page.read_text(encoding="utf-8").split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        whole = "\n".join(text)
        page.write_text(f"{before}{MARKS[0]}\n{whole}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
