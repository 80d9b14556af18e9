"""What about a dataset breaks evaluation, each in one line that says what to do."""

from __future__ import annotations

import time
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.data.dataset import Dataset
from evolver.data.profile import Folds, describe, folds_of
from evolver.data.split import PARTS, Split

USUAL_SPREAD = 0.3
"""Standard deviation over users of a metric such as NDCG, in most data between 0.2 and 0.4."""
NARROW = 0.03
DAY = 86_400


def warnings(dataset: Dataset, split: Split, repeats: bool = False) -> list[str]:
    """The faults found, worst first; empty where nothing stands out."""
    folds = folds_of(dataset, split, repeats)
    return warn(dataset, split, folds, describe(dataset, split, folds), now=time.time())


def warn(
    dataset: Dataset, split: Split, folds: Folds, profile: dict[str, Any], *, now: float
) -> list[str]:
    """`warnings` from what is already known. now: seconds since 1970."""
    return [
        *_leaks(dataset, split),
        *_times(dataset, profile, now),
        *_few_users(folds),
        *_cold(folds),
        *_telling_ids(dataset, split),
        *_thin(dataset, profile),
        *_values(profile),
        *_duplicates(dataset),
    ]


def half_width(users: int) -> float:
    """About how far a mean over so many users may be off (95%), before any pairing."""
    return 1.96 * USUAL_SPREAD / sqrt(max(1, users))


def _leaks(dataset: Dataset, split: Split) -> list[str]:
    """The same user and item in a part and before it, where the source split the data."""
    if split.kind != "published":
        return []
    pairs = dataset.users.astype(np.int64) * dataset.n_items + dataset.items
    held_out = split.assignment == PARTS.index("test")
    both = np.isin(pairs[held_out], pairs[~held_out])
    if not both.any():
        return []
    return [
        f"{int(both.sum()):,} of {int(held_out.sum()):,} test rows are in training too "
        "(same user and item): the published split leaks; they are not used as labels"
    ]


def _times(dataset: Dataset, profile: dict[str, Any], now: float) -> list[str]:
    facts = profile["times"]
    if dataset.times is None or facts is None:
        return []
    found = []
    if np.median(dataset.times) < 10 * 365 * DAY:
        found.append(
            f"times lie near 1970 (from {facts['first']} to {facts['last']}): these are counters "
            "or another unit, not seconds since 1970; order is kept, spans of time mean nothing"
        )
    elif int(dataset.times.max()) > now + DAY:
        later = int((dataset.times > now + DAY).sum())
        found.append(f"{later:,} rows lie in the future (last {facts['last']}): check the clock")
    if facts["distinct"] < 50 and len(dataset) > 1000:
        found.append(
            f"only {facts['distinct']} different times in {len(dataset):,} rows: when is known too "
            "roughly to tell what came first"
        )
    elif facts["tied_share"] > 0.2:
        found.append(
            f"{facts['tied_share']:.0%} of rows have the time of another row of their user: "
            "their order is arbitrary, so sequential models learn less than they could"
        )
    return found


def _few_users(folds: Folds) -> list[str]:
    few = {name: len(fold.queries) for name, fold in folds.items()}
    few = {name: users for name, users in few.items() if half_width(users) > NARROW}
    if not few:
        return []
    listed = ", ".join(f"{name} {users:,}" for name, users in few.items())
    worst = min(few.values())
    return [
        f"few users to ask for ({listed}): a metric is known to about ±{half_width(worst):.3f}; "
        "small gains will not be provable. Larger shares or --split order ask more users"
    ]


def _cold(folds: Folds) -> list[str]:
    found = []
    shares = {
        "items": {n: f.counts.cold_item_rows / f.counts.label_rows for n, f in folds.items()},
        "users": {n: f.counts.unseen_users / len(f.queries) for n, f in folds.items()},
        "lost": {n: f.counts.cold_user_rows / f.counts.rows for n, f in folds.items()},
    }
    says = {
        "items": "of what {} holds are items that training never saw: nobody without item "
        "features can find them",
        "users": "of the users asked for in {} are not in training: models that cannot serve "
        "unseen users fall back on popularity for them",
        "lost": "of the rows of {} belong to users about whom nothing is known before: they are "
        "counted, and nobody is asked for them",
    }
    limits = {"items": 0.1, "users": 0.3, "lost": 0.1}
    for kind, by_part in shares.items():
        name = max(by_part, key=lambda part: by_part[part])
        if by_part[name] > limits[kind]:
            found.append(f"{by_part[name]:.0%} {says[kind].format(name)}")
    return found


def _telling_ids(dataset: Dataset, split: Split) -> list[str]:
    """Ids given out as time went by tell how new something is, even to one who should not know."""
    if dataset.times is None:
        return []
    found = []
    train = split.assignment == 0
    for what, numbers, count in (
        ("item", dataset.items, dataset.n_items),
        ("user", dataset.users, dataset.n_users),
    ):
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, numbers[train], dataset.times[train])
        known = np.flatnonzero(first != np.iinfo(np.int64).max)
        if len(known) < 50:
            continue
        correlation = _rank_correlation(known, first[known])
        if abs(correlation) > 0.8:
            found.append(
                f"{what} ids follow the time of first use (rank correlation {correlation:.2f}): "
                "a model can read from the number how new it is, which helps in production only "
                "where ids are given out the same way"
            )
    return found


def _rank_correlation(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Spearman's; 0 where one of them is the same throughout."""
    ranks = [_ranks(one), _ranks(other)]
    if any(rank.min() == rank.max() for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.int64]) -> NDArray[np.float64]:
    """From 1; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mean: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return mean[inverse]


def _thin(dataset: Dataset, profile: dict[str, Any]) -> list[str]:
    found = []
    usual = profile["rows_per_user"].get("p50", 0)
    if usual < 3:
        found.append(
            f"half of the users have {usual:.0f} training rows or fewer: little can be learned "
            "about anybody"
        )
    per_item = profile["rows_per_item"].get("p50", 0)
    if per_item < 2:
        found.append(
            "half of the items occur once in training: most of the catalogue is noise to a model "
            "of interactions alone"
        )
    largest = int(np.bincount(dataset.users).max())
    if largest > 0.1 * len(dataset) and dataset.n_users > 20:
        found.append(
            f"one user has {largest:,} of {len(dataset):,} rows: a robot or a shared account?"
        )
    return found


def _values(profile: dict[str, Any]) -> list[str]:
    facts = profile["values"]
    if facts is None or facts["distinct"] < 2 or facts["distinct"] > 20:
        return []
    if facts["min"] > 0.5 * facts["max"]:
        return []
    liked = facts["min"] + 0.75 * (facts["max"] - facts["min"])
    return [
        f"values go from {facts['min']:g} to {facts['max']:g} and every row counts as taken, "
        f"disliked or not; --min-value {liked:g} keeps what was liked"
    ]


def _duplicates(dataset: Dataset) -> list[str]:
    read = len(dataset) + dataset.merged_rows
    if dataset.merged_rows <= 0.01 * read:
        return []
    return [
        f"{dataset.merged_rows:,} of {read:,} rows were duplicates and merged: if they are "
        "repeated purchases or plays, they need times of their own"
    ]
