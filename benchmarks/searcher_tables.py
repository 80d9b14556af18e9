"""Tables of trained points: every point of a small space, trained once on real data.

    python -m benchmarks.searcher_tables linear ml-100k DATA/ml-100k
    python -m benchmarks.searcher_tables linear sample          # the bundled sample

A table covers a grid over part of a bundled space; what is not in the grid is fixed and written
down. It carries its parameters itself, so it stays readable when the bundled space moves on. For
each point it holds the search metric of one training, with one thread and seed 0.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import types
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evolver.config import DataConfig, SplitConfig
from evolver.contract import Budget, Params
from evolver.core import Observation, Parameter, Value
from evolver.data.formats import load
from evolver.data.profile import describe, folds_of
from evolver.data.split import Fold, make_split
from evolver.metrics.ranking import parse_metric, per_user
from evolver.tune.points import is_active
from evolver.tune.sampling import to_unit
from evolver.tune.space import load_space

FOLDER = Path(__file__).parent / "tables"
METRIC = parse_metric("ndcg@10")
Levels = Mapping[str, tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Which part of a space a table covers: these choices, these numbers at these levels."""

    choices: tuple[str, ...]
    levels: Levels
    fixed: Mapping[str, Value]


GRIDS: Mapping[str, Grid] = {
    "linear": Grid(
        choices=("items", "age", "history", "sequence", "absence", "popularity"),
        levels={"history_half_life": (4.0, 40.0), "sequence_share": (0.25, 0.6)},
        fixed={},
    ),
    "matrix_graph": Grid(
        choices=("objective", "users", "similarity", "negatives", "popularity"),
        levels={
            "learning_rate": (0.003, 0.01, 0.03),
            "dropout": (0.2, 0.6),
            "unobserved": (0.01, 0.05, 0.3),
            "ridge": (0.001, 0.01, 0.1),
        },
        fixed={"epochs": 10, "factors": 32, "sweeps": 4},
    ),
    "sequential": Grid(
        choices=("encoder", "loss", "negatives", "similarity", "target"),
        levels={"learning_rate": (0.006, 0.02)},
        fixed={"epochs": 3, "batch": 32, "dim": 16, "length": 20},
    ),
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """`scores[i]` is the search metric of `points[i]`, trained at a `revision` of this repository.
    `data` names the data set, `profile` describes it."""

    space: str
    data: str
    revision: str
    profile: Mapping[str, Any]
    fixed: Mapping[str, Value]
    levels: Levels
    parameters: tuple[Parameter, ...]
    scores: tuple[float, ...]

    @property
    def name(self) -> str:
        return f"{self.space}-{self.data}"

    @cached_property
    def points(self) -> list[dict[str, Value]]:
        return points_of(self.parameters, self.levels)

    @cached_property
    def _rows(self) -> Mapping[str, int]:
        return {_key(point): row for row, point in enumerate(self.points)}

    def row(self, point: Mapping[str, Value]) -> int:
        """The row of the table's point that is nearest to this one."""
        return self._rows[_key(nearest(self.parameters, self.levels, point))]

    def observe(self, point: Mapping[str, Value]) -> Observation:
        """What trying this point shows."""
        return Observation(point=dict(point), score=self.scores[self.row(point)])


def points_of(parameters: Sequence[Parameter], levels: Levels) -> list[dict[str, Value]]:
    """Every point of the grid once, in a fixed order."""
    axes = [p.choices if p.kind == "choice" else levels[p.name] for p in parameters]
    found: dict[str, dict[str, Value]] = {}
    for values in itertools.product(*axes):
        point: dict[str, Value] = {}
        for p, value in zip(parameters, values, strict=True):
            if is_active(p, point):
                point[p.name] = value
        found.setdefault(_key(point), point)
    return list(found.values())


def nearest(
    parameters: Sequence[Parameter], levels: Levels, point: Mapping[str, Value]
) -> dict[str, Value]:
    """The point with each number at the level that is nearest on the number's own scale."""
    by_name = {p.name: p for p in parameters}
    found: dict[str, Value] = {}
    for name, value in point.items():
        p = by_name[name]
        if p.kind == "choice":
            found[name] = value
        else:
            place = to_unit(p, value)
            found[name] = min(levels[name], key=lambda level: abs(to_unit(p, level) - place))
    return found


def _key(point: Mapping[str, Value]) -> str:
    return json.dumps(dict(sorted(point.items())))


def read_table(path: Path) -> Table:
    raw = json.loads(path.read_text(encoding="utf-8"))
    raw["parameters"] = tuple(_parameter(p) for p in raw["parameters"])
    raw["levels"] = {name: tuple(values) for name, values in raw["levels"].items()}
    raw["scores"] = tuple(raw["scores"])
    return Table(**raw)


def read_tables() -> list[Table]:
    """All that there are, by space and then by data set."""
    return [read_table(path) for path in sorted(FOLDER.glob("*.json"))]


def _parameter(raw: dict[str, Any]) -> Parameter:
    when = raw.pop("when")
    named = (when[0], tuple(when[1])) if when else None
    return Parameter(**{**raw, "choices": tuple(raw["choices"]), "when": named})


# --- building -----------------------------------------------------------------------------------


def measured(source: str, fold: Fold) -> float:
    """The search metric of a candidate that was compiled from our own template."""
    module = types.ModuleType("candidate")
    exec(compile(source, "candidate", "exec"), module.__dict__)
    params = Params({name: t.default for name, t in module.TUNABLES.items()})
    model = module.Model(params)
    for _ in model.fit(fold.train, Budget(seconds=60.0, seed=0)) or ():
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


def build(space_name: str, data: str, path: str) -> Path:
    """Train every point of the grid and write the table."""
    torch.set_num_threads(1)
    dataset = load(DataConfig(path=path))
    split = make_split(dataset, SplitConfig(), seed=0)
    folds = folds_of(dataset, split, False)
    grid, space = GRIDS[space_name], load_space(space_name)
    covered = {*grid.choices, *grid.levels}
    parameters = tuple(p for p in space.parameters if p.name in covered)
    points = points_of(parameters, grid.levels)
    scores = []
    for number, point in enumerate(points, 1):
        candidate = space.compile(space.complete({**grid.fixed, **point}))
        scores.append(round(measured(candidate.source, folds["search"]), 6))
        print(f"\r{number} of {len(points)}", end="", flush=True)
    table = Table(
        space=space_name,
        data=data,
        revision=_revision(),
        profile=describe(dataset, split, folds),
        fixed=grid.fixed,
        levels=grid.levels,
        parameters=parameters,
        scores=tuple(scores),
    )
    FOLDER.mkdir(exist_ok=True)
    target = FOLDER / f"{table.name}.json"
    text = json.dumps(asdict(table), sort_keys=True, separators=(",", ":"))
    target.write_text(text.replace('],"', '],\n"') + "\n", encoding="utf-8")
    print(f"\n{target}: {len(points)} points, best {max(table.scores):.4f}")
    return target


def _revision() -> str:
    done = subprocess.run(
        ["git", "-C", str(FOLDER.parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("space", choices=list(GRIDS))
    parser.add_argument("data", help="the data set's name in the table")
    parser.add_argument("path", nargs="?", default="", help="where it lies; default the sample")
    told = parser.parse_args()
    build(told.space, told.data, told.path)


if __name__ == "__main__":
    main()
