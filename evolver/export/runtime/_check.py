"""Does this installation still recommend what was measured when the package was exported?"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from ._engine import TOLERATED
from ._recommender import Recommender, load


@dataclass(frozen=True, slots=True)
class Parity:
    """What the check found. `rounded`: lists that differ only between items of equal score to
    within float rounding, as another processor or thread count can cause."""

    users: int
    k: int
    identical: int
    rounded: int
    different: int

    @property
    def passed(self) -> bool:
        return self.users > 0 and self.different <= TOLERATED * self.users

    def __str__(self) -> str:
        if self.identical == self.users:
            return f"parity: all {self.users} top-{self.k} lists identical to the measured ones"
        return (
            f"parity: {self.identical} of {self.users} top-{self.k} lists identical, "
            f"{self.rounded} differ by float rounding only, {self.different} differ"
        )


def check(recommender: Recommender | None = None) -> Parity:
    """Rank again for the users whose lists were stored at export, and compare."""
    module = recommender or load()
    with as_file(files(__package__)) as folder:
        data = Path(folder) / "data"
        users = np.load(data / "parity_users.npy", allow_pickle=False)
        expected = np.load(data / "parity_lists.npy", allow_pickle=False)
    block = module._block(users)
    got = module._engine.rank(block, expected.shape[1], module._repeats)
    if got.shape[1] < expected.shape[1]:  # k passes the catalogue
        got = np.pad(got, ((0, 0), (0, expected.shape[1] - got.shape[1])), constant_values=-1)
    unequal = np.flatnonzero((got != expected).any(axis=1))
    rounded = sum(
        module._engine.alike(block[int(row) : int(row) + 1], expected[row], got[row])
        for row in unequal
    )
    return Parity(
        users=len(users),
        k=expected.shape[1],
        identical=len(users) - len(unequal),
        rounded=rounded,
        different=len(unequal) - rounded,
    )
