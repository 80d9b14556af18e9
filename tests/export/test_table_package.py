"""A ranking package: it predicts rows of plain values as the sandbox predicted their codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import safetensors.numpy
from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.config import DataConfig, SplitConfig
from evolver.core import Candidate
from evolver.data.labelled.kinds import told_kinds
from evolver.data.labelled.read import from_frame
from evolver.data.labelled.sample import KINDS, sample_frame
from evolver.data.labelled.split import fold_table, split_table
from evolver.errors import DataError, UsageError
from evolver.export.card import CardFacts
from evolver.export.exported import read_package
from evolver.export.table_package import plain_row, write_table_package

SOURCE = '''"""Hashes of everything that a row holds: any difference in encoding shows."""

import numpy as np

from evolver.contract import Budget, Params, Table

FAMILY = "probe"


class Model:
    def __init__(self, params: Params) -> None:
        self.shift = np.zeros(1)

    def fit(self, train: Table, budget: Budget) -> None:
        self.shift = np.array([0.25])

    def predict(self, table: Table) -> np.ndarray:
        seen = [table.codes @ (1 + np.arange(len(table.sizes)) * 37), table.times % 1009]
        for each in table.lists:
            last = each.last(30, pad=-1)
            seen.append(last @ (1 + np.arange(30)))
        whole = np.sum(seen, axis=0) % 997 / 1000
        return 0.5 * self.shift + 0.5 * whole + 0.1 * np.tanh(table.numbers[:, 0]) ** 2

    def state(self) -> dict[str, np.ndarray]:
        return {"shift": self.shift}

    def load(self, state: dict[str, np.ndarray]) -> None:
        self.shift = state["shift"]
'''


@pytest.fixture(scope="module")
def package(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, np.ndarray, list[dict[str, object]]]:
    frame = sample_frame(rows=1200, users=60, items=50)
    table = from_frame(frame, None, "shop", DataConfig(), told_kinds(KINDS))
    split = split_table(table, SplitConfig(), 0)
    fold = fold_table(table, split, "test")
    module: dict[str, object] = {}
    exec(compile(SOURCE, "candidate.py", "exec"), module)
    model = module["Model"](None)  # type: ignore[operator]
    model.load({"shift": np.array([0.25])})
    probabilities = model.predict(fold.asked)
    rows = np.flatnonzero(split.assignment == 3)
    place = tmp_path_factory.mktemp("package") / "shop_ranker"
    write_table_package(
        place,
        "shop_ranker",
        candidate=Candidate(source=SOURCE, name="probe", family="probe", proposer="test"),
        values={},
        weights=safetensors.numpy.save({"shift": np.array([0.25])}),
        table=table,
        fold=fold,
        rows=rows,
        probabilities=probabilities,
        card=CardFacts(
            data_name="shop",
            data_fingerprint=table.fingerprint,
            split_kind="time",
            split_fingerprint="0",
            created="2026-01-01",
            evolver_version="0",
        ),
    )
    return place, probabilities, [plain_row(table, int(row)) for row in rows]


def call(package: Path, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_it_checks_itself_and_says_what_it_is(package: tuple[Path, np.ndarray, object]) -> None:
    place, probabilities, _ = package
    found = json.loads(call(place, "-m", "shop_ranker", "check", "--json"))
    assert found == {"rows": len(probabilities), "different": 0, "passed": True}
    told = json.loads(call(place, "-m", "shop_ranker", "info", "--json"))
    assert told["columns"] == {
        "user": "category",
        "item": "category",
        "category": "category",
        "hour": "category",
        "price": "number",
        "tags": "set",
        "history": "sequence",
    }
    card = (place / "MODEL_CARD.md").read_text()
    assert "Says how likely the label `label` of a row is 1, from 7 columns" in card
    assert "{" not in card
    assert "ranker.predict([{'user':" in (place / "README.md").read_text()


def test_a_package_that_was_tampered_with_fails_its_check(
    package: tuple[Path, np.ndarray, object],
) -> None:
    place, _, _ = package
    vocabulary = place / "shop_ranker" / "data" / "encoder.json"
    before = vocabulary.read_text()
    told = json.loads(before)
    told["vocabularies"]["item"]["known"].reverse()
    try:
        vocabulary.write_text(json.dumps(told))
        assert "largest difference" in call(place, "-m", "shop_ranker", "check", code=1)
    finally:
        vocabulary.write_text(before)


def test_rows_of_a_file_are_predicted_whatever_they_lack(
    package: tuple[Path, np.ndarray, list[dict[str, object]]], tmp_path: Path
) -> None:
    place, _, rows = package
    text = "user,item,price,more\n" + f"{rows[0]['user']},{rows[0]['item']},3.5,x\nnobody,,,y\n"
    (tmp_path / "rows.csv").write_text(text)
    said = call(place, "-m", "shop_ranker", "predict", str(tmp_path / "rows.csv"))
    assert "no column category, hour, tags, history: taken as empty" in said
    assert len([line for line in said.splitlines() if line.startswith("0.")]) == 2
    assert "No such file" in call(place, "-m", "shop_ranker", "predict", "nowhere.csv", code=2)


def test_it_is_refitted_on_new_rows_with_the_columns_that_it_had(
    package: tuple[Path, np.ndarray, object], tmp_path: Path
) -> None:
    place, _, _ = package
    newer = sample_frame(rows=900, users=50, items=40, seed=7).with_columns(extra=pl.lit("x"))
    newer.rename({"label": "bought"}).write_csv(tmp_path / "new.csv")
    words = ["refit", str(place), str(tmp_path / "new.csv"), "--out", str(tmp_path / "again")]
    words += ["--sandbox", "unconfined", "--threads", "1"]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, DataError)
    assert "no column 'label'" in str(refused.exception)
    done = CliRunner().invoke(app, [*words, "--label", "bought", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["rival"] == "logistic_regression"
    assert not said["beats_rival"]  # the candidate is a hash: it knows nothing
    assert said["gain"]["high"] < 0
    again = tmp_path / "again"
    found = json.loads(call(again, "-m", "shop_ranker", "check", "--json"))
    assert found == {"rows": 512, "different": 0, "passed": True}
    facts = read_package(again).facts
    assert facts["columns"] == read_package(place).facts["columns"]
    assert facts["columns"]["history"] == "sequence:item"
    assert (facts["label"], facts["user"], facts["item"]) == ("bought", "user", "item")
    card = (again / "MODEL_CARD.md").read_text()
    assert f"{said['metrics']['auc']:.4f}" in card
    assert "logistic_regression" in card


def test_what_a_ranking_package_cannot_be_judged_by_is_refused(
    package: tuple[Path, np.ndarray, object], tmp_path: Path
) -> None:
    sample_frame(rows=300, users=20, items=20).write_csv(tmp_path / "new.csv")
    words = ["refit", str(package[0]), str(tmp_path / "new.csv"), "--sandbox", "unconfined"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out"), "--metric", "ndcg@10"])
    assert isinstance(done.exception, UsageError)
    assert "unknown metric 'ndcg@10'" in str(done.exception)
    assert not (tmp_path / "out").exists()
