"""Zoo models of labelled tables on a published split, beside published figures.

    python benchmarks/ranking.py DATA --models deepfm,dcn_v2 --seeds 0,1,2
    python benchmarks/ranking.py DATA --models lightgbm --seeds 0     # needs: pip install lightgbm
    python benchmarks/ranking.py --page                               # writes the page again

Trains on the published train rows and judges on the published test rows by the trusted metrics, one
training at a time, in this process: the models are our own. No model sees a validation row: each
trains for a set number of epochs, where published figures stop early by validation AUC. What
settings are chosen by is the AUC of validation, which stands beside that of test. Every training is
one line of benchmarks/tables/ranking.jsonl; docs/ranking-benchmark.md is made of these lines.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
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
from evolver.data.labelled.split import split_table
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
    """One training. values: all settings. auc and what follows: of the test rows. seconds: of the
    processor, so that what else the machine did matters little."""

    data: str
    model: str
    seed: int
    values: dict[str, Any]
    trained_on: int
    validation_auc: float
    auc: float
    gauc: float
    log_loss: float
    calibration_error: float
    epochs: int
    seconds: float
    parameters: int
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows to predict, encoded by what training knows; their labels and users, for judging."""

    asked: Table
    labels: NDArray[np.float32]
    users: NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What one training gave."""

    predict: Callable[[Table], NDArray[np.float64]]
    values: dict[str, Any]
    epochs: int
    parameters: int


def published(path: str) -> tuple[str, Table, Part, Part]:
    """The data's name, its published train rows, validation and test."""
    table = load_labelled(DataConfig(path=path))
    users, parts = table.codes_of(table.user), table.published
    if users is None or parts is None:
        raise SystemExit(f"{path} needs published parts and a column of users")
    split_table(table, SplitConfig(kind="published"), seed=0)  # refuses parts without both labels
    encoder = make_encoder(table, parts == 0)
    valid, test = (
        Part(
            asked=encoder.encode(table, parts == number, labels=False),
            labels=table.labels[parts == number],
            users=users[parts == number],
        )
        for number in (1, 2)
    )
    return table.name, encoder.encode(table, parts == 0, labels=True), valid, test


def trained(name: str, train: Table, seed: int, values: dict[str, Any]) -> Fitted:
    """A zoo model, at its defaults but for `values`."""
    module = ModuleType(name)
    exec(compile(zoo.source(name), f"{name}.py", "exec"), module.__dict__)
    values = {key: declared.default for key, declared in module.TUNABLES.items()} | values
    model = module.Model(Params(values))
    steps = 0
    for step, loss in model.fit(train, Budget(seconds=SECONDS, seed=seed)):
        print(f"  epoch {step}: loss {loss:.4f}", flush=True)
        steps = step
    size = sum(int(np.asarray(each).size) for each in model.state().values())
    return Fitted(
        predict=lambda asked: np.concatenate([model.predict(part) for part in blocks_of(asked)]),
        values=values,
        epochs=steps,
        parameters=size,
    )


def boosted(name: str, train: Table, seed: int, values: dict[str, Any]) -> Fitted:
    """The same by LightGBM, codes as categories: an outside reference, no candidate."""
    import lightgbm

    values = {"num_leaves": 255, "learning_rate": 0.1, "cat_smooth": 10, "rounds": 400} | values
    fixed = {"objective": "binary", "verbose": -1, "seed": seed, "num_threads": 1}
    settings = {key: value for key, value in values.items() if key != "rounds"} | fixed
    known = lightgbm.Dataset(
        _columns(train), train.labels, categorical_feature=list(range(len(train.sizes)))
    )
    booster = lightgbm.train(settings, known, num_boost_round=int(values["rounds"]))
    return Fitted(
        predict=lambda asked: np.asarray(booster.predict(_columns(asked))),
        values=values,
        epochs=booster.num_trees(),
        parameters=sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"]),
    )


def _columns(table: Table) -> NDArray[np.float64]:
    return np.concatenate([table.codes, table.numbers], axis=1, dtype=np.float64)


def blocks_of(table: Table, rows: int = 4096) -> Iterator[Table]:
    for start in range(0, len(table), rows):
        yield table[start : start + rows]


def measure(path: str, name: str, seed: int, values: dict[str, Any]) -> Line:
    """Train once and judge once."""
    data, train, valid, test = published(path)
    torch.set_num_threads(1)
    began = time.process_time()
    fitted = (boosted if name == "lightgbm" else trained)(name, train, seed, values)
    seconds = time.process_time() - began
    found = fitted.predict(test.asked)
    return Line(
        data=data,
        model=name,
        seed=seed,
        values=fitted.values,
        trained_on=len(train),
        validation_auc=auc(valid.labels, fitted.predict(valid.asked)),
        auc=auc(test.labels, found),
        gauc=gauc(test.labels, found, test.users),
        log_loss=log_loss(test.labels, found),
        calibration_error=calibration_error(test.labels, found),
        epochs=fitted.epochs,
        seconds=round(seconds, 1),
        parameters=fitted.parameters,
        machine=platform.processor() or platform.machine(),
    )


def page(lines: list[Line]) -> str:
    """The table of everything measured: a row for each model with its settings."""
    groups: dict[tuple[str, str, int, str], list[Line]] = {}
    for line in lines:
        settings = ", ".join(f"{name} {value:g}" for name, value in sorted(line.values.items()))
        groups.setdefault((line.data, line.model, line.trained_on, settings), []).append(line)
    rows = [
        "# Zoo models of labelled tables",
        "",
        "Written by `benchmarks/ranking.py`; every training is a line of "
        "`benchmarks/tables/ranking.jsonl`.",
        "",
        "| data | model | seeds | test AUC | log loss | GAUC | calibration error | validation AUC "
        "| published AUC / log loss | processor seconds | parameters | settings |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (data, model, _, settings), group in sorted(groups.items()):
        known = PUBLISHED.get(model)
        figures = (
            _spread([line.auc for line in group]),
            _spread([line.log_loss for line in group]),
            _spread([line.gauc for line in group]),
            _spread([line.calibration_error for line in group]),
            _spread([line.validation_auc for line in group]),
            "-" if known is None else f"{known[0]:.4f} / {known[1]:.4f}",
            f"{np.mean([line.seconds for line in group]):.0f}",
            f"{group[0].parameters:,}",
            settings,
        )
        seeds = ", ".join(str(line.seed) for line in group)
        rows.append(f"| {data} | {model} | {seeds} | {' | '.join(figures)} |")
    rows += [
        "",
        "Mean over seeds ± standard deviation, where there are several. Trained on the published "
        "train rows for a set number of epochs; validation rows were neither trained on nor used "
        "to stop, and their AUC with seed 0 is what settings were chosen by; one training before "
        "these, in batches of 4,096, was looked at on test alone. Published: BARS, the best of "
        "several runs, stopped early by validation AUC. `frappe_x1` is Frappe x1 with rebuilt "
        "training negatives: validation and test rows are the published ones, training positives "
        "too, the items of training negatives were drawn again. Processor seconds are of one "
        "thread of a machine that others used too. LightGBM's parameters are its leaves.",
        "",
    ]
    return "\n".join(rows)


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
    parser.add_argument("--page", action="store_true", help="write the page and train nothing")
    given = parser.parse_args()
    for seed in map(int, given.seeds.split(",")):
        for name in () if given.page else given.models.split(","):
            line = measure(given.data, name, seed, _values(given.set))
            print(json.dumps(asdict(line)), flush=True)
            with LINES.open("a") as file:
                file.write(json.dumps(asdict(line)) + "\n")
    if LINES.exists():
        PAGE.write_text(page([Line(**json.loads(text)) for text in LINES.read_text().splitlines()]))


if __name__ == "__main__":
    main()
