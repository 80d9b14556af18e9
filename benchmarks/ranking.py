"""Zoo models of labelled tables on a published split, beside published figures.

    python benchmarks/ranking.py DATA --models deepfm,dcn_v2 --seeds 0,1,2
    python benchmarks/ranking.py DATA --models lightgbm          # needs: pip install lightgbm
    python benchmarks/ranking.py --page                          # writes docs/ranking-benchmark.md

Trains on the published train rows (or on those up to the test part with --all), one training at a
time, in this process: the models are our own. Judges on the published test rows by the trusted
metrics. Every training is one line of benchmarks/tables/ranking.jsonl, and the page is made of
these lines.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver import zoo
from evolver.config import DataConfig, SplitConfig
from evolver.contract import Budget, Params, Table
from evolver.data.labelled.encode import make_encoder
from evolver.data.labelled.read import load_labelled
from evolver.data.labelled.split import TableFold, fold_table, split_table
from evolver.data.labelled.table import LabelledTable
from evolver.metrics.classification import auc, calibration_error, gauc, log_loss

HERE = Path(__file__).resolve().parent
LINES = HERE / "tables" / "ranking.jsonl"
PAGE = HERE.parent / "docs" / "ranking-benchmark.md"
SECONDS = 3600.0
PUBLISHED = {
    "logistic_regression": (0.9356, 0.3076),
    "fm": (0.9671, 0.2065),
    "deepfm": (0.9842, 0.1482),
    "dcn_v2": (0.9845, 0.1491),
}
"""Test AUC and log loss on Frappe x1 as published with BARS (Zhu et al. 2022)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One training. seconds: of fitting, on one thread of a machine that others used too."""

    data: str
    model: str
    seed: int
    values: dict[str, Any]
    trained_on: int
    auc: float
    gauc: float
    log_loss: float
    calibration_error: float
    epochs: int
    seconds: float
    parameters: int
    machine: str


def judged(table: LabelledTable, *, everything: bool) -> TableFold:
    """The test part; trained on the published train rows alone unless `everything`."""
    split = split_table(table, SplitConfig(), seed=0)
    fold = fold_table(table, split, "test")
    if everything:
        return fold
    rows = split.assignment == 0
    encoder = make_encoder(table, rows)
    return replace(
        fold,
        train=encoder.encode(table, rows, labels=True),
        asked=encoder.encode(table, split.assignment == 3, labels=False),
        encoder=encoder,
    )


def trained(
    name: str, fold: TableFold, seed: int, values: dict[str, Any]
) -> tuple[NDArray[np.float64], int, int]:
    """Probabilities of the rows to predict, epochs and parameters."""
    module = ModuleType(name)
    exec(compile(zoo.source(name), f"{name}.py", "exec"), module.__dict__)
    defaults = {key: declared.default for key, declared in module.TUNABLES.items()}
    model = module.Model(Params(defaults | values))
    steps = 0
    for step, loss in model.fit(fold.train, Budget(seconds=SECONDS, seed=seed)):
        print(f"  epoch {step}: loss {loss:.4f}", flush=True)
        steps = step
    size = sum(int(np.asarray(each).size) for each in model.state().values())
    blocks = [model.predict(block) for block in blocks_of(fold.asked)]
    return np.concatenate(blocks), steps, size


def boosted(
    fold: TableFold, seed: int, values: dict[str, Any]
) -> tuple[NDArray[np.float64], int, int]:
    """The same by LightGBM, codes as categories: an outside reference, no candidate."""
    import lightgbm

    settings = {"objective": "binary", "num_leaves": 255, "learning_rate": 0.1, "verbose": -1}
    settings |= {"seed": seed, "num_threads": 1, "cat_smooth": 10, "rounds": 400, **values}
    rounds = int(settings.pop("rounds"))
    width = len(fold.train.sizes)
    both = [np.concatenate([each.codes, each.numbers], axis=1) for each in (fold.train, fold.asked)]
    train = lightgbm.Dataset(both[0], fold.train.labels, categorical_feature=list(range(width)))
    booster = lightgbm.train(settings, train, num_boost_round=rounds)
    return np.asarray(booster.predict(both[1])), rounds, booster.num_trees() * 255


def blocks_of(table: Table, rows: int = 4096) -> Iterator[Table]:
    for start in range(0, len(table), rows):
        yield table[start : start + rows]


def measure(data: str, name: str, seed: int, values: dict[str, Any], *, everything: bool) -> Line:
    """Train once and judge once."""
    table = load_labelled(DataConfig(path=data))
    fold = judged(table, everything=everything)
    torch.set_num_threads(1)
    began = time.monotonic()
    train = boosted if name == "lightgbm" else None
    found, epochs, size = train(fold, seed, values) if train else trained(name, fold, seed, values)
    return Line(
        data=table.name,
        model=name,
        seed=seed,
        values=values,
        trained_on=len(fold.train),
        auc=auc(fold.labels, found),
        gauc=gauc(fold.labels, found, fold.units),
        log_loss=log_loss(fold.labels, found),
        calibration_error=calibration_error(fold.labels, found),
        epochs=epochs,
        seconds=round(time.monotonic() - began, 1),
        parameters=size,
        machine=platform.processor() or platform.machine(),
    )


def page(lines: list[Line]) -> str:
    """The table of everything measured, a row for each model with its settings."""
    groups: dict[tuple[str, str, str, int], list[Line]] = {}
    for line in lines:
        key = (line.data, line.model, json.dumps(line.values, sort_keys=True), line.trained_on)
        groups.setdefault(key, []).append(line)
    rows = [
        "# Zoo models of labelled tables",
        "",
        "Written by `benchmarks/ranking.py`; every training is a line of "
        "`benchmarks/tables/ranking.jsonl`.",
        "",
        "| data | model | other than default | trained on | seeds | test AUC | GAUC | log loss "
        "| calibration error | epochs | published AUC / log loss |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (data, model, values, count), group in sorted(groups.items()):
        told = PUBLISHED.get(model)
        rows.append(
            f"| {data} | {model} | {_plain(values)} | {count:,} rows "
            f"| {', '.join(str(line.seed) for line in group)} "
            f"| {_spread([line.auc for line in group])} | {_spread([line.gauc for line in group])} "
            f"| {_spread([line.log_loss for line in group])} "
            f"| {_spread([line.calibration_error for line in group])} | {group[0].epochs} "
            f"| {'-' if told is None else f'{told[0]:.4f} / {told[1]:.4f}'} |"
        )
    rows += [
        "",
        "Mean over seeds ± standard deviation, where there are several. `frappe_x1` is Frappe x1 "
        "with rebuilt training negatives: validation and test rows are the published ones, "
        "training positives too, the items of training negatives were drawn again. Published: "
        "BARS, the best of several runs.",
        "",
    ]
    return "\n".join(rows)


def _plain(values: str) -> str:
    return ", ".join(f"{k} {v:g}" for k, v in json.loads(values).items()) or "-"


def _spread(values: list[float]) -> str:
    mean = f"{np.mean(values):.4f}"
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.4f}"


def _values(given: list[str]) -> dict[str, Any]:
    pairs = (text.partition("=") for text in given)
    return {name: float(v) if set(v) & set(".e") else int(v) for name, _, v in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", nargs="?", default="", help="a folder with train, valid and test")
    parser.add_argument("--models", default=",".join(each.name for each in zoo.RANKING))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--all", action="store_true", help="train on validation rows too")
    parser.add_argument("--page", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    for seed in map(int, given.seeds.split(",")):
        for name in () if given.page else given.models.split(","):
            line = measure(given.data, name, seed, _values(given.set), everything=given.all)
            print(json.dumps(asdict(line)), flush=True)
            with LINES.open("a") as file:
                file.write(json.dumps(asdict(line)) + "\n")
    if LINES.exists():
        PAGE.write_text(page([Line(**json.loads(text)) for text in LINES.read_text().splitlines()]))


if __name__ == "__main__":
    main()
