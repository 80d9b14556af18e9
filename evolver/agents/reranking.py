"""What a re-ranking agent reads: lists with upstream scores, whom they are for, item features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.contract import Interactions, Ranked, Users
from evolver.tasks.view import feature_arrays, feature_widths, written

Lists = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Head:
    """The first places of ranked lists. items: (q, m) int32; scores: (q, m) float32, falling."""

    items: Lists
    scores: NDArray[np.float32]


def head_of(items: Lists, scores: NDArray[np.floating], size: int) -> Head:
    """The first `size` places, with 0 as the score of padding."""
    width = min(size, items.shape[1])
    values = np.where(items[:, :width] >= 0, np.nan_to_num(scores[:, :width]), 0.0)
    return Head(items=items[:, :width], scores=values.astype(np.float32))


def widened(head: Head, width: int) -> Head:
    """The lists with padding up to a width."""
    missing = ((0, 0), (0, width - head.items.shape[1]))
    return Head(
        items=np.pad(head.items, missing, constant_values=-1), scores=np.pad(head.scores, missing)
    )


def ranked(
    head: Head, users: Users, train: Interactions, labels: NDArray[np.float32] | None = None
) -> Ranked:
    """A head as the contract has it."""
    return Ranked(
        items=head.items,
        scores=head.scores,
        users=users,
        popularity=train.popularity(),
        item_features=train.item_features,
        labels=labels,
    )


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


def merged_back(head: Lists, reranked: Lists, rest: Lists, k: int) -> Lists:
    """(q, k): the re-ranked places, then what was left of the head, then the rest."""
    out = np.full((len(head), k), -1, dtype=np.int32)
    for row in range(len(head)):
        first = reranked[row][reranked[row] >= 0]
        left = head[row][(head[row] >= 0) & ~np.isin(head[row], first)]
        after = rest[row][rest[row] >= 0]
        full = np.concatenate([first, left, after])[:k]
        out[row, : len(full)] = full
    return out


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
