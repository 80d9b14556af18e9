"""Several agents after each other: recall, merge, ranking, re-ranking, as a run of them did it.

What lies between the agents is done by the same files that do it in a run.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from safetensors.numpy import load_file

from . import _prediction, _ranking, _reordering
from ._contract import Interactions, Params, Users
from ._features import Scale, known_of, make_rows, table_of
from ._lists import Listed, by_probability, head_of, merged_back, placed, ranked
from ._merge import Merged, merge
from ._popularity import filled

NOBODY = -1
TOLERATED = 0.01
"""Of the lists that are checked such a share may differ: where another processor rounds otherwise,
an item can cross the edge of a quota, and all that comes after it follows."""

Lists = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Way:
    """How lists are merged."""

    how: str
    constant: float


class Engine:
    """The trained agents, by numbers of users and items."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        data, told = folder / "data", facts["pipeline"]
        self._told: Mapping[str, Any] = told
        self._way = _Way(**told["merge"])
        self._seed = int(facts["tie_seed"])
        self._models: dict[str, Any] = {}
        self._unseen: dict[str, bool] = {}
        for name, values in told["values"].items():
            module = importlib.import_module(f"._agent_{name}", __package__)
            self._models[name] = module.Model(Params(values))
            self._models[name].load(load_file(folder / "weights" / f"{name}.safetensors"))
            self._unseen[name] = bool(getattr(module, "SERVES_UNSEEN", False))
        self.serves_unseen = any(self._unseen[name] for name in told["recall"])
        self._train = _interactions(data, told)
        self._popularity = self._train.popularity()
        self._known = known_of(self._train) if told["ranking"] else None
        arrays = {name: _array(data, name) for name in ("odds", "mean", "spread")}
        self._odds = arrays["odds"]
        self._scale = None
        if arrays["mean"] is not None and arrays["spread"] is not None:
            self._scale = Scale(mean=arrays["mean"], spread=arrays["spread"])

    def rank(self, block: Users, k: int, repeats: bool, *, stranger: bool = False) -> Lists:
        """(len(block), k) item numbers, best first, -1 at the end. stranger: the ids of the block
        say nothing, for these people were not in the data."""
        if not len(block):
            return np.zeros((0, k), dtype=np.int32)
        lists = self._recall(block, repeats)
        merged = merge(lists, self._way, self._told["depth"], self._odds)
        found = self._ranked(block, merged, stranger=stranger)
        answers = self._reranked(block, found, k)
        width = min(k, answers.shape[1])
        out = np.full((len(block), k), NOBODY, dtype=np.int32)
        out[:, :width] = answers[:, :width]
        return filled(out, self._train, block, repeats=repeats)[0]

    def alike(self, user: Users, old: Lists, new: Lists) -> bool:
        """Nothing that comes after several stages can be told from a rounding by one score."""
        return False

    def _recall(self, block: Users, repeats: bool) -> list[Lists]:
        """The list of each recall agent, cut to its quota; nothing for whom it cannot serve."""
        found = []
        for name, quota in self._told["recall"].items():
            rows = np.arange(len(block)) if self._unseen[name] else np.flatnonzero(block.known)
            lists = np.full((len(block), self._told["recalled"]), NOBODY, dtype=np.int32)
            lists[rows] = _ranking.rank(
                self._models[name],
                block if len(rows) == len(block) else block.take(rows),
                lists.shape[1],
                repeats=repeats,
                tie_seed=self._seed,
            )
            found.append(lists[:, :quota])
        return found

    def _ranked(self, block: Users, merged: Merged, *, stranger: bool) -> Listed:
        """The merged lists by probability; as they are where nobody ranks."""
        name = self._told["ranking"]
        if name is None or self._known is None or self._scale is None:
            return Listed(items=merged.items, scores=merged.scores)
        agents = tuple(self._told["recall"])
        nobody = np.full(len(block), self._train.n_users - 1, dtype=np.int64)
        queries = replace(block, ids=nobody) if stranger else block
        rows = make_rows(self._known, queries, merged, agents)
        table = table_of(rows.numbers, rows.found, self._scale, len(agents))
        values = _prediction.predict(self._models[name], table)
        return by_probability(merged.items, placed(merged.items, rows, values))

    def _reranked(self, block: Users, found: Listed, k: int) -> Lists:
        """The lists with their first places re-ranked: as many as when it was measured, so that a
        longer list only goes on."""
        name = self._told["reranking"]
        if name is None:
            return found.items
        size, measured = self._told["head"], self._told["k"]
        head = head_of(found, size)
        asked = ranked(head, block, self._popularity, self._train.item_features)
        first = _reordering.rerank(self._models[name], asked, measured)
        return merged_back(head.items, first, found.items[:, size:], max(k, measured))


def _interactions(data: Path, told: Mapping[str, Any]) -> Interactions:
    """What the agents were trained on, with one user more, of whom nothing is known."""
    users, items = _array(data, "users"), _array(data, "items")
    if users is None or items is None:
        raise FileNotFoundError(f"{data} holds no training rows; this package is not whole")
    nobody = scipy.sparse.csr_matrix
    return Interactions(
        users=users,
        items=items,
        times=_array(data, "times"),
        n_users=told["n_users"] + 1,
        n_items=told["n_items"],
        user_features={
            name: scipy.sparse.vstack([each, nobody((1, each.shape[1]))], format="csr")
            for name, each in _features(data, "user", told, told["n_users"]).items()
        },
        item_features=_features(data, "item", told, told["n_items"]),
    )


def _features(data: Path, side: str, told: Mapping[str, Any], rows: int) -> dict[str, Any]:
    """Features by name, from the arrays that they were stored as."""
    found = {}
    for number, feature in enumerate(told[f"{side}_features"]):
        parts = [
            _array(data, f"{side}_feature_{number}.{part}")
            for part in ("data", "indices", "indptr")
        ]
        shape = (rows, feature["width"])
        found[feature["name"]] = scipy.sparse.csr_matrix(tuple(parts), shape=shape)
    return found


def _array(data: Path, name: str) -> NDArray[Any] | None:
    path = data / f"{name}.npy"
    return np.load(path, allow_pickle=False) if path.is_file() else None
