"""Lists between the stages: ranked by probability, cut to a head, put together again.

Lists are (q, w) int32, best first, -1 as padding at the end. Exported pipelines run this same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evolver.agents.features import Rows
from evolver.contract import Ranked, Users

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Lists = NDArray[np.int32]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listed:
    """items: (q, w) int32. scores: (q, w), falling along each list."""

    items: Lists
    scores: NDArray[np.floating]


def placed(items: Lists, rows: Rows, values: Values) -> Values:
    """(q, w) one value a row, where its item is on the lists; NaN elsewhere."""
    found = np.full(items.shape, np.nan)
    found[rows.query, rows.place] = values
    return found


def by_probability(items: Lists, probabilities: Values) -> Listed:
    """Each list by probability; equal ones keep the merged order, and padding stays at the end."""
    order = np.argsort(-np.nan_to_num(probabilities, nan=-1.0), axis=1, kind="stable")
    return Listed(
        items=np.take_along_axis(items, order, axis=1),
        scores=np.take_along_axis(probabilities, order, axis=1),
    )


def head_of(listed: Listed, size: int) -> Listed:
    """The first `size` places, with 0 as the score of padding. scores: float32."""
    width = min(size, listed.items.shape[1])
    items, scores = listed.items[:, :width], listed.scores[:, :width]
    values = np.where(items >= 0, np.nan_to_num(scores), 0.0)
    return Listed(items=items, scores=values.astype(np.float32))


def widened(head: Listed, width: int) -> Listed:
    """The lists with padding up to a width."""
    missing = ((0, 0), (0, width - head.items.shape[1]))
    return Listed(
        items=np.pad(head.items, missing, constant_values=-1), scores=np.pad(head.scores, missing)
    )


def ranked(
    head: Listed,
    users: Users,
    popularity: NDArray[np.int64],
    item_features: Mapping[str, csr_matrix],
    labels: NDArray[np.float32] | None = None,
) -> Ranked:
    """A head as the contract has it."""
    return Ranked(
        items=head.items,
        scores=head.scores.astype(np.float32, copy=False),
        users=users,
        popularity=popularity,
        item_features=item_features,
        labels=labels,
    )


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
