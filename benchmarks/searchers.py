"""Which searcher finds good candidates soonest? All of them on tables of trained points.

    python -m benchmarks.searchers run --repeats 100     # searches, and keeps what each one did
    python -m benchmarks.searchers write                 # docs/search.md from what is kept

The tables (`benchmarks/searcher_tables.py`) hold every point of a small space, trained once on real
data, so that hundreds of searches cost no training. A searcher sees the grid as the typed space it
is: choices as choices, levels of a number as a number, looked up at the nearest level.

All searchers start alike. `blind`: no parameter has a default, and the first four points are drawn
at random, the same for every searcher of a repeat. `told`: as in a real run, parameters have their
defaults, and the default point comes first. `moved`: as `blind`, but nothing is given; `rl+` has
seen a random search of 40 points on each other data set. So repeats are pairs, and are tested so.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.searcher_tables import Table, read_tables
from evolver.core import Observation, Parameter, Tuner
from evolver.tune.controller import Reinforce
from evolver.tune.experience import Experience, regime
from evolver.tune.registry import TUNERS, tuner
from evolver.tune.sampling import random_point, seeded

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs" / "search.md"
RESULTS = Path("runs") / "searchers.jsonl"
BEGIN, END = "<!-- searchers: begin -->", "<!-- searchers: end -->"
SETTINGS = ("blind", "told", "moved")
SLOW = ("gp", "ppo")
"""What costs most for a suggestion has fewer repeats, and starts blind only."""
SHOWN = (5, 10, 20, 40)
TRIALS = 40
GIVEN = 4
CHOSEN_ON = "linear-ml-100k"
"""The table that the settings of `rl` were chosen on; the others confirm."""


@dataclass(frozen=True, kw_only=True)
class Job:
    setting: str
    table: str
    searcher: str
    repeat: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """best: the best score so far after each trial. seconds: of processor time a suggestion."""

    job: Job
    best: tuple[float, ...]
    seconds: float


# --- searching ----------------------------------------------------------------------------------


def blind(space: Sequence[Parameter]) -> tuple[Parameter, ...]:
    """The space without its defaults."""
    return tuple(replace(p, default=None) for p in space)


def start(table: Table, setting: str, repeat: int) -> list[Observation]:
    """What every searcher of a repeat is given."""
    if setting == "told":
        defaults = {p.name: p.default for p in table.parameters if p.default is not None}
        point = next(
            {name: defaults[name] for name in point}
            for point in table.points
            if all(point[p.name] == p.default for p in table.parameters if _choice(p, point))
        )
        return [table.observe(point)]
    rng = seeded("start", table.name, repeat)
    count = GIVEN if setting == "blind" else 0
    return [table.observe(random_point(table.parameters, rng)) for _ in range(count)]


def _choice(p: Parameter, point: Mapping[str, Any]) -> bool:
    return p.kind == "choice" and p.name in point


def searcher(name: str, table: Table, tables: Sequence[Table], repeat: int) -> Tuner:
    if name != "rl+":
        return tuner(name)
    others = [t for t in tables if t.space == table.space and t.data != table.data]
    experience = []
    for other in others:
        rng = seeded("experience", other.name, repeat)
        points = [random_point(other.parameters, rng) for _ in range(TRIALS)]
        observed = tuple(other.observe(point) for point in points)
        experience.append(Experience(observed=observed, regime=regime(other.profile)))
    return Reinforce(experience=tuple(experience), regime=regime(table.profile))


def search(job: Job) -> Done:
    """One search. The same job gives the same result, but for its seconds."""
    torch.set_num_threads(1)
    tables = read_tables()
    table = next(t for t in tables if t.name == job.table)
    which = searcher(job.searcher, table, tables, job.repeat)
    space = table.parameters if job.setting == "told" else blind(table.parameters)
    observed = start(table, job.setting, job.repeat)
    began, asked = time.process_time(), 0
    for number in range(len(observed), TRIALS):
        point = which.suggest(space, observed, job.repeat * 10_007 + number)
        observed.append(table.observe(point))
        asked += 1
    seconds = (time.process_time() - began) / asked
    best = np.maximum.accumulate([o.score for o in observed if o.score is not None])
    return Done(job=job, best=tuple(best.tolist()), seconds=round(seconds, 5))


def run(names: Sequence[str], repeats: int, slow_repeats: int, workers: int, keep: Path) -> None:
    """Do what is not done yet, and keep it, one line a search."""
    known = {done.job for done in read(keep)}
    tables = read_tables()
    spaces = [table.space for table in tables]
    jobs = [
        Job(setting=setting, table=table.name, searcher=name, repeat=repeat)
        for repeat in range(repeats)
        for setting in SETTINGS
        for table in tables
        for name in (("random", "rl", "rl+") if setting == "moved" else names)
        if setting != "moved" or spaces.count(table.space) > 1  # else nothing was seen elsewhere
        if repeat < (slow_repeats if name in SLOW else repeats)
        if setting == "blind" or name not in SLOW
    ]
    open_jobs = [job for job in jobs if job not in known]
    keep.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool, keep.open("a", encoding="utf-8") as file:
        for number, done in enumerate(pool.map(search, open_jobs, chunksize=1), 1):
            job = done.job
            line = [job.setting, job.table, job.searcher, job.repeat, done.seconds, done.best]
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            print(f"\r{number} of {len(open_jobs)}", end="", flush=True)
    print()


def read(keep: Path) -> list[Done]:
    if not keep.exists():
        return []
    rows = [json.loads(line) for line in keep.read_text(encoding="utf-8").splitlines()]
    return [
        Done(
            job=Job(setting=setting, table=table, searcher=name, repeat=repeat),
            best=tuple(best),
            seconds=seconds,
        )
        for setting, table, name, repeat, seconds, best in rows
    ]


# --- reporting ----------------------------------------------------------------------------------

Curves = Mapping[tuple[str, str], np.ndarray]
"""(table, searcher) to (repeats, trials): from 0 for the table's median to 1 for its best."""


def curves(found: Sequence[Done], setting: str, tables: Sequence[Table]) -> Curves:
    scale = {t.name: (float(np.median(t.scores)), max(t.scores)) for t in tables}
    rows: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    for done in found:
        if done.job.setting == setting and done.job.table in scale:
            median, top = scale[done.job.table]
            place = (done.job.table, done.job.searcher)
            rows.setdefault(place, {})[done.job.repeat] = (np.array(done.best) - median) / (
                top - median
            )
    return {place: np.array([each[r] for r in range(len(each))]) for place, each in rows.items()}


def interval(values: np.ndarray) -> tuple[float, float]:
    """95% bootstrap interval of the mean over repeats."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (4000, len(values))).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def chance_of(differences: np.ndarray, flips: int = 20_000) -> float:
    """One-sided p of a mean this high if the sign of each pair were a coin's: exact where there
    are few pairs, else drawn."""
    n = len(differences)
    if n <= 14:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(((signs @ differences) >= differences.sum() - 1e-12).mean())
    signs = np.random.default_rng(0).choice([-1, 1], (flips, n))
    more = int(((signs @ differences) >= differences.sum() - 1e-12).sum())
    return (more + 1) / (flips + 1)


def areas(drawn: Curves, tables: Sequence[str], name: str) -> np.ndarray:
    """(repeats,): the mean height of the curve over trials, and over these tables."""
    count = min(len(drawn[table, name]) for table in tables)
    return np.mean([drawn[table, name][:count].mean(axis=1) for table in tables], axis=0)


def against(drawn: Curves, tables: Sequence[str], name: str, other: str) -> tuple[float, float]:
    """Mean difference in area to another searcher over the repeats that both did, and its p."""
    mine, theirs = areas(drawn, tables, name), areas(drawn, tables, other)
    n = min(len(mine), len(theirs))
    return float((mine[:n] - theirs[:n]).mean()), chance_of(mine[:n] - theirs[:n])


def overview(drawn: Curves, seconds: Mapping[str, float]) -> str:
    """One line a searcher: its area on each table, and against random over all."""
    tables = sorted({table for table, _ in drawn})
    names = sorted(
        {name for _, name in drawn}, key=lambda n: -float(areas(drawn, tables, n).mean())
    )
    confirm = [table for table in tables if table != CHOSEN_ON]
    heads = ["searcher", "repeats", *tables, "mean", "over random", "p", "ms"]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for name in names:
        each = [f"{drawn[table, name].mean():.3f}" for table in tables]
        mean = areas(drawn, tables, name)
        low, high = interval(mean)
        gain, p = against(drawn, confirm, name, "random")
        told = ["·", "·"] if name == "random" else [f"{gain:+.3f}", f"{p:.2g}"]
        cost = f"{1000 * seconds[name]:.1f}"
        cells = [name, str(len(mean)), *each, f"{mean.mean():.3f} ({low:.3f} to {high:.3f})"]
        lines.append("| " + " | ".join([*cells, *told, cost]) + " |")
    return "\n".join(lines)


def anytime(table: Table, found: Sequence[Done]) -> str:
    """The best score so far after several trials, blind start, with intervals."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for done in found:
        if done.job.table == table.name and done.job.setting == "blind":
            rows.setdefault(done.job.searcher, []).append(done.best)
    median, top = float(np.median(table.scores)), max(table.scores)
    lines = [
        f"**{table.space} on {table.data}**: {len(table.scores)} points, median {median:.4f}, "
        f"best {top:.4f}.",
        "",
        "| searcher | repeats | " + " | ".join(f"after {t}" for t in SHOWN) + " |",
        "| --- | --- |" + " --- |" * len(SHOWN),
    ]
    for name in sorted(rows, key=lambda n: -float(np.mean(rows[n]))):
        best, cells = np.array(rows[name]), []
        for trial in SHOWN:
            low, high = interval(best[:, trial - 1])
            cells.append(f"{best[:, trial - 1].mean():.4f} ({low:.4f} to {high:.4f})")
        lines.append(f"| {name} | {len(best)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(keep: Path) -> None:
    """Put the tables into docs/search.md."""
    found, tables = read(keep), read_tables()
    seconds: dict[str, float] = {}
    for name in {done.job.searcher for done in found}:
        seconds[name] = float(np.median([d.seconds for d in found if d.job.searcher == name]))
    parts = []
    for setting in SETTINGS:
        parts += [f"Start: **{setting}**.", overview(curves(found, setting, tables), seconds)]
    parts += [anytime(table, found) for table in tables]
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    body = "\n\n".join(parts)
    DOCS.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{after}", encoding="utf-8")
    print(f"wrote {DOCS}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=Path, default=RESULTS, help="where searches are kept")
    commands: Any = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("run", help="search the tables; goes on where it was stopped")
    many.add_argument("--searchers", nargs="+", default=list(TUNERS), choices=list(TUNERS))
    many.add_argument("--repeats", type=int, default=100)
    many.add_argument("--slow-repeats", type=int, default=5, help="for " + ", ".join(SLOW))
    many.add_argument("--workers", type=int, default=1)
    commands.add_parser("write", help="write docs/search.md")
    told = parser.parse_args()
    if told.command == "write":
        write(told.keep)
    else:
        run(told.searchers, told.repeats, told.slow_repeats, told.workers, told.keep)


if __name__ == "__main__":
    main()
