"""Groups of users of a labelled table that a mean hides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from evolver.data.labelled.split import TableFold
from evolver.evaluate.slices import Slice, worth_telling


def table_slices(fold: TableFold) -> tuple[Slice, ...]:
    """Users by how many rows training holds of them, and by how many they are judged on; runs of
    rows, where nobody is named, by place. What a slice adds to a metric is measured among all rows.
    """
    if fold.history is None:
        return worth_telling(
            _quarters("place in the part", np.arange(fold.n_units), "runs %d to %d")
        )
    rows = np.bincount(fold.units, minlength=fold.n_units)
    return worth_telling(
        (
            *_quarters("training rows", fold.history, "%d to %d training rows"),
            Slice(group="cold start", name="known users", mask=fold.history > 0),
            Slice(group="cold start", name="users not in training", mask=fold.history == 0),
            *_quarters("rows judged", rows, "%d to %d rows judged"),
        )
    )


def _quarters(group: str, sizes: NDArray[np.int64], name: str) -> Iterator[Slice]:
    """Quarters of the units, cut where the numbers differ."""
    edges = np.unique(np.quantile(sizes, [0.25, 0.5, 0.75], method="higher"))
    low = int(sizes.min())
    for edge in [*map(int, edges), int(sizes.max()) + 1]:
        if edge > low:
            mask = (sizes >= low) & (sizes < edge)
            yield Slice(group=group, name=name % (low, edge - 1), mask=mask)
            low = edge
