"""What each user adds to a metric of predicted probabilities, so that two models can be compared in
pairs of users.

An AUC is no mean over users: it compares rows of one user with rows of all others. But it is, to
first order, a mean of contributions (DeLong, DeLong and Clarke-Pearson 1988), and where rows come
in clusters the contributions of a cluster are added up (Obuchowski 1997). So every metric here
becomes one number a unit, its mean is the metric exactly, and a paired bootstrap over units has the
spread that drawing units anew and computing the metric anew would have.

labels, probabilities, units: (n,), units from 0 to n_units - 1: users, or runs of rows where nobody
is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from evolver.errors import UsageError
from evolver.metrics.classification import auc_by_group, log_losses

Floats = NDArray[np.float64]
PairedMetric = Literal["auc", "gauc", "rig", "log_loss"]
"""rig: relative information gain, 1 - log loss / entropy of the share of positives (He et al.
2014): 0 for a model that knows this share only, 1 for one that knows all."""
PAIRED: tuple[PairedMetric, ...] = get_args(PairedMetric)
HIGHER_IS_BETTER: tuple[PairedMetric, ...] = ("auc", "gauc", "rig")


def parse_paired(name: str) -> PairedMetric:
    """The metric of that name. Raises UsageError with the names there are."""
    if name not in PAIRED:
        raise UsageError(f"unknown metric {name!r} for ranking; there are {', '.join(PAIRED)}")
    return name


def per_unit(
    labels: NDArray[np.floating],
    probabilities: Floats,
    units: NDArray[np.int64],
    n_units: int,
    metrics: Sequence[PairedMetric],
) -> dict[str, Floats]:
    """(n_units,) float64 for each metric; the mean over units is the metric of all rows.

    Raises ValueError where the labels are all alike, or no unit has both for "gauc".
    """
    truth = labels > 0.5
    found: dict[str, Floats] = {}
    for name in metrics:
        if name == "gauc":
            found[name] = _by_user(truth, probabilities, units, n_units)
        else:
            rows = _ROWS[name](truth, probabilities)
            value = rows.mean()
            added = np.bincount(units, weights=rows - value, minlength=n_units)
            found[name] = value + n_units / len(rows) * added
    return found


def auc_contributions(truth: NDArray[np.bool_], scores: Floats) -> Floats:
    """(n,) the contribution of each row, of mean AUC: how many rows of the other label it is on the
    right side of, weighted by how rare its own label is."""
    positive = int(truth.sum())
    negative = len(truth) - positive
    if not positive or not negative:
        raise ValueError("AUC needs positive and negative rows")
    places = rankdata(scores)
    right = np.empty(len(truth))
    right[truth] = (places[truth] - rankdata(scores[truth])) / negative
    right[~truth] = 1 - (places[~truth] - rankdata(scores[~truth])) / positive
    value = right[truth].mean()
    share = np.where(truth, positive, negative) / len(truth)
    return np.asarray(value + (right - value) / share)


def _information(truth: NDArray[np.bool_], probabilities: Floats) -> Floats:
    share = truth.mean()
    if not 0 < share < 1:
        raise ValueError("an information gain needs positive and negative rows")
    entropy = -(share * np.log(share) + (1 - share) * np.log(1 - share))
    return np.asarray(1 - log_losses(truth, probabilities) / entropy)


_ROWS: dict[PairedMetric, Callable[[NDArray[np.bool_], Floats], Floats]] = {
    "auc": auc_contributions,
    "rig": _information,
    "log_loss": log_losses,
}


def _by_user(
    truth: NDArray[np.bool_], probabilities: Floats, units: NDArray[np.int64], n_units: int
) -> Floats:
    """A weighted mean of users' AUCs. Users with one kind of rows add nothing to it: they sit at
    the mean."""
    value, rows, users = auc_by_group(truth, probabilities, units)
    if not len(value):
        raise ValueError("GAUC needs a user with positive and negative rows")
    mean = float(np.average(value, weights=rows))
    found = np.full(n_units, mean)
    found[users.astype(np.int64)] += n_units / rows.sum() * rows * (value - mean)
    return found
