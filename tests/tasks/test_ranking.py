from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from evolver.config import DataConfig, EvaluateConfig, RunConfig, SplitConfig
from evolver.core import Completed, Execution, Failed, Scored
from evolver.data.labelled.kinds import told_kinds
from evolver.data.labelled.read import from_frame
from evolver.data.labelled.sample import KINDS, sample_frame
from evolver.data.labelled.split import TableFold, fold_table, split_table
from evolver.errors import UsageError
from evolver.evaluate.table_canaries import batch_dependence, oddly_good, shuffled, table_canaries
from evolver.execute.queries import load_queries, training_files
from evolver.tasks.ranking import evaluate, metrics_of
from evolver.tasks.ranking_task import Ranking
from evolver.tasks.ranking_view import write_table_view

CONFIG = EvaluateConfig(metric="auc", also=("gauc", "rig"))


@pytest.fixture(scope="module")
def fold() -> TableFold:
    frame = sample_frame(rows=3000, users=120, items=40)
    table = from_frame(frame, None, "sample", DataConfig(), told_kinds(KINDS))
    return fold_table(table, split_table(table, SplitConfig(), 0), "search")


def execution(answers: Any) -> Execution:
    outcome = Completed(
        answers=np.asarray(answers),
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms=np.array([1.0, 3.0]),
        parameters=7,
        peak_bytes=9,
    )
    return Execution(outcome=outcome, seconds=2.0)


def test_every_metric_agrees_with_an_independent_library(fold: TableFold) -> None:
    probabilities = np.random.default_rng(0).random(len(fold.asked))
    found = evaluate(execution(probabilities), fold, CONFIG)
    assert isinstance(found, Scored)
    assert found.metrics["auc"] == pytest.approx(
        roc_auc_score(fold.labels, probabilities), abs=1e-9
    )
    assert found.metrics["log_loss"] == pytest.approx(
        log_loss(fold.labels, probabilities), abs=1e-9
    )
    assert found.metrics["brier"] == pytest.approx(
        brier_score_loss(fold.labels, probabilities), abs=1e-9
    )
    assert set(found.per_user) == {"auc", "gauc", "rig"}
    assert {len(each) for each in found.per_user.values()} == {fold.n_units}
    assert found.per_user["auc"].mean() == pytest.approx(found.metrics["auc"], abs=1e-5)
    assert found.latency_ms_p50 == 2.0


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (lambda n: np.full(n, np.nan), "between 0 and 1"),
        (lambda n: np.full(n, 1.5), "between 0 and 1"),
        (lambda n: np.full(n - 1, 0.5), "shape"),
        (lambda n: np.full(n, 0.5, dtype=np.float32), "float64"),
    ],
)
def test_unusable_probabilities_are_the_candidates_fault(
    fold: TableFold, answers: Any, reason: str
) -> None:
    found = evaluate(execution(answers(len(fold.asked))), fold, CONFIG)
    assert isinstance(found, Failed)
    assert found.kind == "invalid_output"
    assert reason in found.reason


def test_a_failure_stays_one(fold: TableFold) -> None:
    failed = Failed(kind="crash", reason="boom")
    assert evaluate(Execution(outcome=failed, seconds=1.0), fold, CONFIG) == failed


def test_only_a_metric_of_which_more_is_better_is_compared_by() -> None:
    with pytest.raises(UsageError, match="--metric rig"):
        metrics_of(EvaluateConfig(metric="log_loss", also=()))
    with pytest.raises(UsageError, match="unknown metric 'ndcg@10'"):
        metrics_of(EvaluateConfig(metric="ndcg@10", also=()))


def test_the_task_brings_its_own_defaults_and_what_is_said_stands() -> None:
    plain = RunConfig.model_validate({"task": "ranking"})
    assert (plain.evaluate.metric, plain.promote.minimum_gain) == ("auc", 0.001)
    said = RunConfig.model_validate({"task": "ranking", "evaluate": {"metric": "gauc"}})
    assert (said.evaluate.metric, said.evaluate.also) == ("gauc", ("gauc", "rig"))
    assert RunConfig.model_validate(plain.model_dump(mode="json")) == plain
    assert RunConfig().evaluate.metric == "ndcg@10"


# --- the view -----------------------------------------------------------------------------------


def test_a_view_holds_no_label_of_what_is_asked_for(fold: TableFold, tmp_path: Path) -> None:
    write_table_view(fold, tmp_path / "view")
    asked = len(fold.asked)
    assert asked != len(fold.train)
    told = fold.labels.astype(np.float64)
    for path in (tmp_path / "view").glob("*.npy"):
        array = np.load(path).astype(np.float64)
        columns = array.reshape(len(array), -1).T if array.size else []
        for column in columns:
            if len(column) == asked and column.std() > 0:
                assert abs(np.corrcoef(column, told)[0, 1]) < 0.9, path.name
    assert len(np.load(tmp_path / "view" / "train_labels.npy")) == len(fold.train)


def test_a_worker_is_shown_training_rows_only(fold: TableFold, tmp_path: Path) -> None:
    view = tmp_path / "view"
    write_table_view(fold, view)
    shown = {path.name for path in training_files(view)}
    assert "train_labels.npy" in shown
    assert not any(name.startswith("query") for name in shown)
    assert {path.name for path in view.iterdir()} - shown == {
        path.name for path in view.glob("query_*")
    }
    facts = json.loads((view / "view.json").read_text())
    assert set(facts) == {"task", "sizes", "numbers", "lists", "times", "user", "item"}


def test_what_is_asked_for_goes_over_the_wire_block_by_block(
    fold: TableFold, tmp_path: Path
) -> None:
    write_table_view(fold, tmp_path / "view")
    asked = load_queries(tmp_path / "view")
    assert len(asked) == len(fold.asked)
    header, payload = asked.block(np.array([3, 1])).request(0)
    assert header["rows"] == 2
    sizes = [np.diff(each.indptr)[[3, 1]].sum() for each in fold.asked.lists]
    assert header["listed"] == sizes
    numbers = fold.asked.numbers[[3, 1]].tobytes()
    assert numbers in payload
    assert fold.asked.codes[[3, 1]].tobytes() in payload


def test_a_fold_with_labels_where_none_may_be_is_not_written(
    fold: TableFold, tmp_path: Path
) -> None:
    object.__setattr__(fold.asked, "labels", fold.labels)
    try:
        with pytest.raises(ValueError, match="must not have any"):
            write_table_view(fold, tmp_path / "view")
    finally:
        object.__setattr__(fold.asked, "labels", None)
    assert not (tmp_path / "view").exists()


# --- canaries and smaller folds -----------------------------------------------------------------


def test_canaries_are_silent_on_sound_data_and_hear_a_column_that_tells(fold: TableFold) -> None:
    assert table_canaries([fold]) == ()
    train, asked = fold.train.numbers, fold.asked.numbers
    train_was, asked_was = train.copy(), asked.copy()
    try:
        assert fold.train.labels is not None
        train[:, 0], asked[:, 0] = fold.train.labels, fold.labels
        later = replace(fold, part="test")
        (alarm,) = table_canaries([fold, later])
        (late,) = table_canaries([later])
        assert (alarm.canary, alarm.severity) == ("label given away by a feature", "alarm")
        assert alarm.detail.startswith("'price'")
        assert late.detail.startswith("in the test part, 'price'")
    finally:
        train[:], asked[:] = train_was, asked_was


def test_a_prediction_that_depends_on_its_company_is_heard() -> None:
    first = np.linspace(0, 1, 200)
    rows = np.arange(100)
    assert batch_dependence(first, first[rows] + 1e-7, rows) is None
    alarm = batch_dependence(first, first[rows] + 0.01, rows)
    assert alarm is not None
    assert alarm.severity == "alarm"


def test_shuffled_labels_and_results_beyond_belief(fold: TableFold) -> None:
    perfect = fold.labels.astype(np.float64)
    assert shuffled(perfect, fold, 0) is None
    assert oddly_good("auc", 0.90, 0.85) is None
    assert oddly_good("auc", 0.999, 0.98) is not None
    settings = EvaluateConfig(metric="auc")
    assert Ranking().too_good(0.999, 0.98, fold, settings, 0) is not None
    assert Ranking().too_good(0.999, None, fold, settings, 0) is None


def test_smaller_folds_keep_both_labels_and_the_shapes(fold: TableFold) -> None:
    task = Ranking()
    from evolver.evaluate.reduce import Reduction

    for small in (task.sliver(fold, 1), task.reduced(fold, Reduction(users=0.2), 1)):
        assert len(small.asked) == len(small.labels) == len(small.units) <= len(fold.asked)
        assert small.train.sizes == fold.train.sizes
        assert small.train.labels is not None
        assert set(np.unique(small.train.labels)) == {0.0, 1.0} == set(np.unique(small.labels))
        assert set(np.unique(small.units)) == set(range(small.n_units))
    late = task.reduced(fold, Reduction(users=1.0, history=0.3), 1)
    assert late.train.times is not None
    assert fold.train.times is not None
    assert late.train.times.min() > np.quantile(fold.train.times, 0.65)


def test_slices_tell_users_apart(fold: TableFold) -> None:
    found = Ranking().slices(fold)
    assert {"training rows", "rows judged"} <= {each.group for each in found}
    assert all(len(each.mask) == fold.n_units for each in found)
