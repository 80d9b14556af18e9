"""Which selector finds good candidates soonest? All of them on tables of points trained before.

    python -m benchmarks.parent_selection --seeds 200          # writes docs/llm.md

A stand-in for a language model breeds points of the tables that `benchmarks.searchers` made: the
same plan of operators as in a real run says what to do to which parent, and the change itself is
drawn at random. What selection is worth under a model that changes things with thought is not
measured here. Pareto is left out: the tables hold no latency.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Literal, get_args

import numpy as np
from scipy import stats

from benchmarks.searchers import HERE, grid_space, interval, key, nearest
from evolver.archive.select import selector
from evolver.config import SelectConfig
from evolver.core import Brief, Candidate, Entry, Limits, Scored, Value
from evolver.propose.operators import plan
from evolver.tune.points import is_active

Kind = Literal["islands", "map-elites", "tournament", "power-law"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DOCS = HERE.parent / "docs" / "llm.md"
BEGIN, END = "<!-- selectors: begin -->", "<!-- selectors: end -->"
METRIC = "ndcg@10"
LAG = 4
SEEDS_OF_A_RUN = 6
SHOWN = (20, 40, 80)
Point = Mapping[str, Value]
SPACE = grid_space()


@cache
def _nearest(point: str) -> str:
    return nearest(json.loads(point))


def place(point: Point) -> str:
    """The key of the table's point that is nearest to this one."""
    return _nearest(key(point))


def random_point(rng: np.random.Generator) -> dict[str, Value]:
    point: dict[str, Value] = {}
    for p in SPACE:
        if is_active(p, point):
            choices = p.choices or (p.low, p.high)
            point[p.name] = choices[int(rng.integers(len(choices)))]
    return point


def changed(point: Point, rng: np.random.Generator, times: int) -> dict[str, Value]:
    """`point` with some of its settings drawn anew; what no longer applies falls away."""
    fresh = random_point(rng)
    names = list(rng.permutation([p.name for p in SPACE])[:times])
    found: dict[str, Value] = {}
    for p in SPACE:
        if is_active(p, found):
            kept = point.get(p.name) if p.name not in names else None
            value = kept if kept is not None else fresh.get(p.name)
            found[p.name] = p.choices[0] if value is None and p.choices else value or p.low
    return found


def crossed(one: Point, other: Point, rng: np.random.Generator) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for p in SPACE:
        if is_active(p, found):
            first, second = (one, other) if rng.random() < 0.5 else (other, one)
            value = first.get(p.name, second.get(p.name))
            found[p.name] = p.choices[0] if value is None and p.choices else value or p.low
    return found


def entry(number: int, point: Point, parents: tuple[str, ...], table: Mapping[str, float]) -> Entry:
    return Entry(
        number=number,
        candidate=Candidate(
            source=key(point) + f" {number}",
            parents=parents,
            family=str(point["items"]),
            point=point,
            direction="architecture" if number >= SEEDS_OF_A_RUN else "",
        ),
        evaluation=Scored(
            metrics={METRIC: table[place(point)]},
            per_user={},
            fit_seconds=1.0,
            score_seconds=0.1,
            latency_ms_p50=1.0,
            latency_ms_p99=1.0,
            parameters=1,
            peak_bytes=1,
        ),
    )


def curve(job: tuple[Kind, Mapping[str, float], int, int]) -> list[float]:
    """The best score so far after each candidate of one run."""
    kind, table, candidates, seed = job
    chosen = selector(SelectConfig(selector=kind), METRIC, seed)
    history: list[Entry] = []
    best: list[float] = []
    for number in range(candidates):
        rng = np.random.default_rng([seed, number])
        known = history[: max(0, number - LAG + 1)]
        brief = Brief(
            number=number,
            seed=seed,
            task="retrieval",
            metric=METRIC,
            profile={},
            history=known,
            parents=chosen.select(known, seed + number),
            limits=Limits(),
            candidates_left=candidates - number,
            seconds_left=1e9,
        )
        todo = plan(brief)
        if number < SEEDS_OF_A_RUN or todo.parent is None or todo.operator == "draft":
            point, parents = random_point(rng), ()
        else:
            start, parents = todo.parent.candidate.point or {}, todo.parents
            if todo.mate is not None:
                point = crossed(start, todo.mate.candidate.point or {}, rng)
            else:
                point = changed(start, rng, 3 if todo.operator == "rewrite" else 1)
        history.append(entry(number, point, parents, table))
        best.append(max(table[place(point)], best[-1] if best else 0.0))
    return best


def report(name: str, table: Mapping[str, float], curves: Mapping[str, np.ndarray]) -> str:
    rng = np.random.default_rng(0)
    values = list(table.values())
    lines = [
        f"**{name}**: {len(table)} points, median {np.median(values):.4f}, best {max(values):.4f}.",
        "",
        "| selector | runs | "
        + " | ".join(f"after {n}" for n in SHOWN)
        + " | p against tournament |",
        "| --- | --- |" + " --- |" * (len(SHOWN) + 1),
    ]
    for kind in sorted(curves, key=lambda k: -float(curves[k].mean())):
        cells = []
        for n in SHOWN:
            low, high = interval(curves[kind][:, n - 1], rng)
            cells.append(f"{curves[kind][:, n - 1].mean():.4f} ({low:.4f} to {high:.4f})")
        areas = curves[kind].mean(axis=1), curves["tournament"].mean(axis=1)
        p = "·" if kind == "tournament" else f"{stats.mannwhitneyu(*areas).pvalue:.2g}"
        lines.append(f"| {kind} | {len(curves[kind])} | " + " | ".join(cells) + f" | {p} |")
    return "\n".join(lines)


def run(kinds: Sequence[Kind], seeds: int, workers: int) -> list[str]:
    parts = []
    for path in sorted((HERE / "tables").glob("*.json")):
        table: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        curves = {}
        for kind in kinds:
            jobs = [(kind, table, max(SHOWN), seed) for seed in range(seeds)]
            with ProcessPoolExecutor(workers) as pool:
                curves[kind] = np.array(list(pool.map(curve, jobs, chunksize=10)))
            print(f"{path.stem} {kind}: {curves[kind][:, -1].mean():.4f}", flush=True)
        parts.append(report(path.stem, table, curves))
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--workers", type=int, default=1)
    told = parser.parse_args()
    parts = run(KINDS, told.seeds, told.workers)
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    DOCS.write_text(
        before + BEGIN + "\n\n" + "\n\n".join(parts) + "\n\n" + END + after, encoding="utf-8"
    )
    print(f"wrote {DOCS}")


if __name__ == "__main__":
    main()
