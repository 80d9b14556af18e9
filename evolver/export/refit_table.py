"""Trains the candidate of an exported ranking package again, on new labelled rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from evolver import zoo
from evolver.config import DataConfig, EvaluateConfig, SplitConfig
from evolver.core import Candidate, Limits, Sandbox
from evolver.data.labelled.read import load_labelled
from evolver.data.labelled.split import fold_table, split_table, whole_table
from evolver.data.labelled.table import LabelledTable
from evolver.evaluate.check import complete_values
from evolver.export.exported import Exported
from evolver.export.table_package import PARITY_ROWS, write_table_package
from evolver.export.training import Refit, Trainer, compared, refit_card
from evolver.tasks.ranking_task import Ranking

RIVAL = "logistic_regression"


def load_like(package: Exported, given: DataConfig) -> LabelledTable:
    """New rows with the label and the columns of the package, each of the kind it had; other
    columns are left out. What `given` names otherwise stands. Raises DataError where one is
    missing."""
    facts = package.facts
    columns = facts["columns"] | given.columns
    config = given.model_copy(
        update={
            "columns": columns,
            **{name: getattr(given, name) or facts[name] for name in ("label", "user", "item")},
        }
    )
    table = load_labelled(config)
    kept = tuple(column for column in table.columns if column.name in columns)
    names = {column.name for column in kept}
    return replace(
        table,
        columns=kept,
        vocabularies={n: v for n, v in table.vocabularies.items() if n in names},
        user=table.user if table.user in names else None,
        item=table.item if table.item in names else None,
    )


def refit_table(
    package: Exported,
    table: LabelledTable,
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
    """Judge the candidate on the newest part of the rows beside logistic regression at its
    defaults, then train it on all of them.

    All three trainings are in the sandbox. Writes the package to `destination`. Raises RefitFailed
    when one fails, DataError where the rows cannot be split as asked.
    """
    trainer = Trainer(
        task=Ranking(), metrics=metrics, sandbox=sandbox, limits=limits, seed=seed, device=device
    )
    facts = trainer.facts(package)
    trainer.task.check_metrics(metrics, table)
    parts = split_table(table, split, seed)
    fold = fold_table(table, parts, "test")
    scored = trainer.judge(package.candidate, fold)
    rival = Candidate(source=zoo.source(RIVAL), name=RIVAL, proposer="zoo")
    comparison = compared(scored, trainer.judge(rival, fold), metrics, seed)
    full = whole_table(table, PARITY_ROWS)
    final = trainer.finish(package.candidate, full)
    written = write_table_package(
        destination,
        package.name,
        candidate=package.candidate,
        values=complete_values(facts, package.candidate.values),
        weights=final.weights or b"",
        table=table,
        fold=full,
        rows=np.arange(len(full.asked), dtype=np.int64),
        probabilities=final.answers,
        card=refit_card(
            package,
            table,
            {
                "labelled rows": f"{len(table):,}",
                "share of positives": f"{table.labels.mean():.1%}",
            },
            parts,
            rival=RIVAL,
            comparison=comparison,
            final=final,
            created=created,
            sandbox=sandbox.name,
        ),
        overwrite=overwrite,
    )
    return Refit(
        folder=written,
        scored=scored,
        rival=RIVAL,
        comparison=comparison,
        completed=final,
        units="users" if fold.history is not None else "runs of rows",
    )
