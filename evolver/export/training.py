"""What refitting is for any task: trainings in the sandbox, a comparison, and what a card says."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver import __version__
from evolver.config import EvaluateConfig
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
from evolver.data.split import Split
from evolver.errors import EvolverError
from evolver.evaluate.check import Facts
from evolver.export.card import CardFacts, Comparison, Measured
from evolver.export.exported import Exported
from evolver.metrics.statistics import paired_bootstrap
from evolver.tasks.task import AnyTask, Data


class RefitFailed(EvolverError):  # noqa: N818 - `Failed` is the word for a candidate
    """The candidate did not survive the new data; the package stays as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """What came of it. `comparison` is the module beside `rival`, a plain baseline, on the newest
    part of the new data; the package itself was then trained on everything. units: what
    `comparison.users` counts."""

    folder: Path
    scored: Scored
    rival: str
    comparison: Comparison
    completed: Completed
    units: str = "users"

    @property
    def beats_rival(self) -> bool:
        """Whether the first metric's interval over the rival lies above 0."""
        low = self.comparison.difference[0].low
        return low is not None and low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """Trains candidates of one task, each under the same limits and with the same seed."""

    task: AnyTask
    metrics: EvaluateConfig
    sandbox: Sandbox
    limits: Limits
    seed: int
    device: str

    def facts(self, package: Exported) -> Facts:
        """What the package's candidate says of itself. Raises RefitFailed where it no longer meets
        the contract."""
        facts = self.task.inspect(package.candidate.source)
        if isinstance(facts, Failed):
            raise RefitFailed(f"the candidate of {package.folder}: {facts.reason}")
        return facts

    def judge(
        self, candidate: Candidate, fold: Any, served: NDArray[np.int64] | None = None
    ) -> Scored:
        """Train on a fold and measure the answers to what it asks for, or to the `served` rows of
        that. Raises RefitFailed."""
        execution = self._run(candidate, fold, served, weights=False)
        found = self.task.evaluate(execution, fold, self.metrics, served)
        if isinstance(found, Failed):
            raise RefitFailed(f"judging on the new data failed: {found.kind}: {found.reason}")
        return found

    def finish(
        self, candidate: Candidate, fold: Any, served: NDArray[np.int64] | None = None
    ) -> Completed:
        """Train for good, weights and answers included. Raises RefitFailed."""
        outcome = self._run(candidate, fold, served, weights=True).outcome
        if isinstance(outcome, Failed):
            raise RefitFailed(f"training on all new data failed: {outcome.kind}: {outcome.reason}")
        return outcome

    def _run(
        self, candidate: Candidate, fold: Any, served: NDArray[np.int64] | None, *, weights: bool
    ) -> Execution:
        question = self.task.question(fold, self.metrics)
        with tempfile.TemporaryDirectory(prefix="evolver-refit-") as place:
            view = Path(place) / "view"
            self.task.write_view(fold, view)
            Path(place).chmod(0o755)  # the sandbox may read as another user
            return self.sandbox.run(
                Job(
                    candidate=candidate,
                    view=view,
                    queries=question.queries,
                    items=question.items,
                    k=question.k,
                    seed=self.seed,
                    limits=self.limits,
                    served=served,
                    device=self.device,
                    want_weights=weights,
                )
            )


def compared(module: Scored, rival: Scored, metrics: EvaluateConfig, seed: int) -> Comparison:
    """Both on the newest part of the data, unit by unit, by every metric that was asked for."""
    wanted = dict.fromkeys((metrics.metric, *metrics.also))
    names = [name for name in wanted if name in module.per_user]
    pairs = {
        name: paired_bootstrap(module.per_user[name], rival.per_user[name], seed=seed)
        for name in names
    }
    return Comparison(
        part="test",
        users=len(module.per_user[metrics.metric]),
        module=tuple(Measured(metric=n, value=module.metrics[n]) for n in names),
        rival=tuple(Measured(metric=n, value=rival.metrics[n]) for n in names),
        difference=tuple(
            Measured(metric=n, value=pair.difference, low=pair.low, high=pair.high)
            for n, pair in pairs.items()
        ),
        note="The newest part of the data, trained on the rest. The package itself was then "
        "trained on everything, so these figures are of the same program with less data.",
    )


def refit_card(
    package: Exported,
    data: Data,
    sizes: Mapping[str, str],
    split: Split,
    *,
    rival: str,
    comparison: Comparison,
    final: Completed,
    created: str,
    sandbox: str,
) -> CardFacts:
    """The new package's card. `sizes` describe the data; `rival` is whom `comparison` is with."""
    latency = final.latency_ms if len(final.latency_ms) else np.full(1, np.nan)
    before = package.facts.get("data", {})
    return CardFacts(
        data_name=data.name,
        data_fingerprint=data.fingerprint,
        split_kind=split.kind,
        split_fingerprint=split.fingerprint,
        created=created,
        evolver_version=__version__,
        data=sizes,
        trained_on="everything in the data",
        rival_name=rival,
        rival="baseline",
        comparisons=(comparison,),
        evidence=(
            f"Refitted from a package made on {before.get('name', 'other data')} "
            f"(fingerprint {before.get('fingerprint', 'unknown')}, {package.facts['created']}).",
        ),
        limits=(
            "The program and its settings were chosen on the earlier data and were not tuned "
            f"again; plain {rival} is the only baseline that was measured on the new data.",
        ),
        seeds=(split.seed,),
        fit_seconds=final.fit_seconds,
        latency_ms_p50=float(np.quantile(latency, 0.5)),
        latency_ms_p99=float(np.quantile(latency, 0.99)),
        peak_bytes=final.peak_bytes,
        parameters=final.parameters,
        measured_on=f"{sandbox} sandbox",
    )
