"""Trains the candidate of an exported recommender again, on new data, with the same checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from evolver.config import EvaluateConfig, SplitConfig
from evolver.contract import Users
from evolver.core import Completed, Execution, Failed, Limits, Sandbox, Scored
from evolver.data.dataset import Dataset
from evolver.data.split import Counts, Fold, Labels, interactions, make_fold, make_split
from evolver.evaluate.check import complete_values
from evolver.export.exported import Exported
from evolver.export.package import Parity, write_package
from evolver.export.training import Refit, Trainer, compared, refit_card
from evolver.tasks import retrieval
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.retrieval_task import Retrieval

PARITY_USERS = 512
RIVAL = "popularity"


def refit(
    package: Exported,
    dataset: Dataset,
    destination: Path,
    *,
    sandbox: Sandbox,
    limits: Limits,
    split: SplitConfig,
    metrics: EvaluateConfig,
    created: str,
    seed: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
) -> Refit:
    """Judge the candidate on the newest part of the new data, then train it on all of it.

    Both runs are in the sandbox. Writes the package to `destination`. Raises RefitFailed when
    either run fails, DataError where the data cannot be split as asked.
    """
    trainer = Trainer(
        task=Retrieval(),
        metrics=metrics,
        sandbox=sandbox,
        limits=limits,
        seed=seed,
        device=device,
    )
    facts = trainer.facts(package)
    split = split.model_copy(update={"repeats": bool(package.facts["repeats"])})
    parts = make_split(dataset, split, seed)
    fold = make_fold(dataset, parts, "test", split.repeats)
    scored = trainer.judge(package.candidate, fold, retrieval.served_rows(facts, fold))
    comparison = compared(scored, _popularity(fold, metrics), metrics, seed)
    full = everything(dataset, repeats=split.repeats)
    rows = np.arange(min(PARITY_USERS, len(full.queries)))
    final = trainer.finish(package.candidate, full, rows)
    written = write_package(
        destination,
        package.name,
        candidate=package.candidate,
        values=complete_values(facts, package.candidate.values),
        weights=final.weights or b"",
        dataset=dataset,
        fold=full,
        card=refit_card(
            package,
            dataset,
            {
                "users": f"{dataset.n_users:,}",
                "items": f"{dataset.n_items:,}",
                "interactions": f"{len(dataset):,}",
            },
            parts,
            rival=RIVAL,
            comparison=comparison,
            final=final,
            created=created,
            sandbox=sandbox.name,
        ),
        parity=Parity(rows=rows.astype(np.int64), lists=final.answers),
        tie_seed=seed,
        serves_unseen=facts.serves_unseen,
        overwrite=overwrite,
    )
    return Refit(folder=written, scored=scored, rival=RIVAL, comparison=comparison, completed=final)


def everything(dataset: Dataset, *, repeats: bool) -> Fold:
    """A fold to train on all rows and to serve everybody; there is nothing left to judge on."""
    train = interactions(dataset, np.ones(len(dataset), dtype=np.bool_))
    ids = np.flatnonzero(np.bincount(dataset.users, minlength=dataset.n_users)).astype(np.int64)
    sizes = np.bincount(dataset.users, minlength=dataset.n_users)[ids]
    return Fold(
        part="test",
        train=train,
        queries=Users(
            ids=ids,
            known=np.ones(len(ids), dtype=np.bool_),
            indptr=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            items=dataset.items,
            n_items=dataset.n_items,
            times=dataset.times,
        ),
        labels=Labels(
            indptr=np.zeros(len(ids) + 1, dtype=np.int64), items=np.zeros(0, dtype=np.int32)
        ),
        counts=Counts(
            rows=0,
            label_rows=0,
            history_rows=0,
            repeat_rows=0,
            cold_user_rows=0,
            known_users=len(ids),
            unseen_users=0,
            cold_users=0,
            cold_items=0,
        ),
        repeats=repeats,
    )


def _popularity(fold: Fold, metrics: EvaluateConfig) -> Scored:
    """What the popularity ranking reaches on the fold."""
    k = retrieval.list_length(metrics)
    lists = popularity_lists(fold.train, fold.queries, k, repeats=fold.repeats)
    outcome = Completed(
        answers=lists,
        fit_seconds=0.0,
        score_seconds=0.0,
        latency_ms=np.zeros(1),
        parameters=0,
        peak_bytes=0,
    )
    popular = retrieval.evaluate(Execution(outcome=outcome, seconds=0.0), fold, metrics)
    if isinstance(popular, Failed):
        raise RuntimeError(f"the popularity ranking was refused: {popular.reason}")
    return popular
