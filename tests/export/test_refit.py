"""From the sandbox to a package that says the same, and again on new data."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver import zoo
from evolver.config import EvaluateConfig, SplitConfig
from evolver.core import Candidate, Completed, Failed, Job, Limits
from evolver.data.dataset import Dataset
from evolver.data.sample import sample
from evolver.errors import UsageError
from evolver.evaluate.check import complete_values, inspect_source
from evolver.execute.pool import PooledSandbox
from evolver.execute.unconfined import Unconfined
from evolver.export.card import CardFacts
from evolver.export.exported import read_package
from evolver.export.package import Parity, write_package
from evolver.export.refit import everything, refit
from evolver.export.training import RefitFailed
from evolver.tasks.view import write_view

LIMITS = Limits(seconds=60, threads=1)
METRICS = EvaluateConfig(also=("recall@20",))


@pytest.fixture(scope="module")
def sandbox() -> Iterator[PooledSandbox]:
    with PooledSandbox(Unconfined(), workers=1) as box:
        yield box


@pytest.fixture(scope="module")
def data() -> Dataset:
    return sample(users=300, items=150, rows=6000)


def exported(folder: Path, model: str, data: Dataset, box: PooledSandbox, card: CardFacts) -> Path:
    """A package of a zoo model, trained on all of the data in the sandbox."""
    source = zoo.source(model)
    facts = inspect_source(source)
    assert not isinstance(facts, Failed)
    fold = everything(data, repeats=False)
    write_view(fold, folder / "view")
    job = Job(
        candidate=Candidate(source=source, name=model, proposer="zoo"),
        view=folder / "view",
        queries=len(fold.queries),
        items=data.n_items,
        k=20,
        seed=11,
        limits=LIMITS,
        want_weights=True,
    )
    outcome = box.run(job).outcome
    assert isinstance(outcome, Completed), outcome
    return write_package(
        folder / "out",
        f"zoo_{model}",
        candidate=job.candidate,
        values=complete_values(facts, {}),
        weights=outcome.weights or b"",
        dataset=data,
        fold=fold,
        card=replace(card, data_fingerprint=data.fingerprint),
        parity=Parity(rows=np.arange(len(fold.queries)), lists=outcome.answers),
        tie_seed=11,
        serves_unseen=True,
    )


def checked(folder: Path, name: str) -> dict[str, Any]:
    """What the package's own check says, in a process of its own that cannot see evolver."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", name, "check", "--json"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("model", ["item_knn", "ease"])
def test_a_package_says_what_the_sandbox_measured(
    tmp_path: Path, data: Dataset, sandbox: PooledSandbox, card: CardFacts, model: str
) -> None:
    folder = exported(tmp_path, model, data, sandbox, card)
    parity = checked(folder, f"zoo_{model}")
    assert parity["users"] == len(np.unique(data.users))
    assert parity["identical"] == parity["users"]


def test_refit_on_new_data(
    tmp_path: Path, data: Dataset, sandbox: PooledSandbox, card: CardFacts
) -> None:
    package = read_package(exported(tmp_path, "item_knn", data, sandbox, card))
    assert package.candidate.source == zoo.source("item_knn")
    newer = sample(users=400, items=200, rows=9000, seed=5)
    result = refit(
        package,
        newer,
        tmp_path / "new",
        sandbox=sandbox,
        limits=LIMITS,
        split=SplitConfig(),
        metrics=METRICS,
        created="2026-02-03",
    )
    parity = checked(result.folder, "zoo_item_knn")
    assert parity["identical"] == parity["users"] > 300
    card_text = (result.folder / "MODEL_CARD.md").read_text("utf-8")
    assert newer.fingerprint in card_text
    assert data.fingerprint in card_text
    assert "tuned baseline" not in card_text
    assert f"{result.scored.metrics['ndcg@10']:.4f}" in card_text
    assert result.comparison.difference[0].low is not None
    assert result.beats_rival == (result.comparison.difference[0].low > 0)


def test_a_candidate_that_fails_on_new_data_leaves_the_package_alone(
    tmp_path: Path,
    data: Dataset,
    sandbox: PooledSandbox,
    arguments: Callable[..., dict[str, Any]],
) -> None:
    folder = write_package(tmp_path / "out", "fragile", **arguments())
    package = read_package(folder)
    broken = replace(
        package,
        candidate=Candidate(
            source=package.candidate.source.replace(
                "def fit(self, train: Interactions, budget: Budget) -> None:\n",
                "def fit(self, train: Interactions, budget: Budget) -> None:\n"
                "        raise RuntimeError('no such luck')\n",
            )
        ),
    )
    assert "no such luck" in broken.candidate.source
    before = sorted(path.stat().st_mtime_ns for path in folder.rglob("*"))
    with pytest.raises(RefitFailed, match="no such luck"):
        refit(
            broken,
            data,
            folder,
            sandbox=sandbox,
            limits=LIMITS,
            split=SplitConfig(),
            metrics=METRICS,
            created="now",
            overwrite=True,
        )
    assert sorted(path.stat().st_mtime_ns for path in folder.rglob("*")) == before


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": "x"}', '{"name": "../x"}'])
def test_folders_that_are_no_package_are_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "evolver-export.json").write_text(content)
    with pytest.raises(UsageError, match="not a package"):
        read_package(tmp_path)


def test_everything_asks_for_everybody(data: Dataset) -> None:
    fold = everything(data, repeats=True)
    assert len(fold.train) == len(data)
    assert fold.queries.ids.tolist() == np.unique(data.users).tolist()
    row = 17
    user = fold.queries.ids[row]
    assert fold.queries.history(row).tolist() == data.items[data.users == user].tolist()
    assert fold.repeats
