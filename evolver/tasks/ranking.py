"""The ranking task: what is concluded from the probabilities that come out of a sandbox."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.config import EvaluateConfig
from evolver.core import Execution, Failed, Scored
from evolver.data.labelled.split import TableFold
from evolver.errors import UsageError
from evolver.metrics.classification import brier, calibration_error, log_loss
from evolver.metrics.units import HIGHER_IS_BETTER, PairedMetric, parse_paired, per_unit

EVALUATOR = "ranking-1"
"""Changes whenever the same probabilities would be judged differently."""


def metrics_of(config: EvaluateConfig) -> tuple[PairedMetric, ...]:
    """The metric to compare by, then the others, each once. Raises UsageError on an unknown one, or
    on one to compare by of which less is better."""
    parsed = [parse_paired(text) for text in (config.metric, *config.also)]
    if parsed[0] not in HIGHER_IS_BETTER:
        raise UsageError(
            f"less {config.metric} is better, and candidates are compared by a metric of which "
            "more is; rig is the same order the right way round: --metric rig"
        )
    return tuple(dict.fromkeys(parsed))


def evaluate(execution: Execution, fold: TableFold, config: EvaluateConfig) -> Scored | Failed:
    """Measure what a sandbox brought back against the labels.

    auc, gauc (where users are named), rig, log_loss, brier and calibration_error, of all rows.
    Probabilities that break the contract are the candidate's fault: `Failed`.
    """
    outcome = execution.outcome
    if isinstance(outcome, Failed):
        return outcome
    wrong = fault(outcome.answers, len(fold.labels))
    if wrong is not None:
        return Failed(kind="invalid_output", reason=wrong)
    values = unit_values(outcome.answers, fold, metrics_of(config))
    latency = outcome.latency_ms
    p50, p99 = np.percentile(latency, [50, 99]) if len(latency) else (0.0, 0.0)
    return Scored(
        metrics={
            **{name: float(each.mean()) for name, each in values.items()},
            "log_loss": log_loss(fold.labels, outcome.answers),
            "brier": brier(fold.labels, outcome.answers),
            "calibration_error": calibration_error(fold.labels, outcome.answers),
        },
        per_user={name: each.astype(np.float32) for name, each in values.items()},
        fit_seconds=outcome.fit_seconds,
        score_seconds=outcome.score_seconds,
        latency_ms_p50=float(p50),
        latency_ms_p99=float(p99),
        parameters=outcome.parameters,
        peak_bytes=outcome.peak_bytes,
    )


def unit_values(
    probabilities: NDArray[np.float64], fold: TableFold, metrics: tuple[PairedMetric, ...]
) -> dict[str, NDArray[np.float64]]:
    """What each unit of the fold adds to each metric; GAUC only where units are users."""
    known = [name for name in metrics if name != "gauc" or fold.history is not None]
    return per_unit(fold.labels, probabilities, fold.units, fold.n_units, known)


def fault(answers: NDArray[Any], rows: int) -> str | None:
    """Why these answers cannot be used, in one line; None if they can."""
    if answers.dtype != np.float64 or answers.shape != (rows,):
        return (
            f"probabilities must be float64 of shape ({rows},), not {answers.dtype} of shape "
            f"{answers.shape}"
        )
    if not bool(((answers >= 0) & (answers <= 1)).all()):  # a NaN is neither
        return "probabilities must be finite and lie between 0 and 1"
    return None
