"""Recommendations by original ids, from what was trained, with nothing but this package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ._contract import Users
from ._engine import Engine

Unknown = Literal["popular", "error"]


def load() -> Recommender:
    """The trained recommender. Reads the weights once; keep what it returns."""
    with as_file(files(__package__)) as folder:
        return Recommender(Path(folder))


class Recommender:
    """Ranks the catalogue for one user or many.

    Users and items are named by their original ids. What a user had when the model was trained is
    left out of the lists unless repeats were allowed when it was measured; `exclude_seen` decides
    it for one call. A list is shorter than k only when nothing is left to recommend; a pipeline
    recommends what its recall agents bring.

    A user without any history, or one that this model cannot serve, gets the most popular items
    (`unknown="popular"`) or a KeyError (`unknown="error"`).
    """

    def __init__(self, folder: Path) -> None:
        data = folder / "data"
        self._facts: dict[str, Any] = json.loads((data / "facts.json").read_text("utf-8"))
        self._item_ids: list[str] = json.loads((data / "item_ids.json").read_text("utf-8"))
        self._user_ids: list[str] = json.loads((data / "user_ids.json").read_text("utf-8"))
        self._items = {name: number for number, name in enumerate(self._item_ids)}
        self._users = {name: number for number, name in enumerate(self._user_ids)}
        self._indptr = np.load(data / "history_indptr.npy", allow_pickle=False)
        self._history = np.load(data / "history_items.npy", allow_pickle=False)
        times = data / "history_times.npy"
        self._times = np.load(times, allow_pickle=False) if times.is_file() else None
        self._known = np.load(data / "known.npy", allow_pickle=False)
        counts = np.load(data / "popularity.npy", allow_pickle=False)
        self._by_popularity = np.argsort(-counts, kind="stable").astype(np.int32)
        self._repeats = bool(self._facts["repeats"])
        self._engine = Engine(folder, self._facts)
        self.serves_unseen = self._engine.serves_unseen

    @property
    def items(self) -> Sequence[str]:
        """Every item that can be recommended."""
        return self._item_ids

    @property
    def users(self) -> Sequence[str]:
        """Every user id that was in the data."""
        return self._user_ids

    @property
    def facts(self) -> dict[str, Any]:
        """What this package is: candidate, settings, data fingerprint, measured figures."""
        return dict(self._facts)

    def serves(self, user: str | int) -> bool:
        """Whether the model itself ranks for this user, not the popularity fallback."""
        number = self._users.get(str(user))
        return number is not None and self._served(number)

    def recommend(
        self,
        user: str | int,
        k: int = 10,
        exclude_seen: bool | None = None,
        *,
        unknown: Unknown = "popular",
    ) -> list[str]:
        """The ids of the k best items, best first. None: seen items as when it was measured."""
        return self.recommend_batch([user], k, exclude_seen, unknown=unknown)[0]

    def recommend_batch(
        self,
        users: Sequence[str | int],
        k: int = 10,
        exclude_seen: bool | None = None,
        *,
        unknown: Unknown = "popular",
    ) -> list[list[str]]:
        """One list for each user, in the order given; much faster than one call a user."""
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        if unknown not in ("popular", "error"):
            raise ValueError(f"unknown must be 'popular' or 'error', not {unknown!r}")
        repeats = self._repeats if exclude_seen is None else not exclude_seen
        numbers = [self._users.get(str(user), -1) for user in users]
        served = [row for row, n in enumerate(numbers) if n >= 0 and self._served(n)]
        if unknown == "error" and len(served) < len(numbers):
            row = min(set(range(len(numbers))) - set(served))
            raise KeyError(f"this model cannot serve user {str(users[row])!r}")
        lists: list[list[str]] = [[] for _ in numbers]
        block = self._block(np.array([numbers[row] for row in served], dtype=np.int64))
        for row, best in zip(
            served, self._named(self._engine.rank(block, k, repeats)), strict=True
        ):
            lists[row] = best
        for row in sorted(set(range(len(numbers))) - set(served)):
            had = self._items_of(numbers[row]) if numbers[row] >= 0 else self._history[:0]
            lists[row] = self._popular(had, k, repeats)
        return lists

    def recommend_for_history(
        self,
        items: Sequence[str | int],
        k: int = 10,
        exclude_seen: bool | None = None,
        *,
        times: Sequence[int] | None = None,
    ) -> list[str]:
        """For somebody who was not in the data, from what they took, oldest first.

        Items that are not in the catalogue are skipped; with none left the popular items come
        back. times: seconds since 1970 for each item; where the model was trained with times and
        none are given, all get the latest time in the data. Raises NotImplementedError where the
        model can rank only for users it was trained on (`serves_unseen` is False).
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        if not self.serves_unseen:
            raise NotImplementedError(
                "this model ranks only for users it was trained on; use recommend, or train again"
            )
        if times is not None and len(times) != len(items):
            raise ValueError(f"{len(items)} items but {len(times)} times")
        repeats = self._repeats if exclude_seen is None else not exclude_seen
        rows = [row for row, item in enumerate(items) if str(item) in self._items]
        had = np.array([self._items[str(items[row])] for row in rows], dtype=np.int32)
        if not len(had):
            return self._popular(had, k, repeats)
        block = Users(
            ids=np.zeros(1, dtype=np.int64),  # in range for any table; `known` says it is nobody
            known=np.zeros(1, dtype=np.bool_),
            indptr=np.array([0, len(had)], dtype=np.int64),
            items=had,
            n_items=len(self._item_ids),
            times=self._times_for(rows, times),
        )
        return self._named(self._engine.rank(block, k, repeats, stranger=True))[0]

    def _served(self, number: int) -> bool:
        had = self._indptr[number + 1] > self._indptr[number]
        return bool(self._known[number] or (self.serves_unseen and had))

    def _items_of(self, number: int) -> NDArray[np.int32]:
        mine: NDArray[np.int32] = self._history[self._indptr[number] : self._indptr[number + 1]]
        return mine

    def _block(self, numbers: NDArray[np.int64]) -> Users:
        """What the model is shown of these users: their histories at training time."""
        sizes = self._indptr[numbers + 1] - self._indptr[numbers]
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.arange(indptr[-1]) + np.repeat(self._indptr[numbers] - indptr[:-1], sizes)
        return Users(
            ids=numbers,
            known=self._known[numbers],
            indptr=indptr,
            items=self._history[rows],
            n_items=len(self._item_ids),
            times=None if self._times is None else self._times[rows],
        )

    def _times_for(self, rows: list[int], given: Sequence[int] | None) -> NDArray[np.int64] | None:
        if self._times is None:
            return None
        if given is not None:
            return np.array([given[row] for row in rows], dtype=np.int64)
        latest = int(self._times.max()) if len(self._times) else 0
        return np.full(len(rows), latest, dtype=np.int64)

    def _named(self, lists: NDArray[np.int32]) -> list[list[str]]:
        return [[self._item_ids[item] for item in row if item >= 0] for row in lists]

    def _popular(self, had: NDArray[np.int32], k: int, repeats: bool) -> list[str]:
        order = self._by_popularity
        if not repeats:
            order = order[: k + len(had)]  # no more than these can be needed
            order = order[~np.isin(order, had)]
        return [self._item_ids[item] for item in order[:k]]
