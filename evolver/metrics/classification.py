"""Metrics of predicted probabilities: does the model order, and does it mean what it says?

labels: (n,) 0 or 1. scores or probabilities: (n,) floats, higher is likelier. Ties share the mean
of their places, so an AUC counts a tie as half right, as scikit-learn's does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chance that a positive row scores above a negative one. Raises ValueError without both."""
    truth, values = _pair(labels, scores)
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        raise ValueError("AUC needs positive and negative rows")
    ranks = rankdata(values)[truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def auc_by_group(
    labels: ArrayLike, scores: ArrayLike, groups: ArrayLike
) -> tuple[Floats, NDArray[np.int64], NDArray[np.generic]]:
    """(AUC, rows, group) of each group that has both kinds of rows, by group, ascending."""
    truth, values = _pair(labels, scores)
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    if len(group) != len(truth):
        raise ValueError(f"{len(truth)} rows but {len(group)} groups")
    order = np.lexsort((values, group))
    truth, values, group = truth[order], values[order], group[order]
    rows = np.bincount(group, minlength=len(names))
    positive = np.bincount(group, weights=truth, minlength=len(names))
    starts = np.cumsum(rows) - rows
    # mean place within the group of each run of equal scores
    new = np.ones(len(values), dtype=bool)
    new[1:] = (values[1:] != values[:-1]) | (group[1:] != group[:-1])
    run = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.append(first[1:], len(values))
    ranks = ((first + last + 1) / 2)[run] - starts[group]
    ranked = np.bincount(group, weights=ranks * truth, minlength=len(names))
    negative = rows - positive
    both = (positive > 0) & (negative > 0)
    value = (ranked[both] - positive[both] * (positive[both] + 1) / 2) / (
        positive[both] * negative[both]
    )
    return value, rows[both].astype(np.int64), names[both]


def gauc(labels: ArrayLike, scores: ArrayLike, groups: ArrayLike) -> float:
    """Mean AUC within groups (usually users), weighted by their rows (Zhou et al., 2018).

    Groups of one kind of rows say nothing and are left out. Raises ValueError where none is left.
    """
    value, rows, _ = auc_by_group(labels, scores, groups)
    if not len(value):
        raise ValueError("GAUC needs a group with positive and negative rows")
    return float(np.average(value, weights=rows))


def log_losses(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    """(n,) negative log-likelihood of each row. A probability of 0 or 1 is moved by the smallest
    step of float64, so that one certain mistake costs much and not everything."""
    truth, values = _pair(labels, probabilities)
    if ((values < 0) | (values > 1)).any():
        raise ValueError("probabilities must lie between 0 and 1")
    smallest = np.finfo(np.float64).eps
    values = np.clip(values, smallest, 1 - smallest)
    return -np.log(np.where(truth, values, 1 - values))


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of `log_losses`."""
    return float(log_losses(labels, probabilities).mean())


def brier(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance between probability and label."""
    truth, values = _pair(labels, probabilities)
    return float(((values - truth) ** 2).mean())


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error: |mean probability - share of positives| over bins that hold
    equally many rows, weighted by rows (Nixon et al., 2019). 0 is a model that means what it says.

    Rows of equal probability stay in one bin.
    """
    truth, values = _pair(labels, probabilities)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, bins + 1)[1:-1], method="higher"))
    where = np.searchsorted(edges, values, side="right")
    gaps = np.bincount(where, weights=values - truth, minlength=len(edges) + 1)
    return float(np.abs(gaps).sum() / len(values))


def _pair(labels: ArrayLike, values: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    truth, scores = np.asarray(labels), np.asarray(values, dtype=np.float64)
    if truth.shape != scores.shape or truth.ndim != 1 or not len(truth):
        raise ValueError(f"labels of shape {truth.shape} and values of shape {scores.shape}")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    return truth.astype(bool), scores
