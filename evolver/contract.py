"""All that candidate code may import from us. Needs numpy and, for matrices, scipy.

A retrieval candidate is one Python file:

    from evolver.contract import Budget, Int, Interactions, Params, Users

    FAMILY = "matrix factorisation"        # names the kind of model; any words
    SERVES_UNSEEN = True                   # can it rank for a user who was not in training?
    TUNABLES = {"factors": Int(16, 256, default=64, log=True)}

    class Model:
        def __init__(self, params: Params) -> None: ...
        def fit(self, train: Interactions, budget: Budget) -> None: ...
        def score(self, users: Users) -> "array (len(users), train.n_items), higher is better": ...
        def state(self) -> "dict of name -> numpy array or torch tensor": ...
        def load(self, state) -> None: ...

A new part may be declared: `ABLATIONS = ("decay",)` promises that `Model` leaves it out where
`params.ablate == "decay"`; what it brings is then measured. `observe(self)` may return up to 16
named finite numbers after `fit`, such as how far a gate opened: did the new part do anything?

`scorer(self)` may return a `torch.nn.Module` that scores as `score` does, for `evolver export
--onnx`: see docs/export.md. It plays no part in judging; leave it out of new programs.

`fit` may be a generator that yields `(step, loss)`; it is then shown and can be stopped early.
Instead of `score`, `recommend(users, k) -> (len(users), k)` may return item numbers, best first,
where a full score matrix would be too large. `state` and `load` carry all that `score` needs:
what is judged is always a fresh `Model(params)` after `load(state)`, so what is exported is what
was measured. `load` gets numpy arrays, and must not need the training data.

This file is copied into every exported package, so it imports nothing else of evolver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["Budget", "Choice", "Float", "Int", "Interactions", "Params", "Users"]


@dataclass(frozen=True, slots=True)
class Int:
    """A whole number from `low` to `high`, both included. `log` searches magnitudes."""

    low: int
    high: int
    default: int = field(kw_only=True)
    log: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Float:
    """A real number from `low` to `high`. `log` searches magnitudes."""

    low: float
    high: float
    default: float = field(kw_only=True)
    log: bool = field(default=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the listed values."""

    options: Sequence[int | float | str | bool]
    default: int | float | str | bool = field(kw_only=True)


class Params(Mapping[str, Any]):
    """The chosen values of the declared tunables: `params.factors` or `params["factors"]`.

    `ablate` names the part that is to be left out, one of the file's ABLATIONS; "" for none.
    """

    def __init__(self, values: Mapping[str, Any], ablate: str = "") -> None:
        self._values = dict(values)
        self.ablate = ablate

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(sorted(self._values)) or "none"
            raise AttributeError(
                f"no tunable named {name!r}; declared in TUNABLES: {known}"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Budget:
    """What `fit` may use. It must stop by itself before `seconds` are over; it is killed after.

    device is "cpu" or a torch device such as "cuda:0". seed seeds every random choice.
    """

    seconds: float
    seed: int = 0
    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Interactions:
    """What may be learned from: who took what, users together and each in order, oldest first.

    users, items: (n,) int32, dense numbers from 0. times: (n,) int64 seconds, or None where the
    data has no times. values: (n,) float32 such as a rating or a count, or None.
    user_features, item_features: sparse (n_users or n_items, width) matrices by name.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    n_users: int
    n_items: int
    times: NDArray[np.int64] | None = None
    values: NDArray[np.float32] | None = None
    user_features: Mapping[str, csr_matrix] = field(default_factory=dict)
    item_features: Mapping[str, csr_matrix] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.users)

    def matrix(self) -> csr_matrix:
        """(n_users, n_items) float32 sparse matrix of ones where a user took an item."""
        from scipy.sparse import csr_matrix

        ones = np.ones(len(self.users), dtype=np.float32)
        matrix = csr_matrix((ones, (self.users, self.items)), shape=(self.n_users, self.n_items))
        matrix.data[:] = 1.0  # an item taken twice counts once
        return matrix

    def indptr(self) -> NDArray[np.int64]:
        """(n_users + 1,): the rows of user u are indptr[u] to indptr[u + 1]."""
        counts = np.bincount(self.users, minlength=self.n_users)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def popularity(self) -> NDArray[np.int64]:
        """(n_items,): in how many interactions each item occurs."""
        return np.bincount(self.items, minlength=self.n_items).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Whom to rank for, with what is known of them at that moment. No label is in here.

    ids: (b,) int64, numbers as in training. known: (b,) bool, False for a user who was not in
    training and has a history only. The history of row r is items[indptr[r]:indptr[r + 1]],
    oldest first; for a known user it holds at least the training interactions. It may be empty.
    """

    ids: NDArray[np.int64]
    known: NDArray[np.bool_]
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    n_items: int
    times: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def history(self, row: int) -> NDArray[np.int32]:
        """The items of one row, oldest first."""
        return self.items[self.indptr[row] : self.indptr[row + 1]]

    def matrix(self) -> csr_matrix:
        """(b, n_items) float32 sparse matrix of ones where the history holds the item."""
        from scipy.sparse import csr_matrix

        ones = np.ones(len(self.items), dtype=np.float32)
        # A copy: sum_duplicates sorts in place, which would undo the order of the histories.
        matrix = csr_matrix(
            (ones, self.items, self.indptr), shape=(len(self), self.n_items), copy=True
        )
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        return matrix

    def last(self, length: int, pad: int) -> NDArray[np.int64]:
        """(b, length) int64: the most recent items, oldest first, right-aligned after `pad`."""
        sizes = np.minimum(np.diff(self.indptr), length)
        out = np.full((len(self), length), pad, dtype=np.int64)
        for row, size in enumerate(sizes):
            if size:
                end = self.indptr[row + 1]
                out[row, length - size :] = self.items[end - size : end]
        return out

    def __getitem__(self, rows: slice) -> Users:
        """The given rows, as a view where the slice has no step."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError("Users can be sliced by consecutive rows only")
        stop = max(start, stop)
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        return Users(
            ids=self.ids[start:stop],
            known=self.known[start:stop],
            indptr=self.indptr[start : stop + 1] - lo,
            items=self.items[lo:hi],
            n_items=self.n_items,
            times=None if self.times is None else self.times[lo:hi],
        )
