"""A run in MLflow, in an Optuna study and as RecBole files, by the command line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner, Result

from evolver import run as runs
from evolver.archive.store import Archive
from evolver.cli.main import app
from evolver.config import DataConfig, RunConfig
from evolver.core import Candidate, Entry, Evaluation, Failed, Limits, Scored, Stopped
from evolver.data.formats import load
from evolver.errors import UsageError
from evolver.export.optuna_study import write_study
from evolver.tasks import retrieval
from evolver.zoo import source
from tests.test_evolve import write_data

METRIC = "ndcg@10"
EASE = Candidate(source=source("ease"), name="EASE", family="linear", values={"l2": 40.0})
TUNED = replace(EASE, values={"l2": 90.0}, parents=(EASE.id,), operator="tune")
BROKEN = Candidate(source="nonsense(", name="broken \x1b[31m", proposer="llm")
CUT = Candidate(source=source("ials"), name="iALS")


def scored(value: float, users: int = 1) -> Scored:
    return Scored(
        metrics={METRIC: value, "recall@20": value},
        per_user={METRIC: np.full(users, value, dtype=np.float32)},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=1.5,
        latency_ms_p99=2.0,
        parameters=10,
        peak_bytes=1 << 20,
    )


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    """Two scored, one failed, one stopped."""
    made = runs.create(RunConfig(data=DataConfig(path=str(write_data(tmp_path)))), tmp_path / "run")
    found: list[tuple[Candidate, Evaluation]] = [
        (EASE, scored(0.2)),
        (TUNED, scored(0.3)),
        (BROKEN, Failed(kind="contract", reason="line 1: \x1b[31m")),
        (CUT, Stopped(fidelity="smoke", reason="not worth more")),
    ]
    for number, (candidate, evaluation) in enumerate(found):
        record(made.archive, number, candidate, evaluation)
    return made


def record(archive: Archive, number: int, candidate: Candidate, found: Evaluation) -> None:
    archive.begin(number, candidate)
    archive.add(
        number,
        found,
        execution=None,
        part="search",
        seed=0,
        limits=Limits(),
        evaluator=retrieval.EVALUATOR,
    )


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_study_holds_the_run_and_only_what_is_missing_is_added(
    run: runs.Run, tmp_path: Path
) -> None:
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    said = call("export-optuna", run.folder, "--storage", storage)
    assert "added 4 trials, 4 are there" in said.stdout, said.output
    study = optuna.load_study(study_name="run", storage=storage)
    assert study.user_attrs == {"metric": METRIC}
    assert study.best_value == 0.3
    assert study.best_params == {"linear autoencoder: l2": 90.0}
    assert [t.state.name for t in study.trials] == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED"]
    assert study.trials[1].user_attrs["parents"] == [EASE.id]
    assert study.trials[2].user_attrs["status"] == "contract"
    assert set(study.trials[3].params) == {
        f"matrix factorisation: {name}"
        for name in ("factors", "sweeps", "weight", "l2", "exponent")
    }
    record(run.archive, 4, replace(EASE, values={"l2": 50.0}), scored(0.25))
    assert "added 1 trials, 5 are there" in call("export-optuna", run.folder, "-o", storage).stdout
    assert len(optuna.load_study(study_name="run", storage=storage).trials) == 5


def test_programs_whose_tunables_clash_share_a_study(tmp_path: Path) -> None:
    tunables = ("Int(1, 9, default=2)", "Float(1.0, 9.0, default=2.0)", "Choice([1, 2], default=2)")
    sources = [
        source("ease")
        .replace("Float, ", "Choice, Float, Int, ")
        .replace("Float(10.0, 5_000.0, default=300.0, log=True)", each)
        for each in tunables
    ]
    entries = [
        Entry(number=number, candidate=Candidate(source=text), evaluation=scored(0.1))
        for number, text in enumerate([*sources, sources[0]])
    ]
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    assert write_study(storage, "s", entries, METRIC) == (4, 4)
    assert write_study(storage, "s", entries, METRIC) == (0, 4)
    names = [list(t.params) for t in optuna.load_study(study_name="s", storage=storage).trials]
    plain = "linear autoencoder: l2"
    assert names == [[plain], [f"{plain} (2)"], [f"{plain} (3)"], [plain]]
    odd = replace(entries[0], number=9, candidate=replace(EASE, values={"l2": "much"}))
    assert write_study(storage, "s", [odd], METRIC) == (1, 5)
    other = [replace(entries[0], candidate=EASE)]
    with pytest.raises(UsageError, match="another run's study"):
        write_study(storage, "s", other, METRIC)


@pytest.mark.parametrize("storage", ["nonsense", "sqlite:////nowhere/at/all.db", "foo:///x"])
def test_a_storage_that_cannot_be_opened_is_one_line(run: runs.Run, storage: str) -> None:
    done = call("export-optuna", run.folder, "--storage", storage)
    assert isinstance(done.exception, UsageError)
    assert "sqlite:///study.db" in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mlflow's, of sqlalchemy
def test_mlflow_holds_the_run_and_repeating_changes_nothing(run: runs.Run, tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = MlflowClient(tracking_uri=uri)
    made = client.create_experiment("shop", artifact_location=(tmp_path / "art").as_uri())
    words = ("export-mlflow", run.folder, "--uri", uri, "--experiment", "shop")
    said = call(*words)
    assert "logged 4 candidates, 4 are there" in said.stdout, said.output

    def found() -> dict[str, tuple[object, ...]]:
        return {
            each.info.run_name: (
                each.info.run_id,
                each.info.status,
                each.data.params,
                each.data.metrics,
                each.data.tags,
            )
            for each in client.search_runs([made])
        }

    first = found()
    assert set(first) == {"run", "#0 EASE", "#1 EASE", r"#2 broken \x1b[31m", "#3 iALS"}
    parent = first["run"][0]
    tuned = first["#1 EASE"]
    assert tuned[1] == "FINISHED"
    assert tuned[2] == {"l2": "90.0"}
    assert tuned[3].items() >= {"ndcg_at_10": 0.3, "latency_ms_p50": 1.5}.items()
    assert tuned[4].items() >= {"mlflow.parentRunId": parent, "evolver.parents": EASE.id}.items()
    assert [first[n][1] for n in (r"#2 broken \x1b[31m", "#3 iALS")] == ["FAILED", "KILLED"]
    best = client.get_metric_history(parent, "best ndcg_at_10")
    assert sorted((p.step, p.value) for p in best) == [(0, 0.2), (1, 0.3), (2, 0.3), (3, 0.3)]
    kept = client.download_artifacts(str(tuned[0]), "candidate.py", str(tmp_path))
    assert Path(kept).read_text() == EASE.source

    assert "logged 0 candidates, 4 are there" in call(*words).stdout
    assert found() == first
    assert len(client.get_metric_history(parent, "best ndcg_at_10")) == 4

    client.update_run(str(tuned[0]), status="RUNNING")  # as if it had been killed half way
    record(run.archive, 4, replace(EASE, values={"l2": 50.0}), scored(0.25))
    assert "logged 2 candidates, 5 are there" in call(*words).stdout
    assert {name: each[0] for name, each in found().items()} == {
        **{name: each[0] for name, each in first.items()},
        "#4 EASE": found()["#4 EASE"][0],
    }
    other = runs.create(run.config, tmp_path / "elsewhere" / "run")
    record(other.archive, 0, TUNED, scored(0.1))
    clash = call("export-mlflow", other.folder, *words[2:])
    assert isinstance(clash.exception, UsageError)
    assert "give --name" in str(clash.exception)


def test_recbole_gets_the_run_s_own_split_and_no_sealed_part(run: runs.Run, tmp_path: Path) -> None:
    out = tmp_path / "shop"
    done = call("export-recbole", run.folder, "-o", out)
    assert done.exit_code == 0, done.output
    assert {p.name for p in out.iterdir()} == {"shop.train.inter", "shop.valid.inter"}
    head, *rows = (out / "shop.train.inter").read_text().splitlines()
    assert head.split("\t") == ["user_id:token", "item_id:token", "timestamp:float"]
    assert len(rows) == int((run.split.assignment == 0).sum())
    sealed = call("export-recbole", run.folder, "-o", tmp_path / "two", "--with-test")
    assert isinstance(sealed.exception, UsageError)
    assert "is sealed" in str(sealed.exception)
    assert not (tmp_path / "two").exists()
    assert run.archive.readings("test") == []

    run.archive.read_part("test", [1, 0], who="me", why="export", forced=False)
    assert call("export-recbole", run.folder, "-o", tmp_path / "two", "--with-test").exit_code == 0
    again = load(DataConfig(path=str(tmp_path / "two")))
    assert len(again) == len(run.dataset)
    assert [r["why"] for r in run.archive.readings("test")] == [
        "export",
        "written as RecBole files",
    ]
