"""Trains the candidate of an exported package again, on new data, with the same checks."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evolver import __version__
from evolver.config import EvaluateConfig, SplitConfig
from evolver.contract import Users
from evolver.core import (
    Candidate,
    Completed,
    Execution,
    Failed,
    Job,
    Limits,
    Sandbox,
    Scored,
)
from evolver.data.dataset import Dataset
from evolver.data.split import Counts, Fold, Labels, Split, interactions, make_fold, make_split
from evolver.errors import EvolverError, UsageError
from evolver.evaluate.check import Facts, complete_values, inspect_source
from evolver.export.card import CardFacts, Comparison, Measured
from evolver.export.names import MARKER
from evolver.export.package import CANDIDATE, Parity, write_package
from evolver.metrics.statistics import paired_bootstrap
from evolver.tasks import retrieval
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.view import write_view

PARITY_USERS = 512


class RefitFailed(EvolverError):  # noqa: N818 - `Failed` is the word for a candidate
    """The candidate did not survive the new data; the package stays as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A package on disk, read without importing anything of it."""

    folder: Path
    name: str
    candidate: Candidate
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """What came of it. `comparison` is the module beside plain popularity on the newest part of
    the new data; the package itself was then trained on everything."""

    folder: Path
    scored: Scored
    comparison: Comparison
    completed: Completed

    @property
    def beats_popularity(self) -> bool:
        """Whether the first metric's interval over popularity lies above 0."""
        low = self.comparison.difference[0].low
        return low is not None and low > 0


def read_package(folder: Path) -> Exported:
    """What an exported folder says about itself. Raises UsageError where it is none of ours."""
    try:
        marker = json.loads((folder / MARKER).read_text("utf-8"))
        name = str(marker["name"])
        data = folder / name / "data"
        stored = json.loads((data / CANDIDATE).read_text("utf-8"))
        facts = json.loads((data / "facts.json").read_text("utf-8"))
        candidate = Candidate.of(stored)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{folder} is not a package that `evolver export` wrote ({error}); give its folder"
        ) from None
    if "repeats" not in facts:
        raise UsageError(
            f"{folder} holds a ranking model, and only recommenders can be refitted: run "
            "`evolver evolve DATA --task ranking` on the new data"
        )
    return Exported(folder=folder, name=name, candidate=candidate, facts=facts)


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
    facts = inspect_source(package.candidate.source)
    if isinstance(facts, Failed):
        raise RefitFailed(f"the candidate of {package.folder}: {facts.reason}")
    split = split.model_copy(update={"repeats": bool(package.facts["repeats"])})
    parts = make_split(dataset, split, seed)
    fold = make_fold(dataset, parts, "test", split.repeats)
    run = _Runner(package.candidate, facts, sandbox, limits, seed, device)
    served = retrieval.served_rows(facts, fold)
    judged = run(fold, metrics, served)
    evaluation = retrieval.evaluate(judged, fold, metrics, served)
    if isinstance(evaluation, Failed):
        raise RefitFailed(f"judging on the new data failed: {evaluation.kind}: {evaluation.reason}")
    comparison = _beside_popularity(evaluation, fold, metrics, seed)
    full = everything(dataset, repeats=split.repeats)
    rows = np.arange(min(PARITY_USERS, len(full.queries)))
    final = run(full, metrics, rows, weights=True).outcome
    if isinstance(final, Failed):
        raise RefitFailed(f"training on all new data failed: {final.kind}: {final.reason}")
    written = write_package(
        destination,
        package.name,
        candidate=package.candidate,
        values=complete_values(facts, package.candidate.values),
        weights=final.weights or b"",
        dataset=dataset,
        fold=full,
        card=_card(
            package=package,
            dataset=dataset,
            split=parts,
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
    return Refit(folder=written, scored=evaluation, comparison=comparison, completed=final)


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


@dataclass(frozen=True, slots=True)
class _Runner:
    candidate: Candidate
    facts: Facts
    sandbox: Sandbox
    limits: Limits
    seed: int
    device: str

    def __call__(
        self, fold: Fold, metrics: EvaluateConfig, served: Any, *, weights: bool = False
    ) -> Execution:
        with tempfile.TemporaryDirectory(prefix="evolver-refit-") as place:
            view = Path(place) / "view"
            write_view(fold, view)
            Path(place).chmod(0o755)  # the sandbox may read as another user
            return self.sandbox.run(
                Job(
                    candidate=self.candidate,
                    view=view,
                    queries=len(fold.queries),
                    items=fold.train.n_items,
                    k=retrieval.list_length(metrics),
                    seed=self.seed,
                    limits=self.limits,
                    served=served,
                    device=self.device,
                    want_weights=weights,
                )
            )


def _beside_popularity(
    scored: Scored, fold: Fold, metrics: EvaluateConfig, seed: int
) -> Comparison:
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
    names = [metrics.metric, *(name for name in metrics.also if name in scored.per_user)]
    pairs = {
        name: paired_bootstrap(scored.per_user[name], popular.per_user[name], seed=seed)
        for name in names
    }
    return Comparison(
        part="test",
        users=len(fold.queries),
        module=tuple(Measured(metric=n, value=scored.metrics[n]) for n in names),
        rival=tuple(Measured(metric=n, value=popular.metrics[n]) for n in names),
        difference=tuple(
            Measured(metric=n, value=pair.difference, low=pair.low, high=pair.high)
            for n, pair in pairs.items()
        ),
        note="The newest part of the data, trained on the rest. The package itself was then "
        "trained on everything, so these figures are of the same program with less data.",
    )


def _card(
    *,
    package: Exported,
    dataset: Dataset,
    split: Split,
    comparison: Comparison,
    final: Completed,
    created: str,
    sandbox: str,
) -> CardFacts:
    latency = final.latency_ms if len(final.latency_ms) else np.full(1, np.nan)
    base = CardFacts(
        data_name=dataset.name,
        data_fingerprint=dataset.fingerprint,
        split_kind=split.kind,
        split_fingerprint=split.fingerprint,
        created=created,
        evolver_version=__version__,
    )
    before = package.facts.get("data", {})
    return replace(
        base,
        data={
            "users": f"{dataset.n_users:,}",
            "items": f"{dataset.n_items:,}",
            "interactions": f"{len(dataset):,}",
        },
        trained_on="all interactions in the data",
        rival_name="popularity",
        rival="baseline",
        comparisons=(comparison,),
        evidence=(
            f"Refitted from a package made on {before.get('name', 'other data')} "
            f"(fingerprint {before.get('fingerprint', 'unknown')}, {package.facts['created']}).",
        ),
        limits=(
            "The program and its settings were chosen on the earlier data and were not tuned "
            "again; plain popularity is the only baseline that was measured on the new data.",
        ),
        seeds=(split.seed,),
        fit_seconds=final.fit_seconds,
        latency_ms_p50=float(np.quantile(latency, 0.5)),
        latency_ms_p99=float(np.quantile(latency, 0.99)),
        peak_bytes=final.peak_bytes,
        parameters=final.parameters,
        measured_on=f"{sandbox} sandbox",
    )
