"""The view of a re-ranking agent: lists with upstream scores, whom for, item features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Ranked
from evolver.tasks.view import feature_arrays, feature_widths, written


def write_ranked(train: Ranked, asked: Ranked, folder: Path, *, repeats: bool) -> None:
    """Write the lists to learn from, with labels, and those to re-rank, without."""
    if train.labels is None or asked.labels is not None:
        raise ValueError("lists to learn from need labels, and those to re-rank must not have any")
    arrays = {
        **_arrays(train),
        "ranked_labels": train.labels.astype(np.float32, copy=False),
        "ranked_popularity": asked.popularity,
        **feature_arrays("item_feature", asked.item_features),
        **{f"query_{name}": array for name, array in _arrays(asked).items()},
    }
    facts = {
        "task": "reranking",
        "n_items": asked.users.n_items,
        "repeats": repeats,
        "width": asked.items.shape[1],
        "item_features": feature_widths(asked.item_features),
    }
    written(folder, arrays, facts)


def _arrays(lists: Ranked) -> dict[str, NDArray[np.generic]]:
    """Named one by one, as in other views."""
    users = lists.users
    arrays: dict[str, NDArray[np.generic]] = {
        "ranked_items": lists.items.astype(np.int32, copy=False),
        "ranked_scores": lists.scores.astype(np.float32, copy=False),
        "ranked_ids": users.ids.astype(np.int64, copy=False),
        "ranked_known": users.known.astype(np.bool_, copy=False),
        "ranked_indptr": users.indptr.astype(np.int64, copy=False),
        "ranked_histories": users.items.astype(np.int32, copy=False),
    }
    if users.times is not None:
        arrays["ranked_times"] = users.times.astype(np.int64, copy=False)
    return arrays
