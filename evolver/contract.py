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

A retrieval candidate may have `recommend(users, k) -> (len(users), k)` instead of `score`: item
numbers, best first, where a full score matrix would be too large.

A ranking candidate is one Python file:

    from evolver.contract import Budget, Float, Params, Table

    FAMILY = "factorisation machine"
    TUNABLES = {"l2": Float(1e-8, 1e-2, default=1e-5, log=True)}

    class Model:
        def __init__(self, params: Params) -> None: ...
        def fit(self, train: Table, budget: Budget) -> None: ...
        def predict(self, table: Table) -> "array (len(table),), each the chance of label 1": ...
        def state(self) -> "dict of name -> numpy array or torch tensor": ...
        def load(self, state) -> None: ...

A re-ranking candidate is one Python file:

    from evolver.contract import Budget, Float, Params, Ranked

    FAMILY = "greedy diversification"
    TUNABLES = {"relevance": Float(0.3, 1.0, default=0.9)}

    class Model:
        def __init__(self, params: Params) -> None: ...
        def fit(self, train: Ranked, budget: Budget) -> None: ...
        def rerank(self, lists: Ranked, k: int) -> "array (len(lists), k): item numbers, best first"
        def state(self) -> "dict of name -> numpy array or torch tensor": ...
        def load(self, state) -> None: ...

A re-ranking candidate returns lists of the items that it was given, none twice, -1 at their end;
what it leaves out comes after them, in the order that was given.

A new part may be declared: `ABLATIONS = ("decay",)` promises that `Model` leaves it out where
`params.ablate == "decay"`; what it brings is then measured. `observe(self)` may return up to 16
named finite numbers after `fit`, such as how far a gate opened: did the new part do anything?

`scorer(self)` may return a `torch.nn.Module` that scores as `score` does, for `evolver export
--onnx`: see docs/export.md. It plays no part in judging; leave it out of new programs.

`fit` may be a generator that yields `(step, loss)`; it is then shown and can be stopped early.
`state` and `load` carry all that answers need: what is judged is always a fresh `Model(params)`
after `load(state)`, so what is exported is what was measured. `load` gets numpy arrays, and must
not need the training data.

This file is copied into every exported package, so it imports nothing else of evolver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = [
    "Budget",
    "Choice",
    "Float",
    "Int",
    "Interactions",
    "Lists",
    "Params",
    "Ranked",
    "Table",
    "Users",
]


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

    def take(self, rows: NDArray[np.integer[Any]]) -> Self:
        """The given rows, in the order in which they are given."""
        sizes = np.diff(self.indptr)[rows]
        indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        places = np.repeat(self.indptr[rows] - indptr[:-1], sizes) + np.arange(indptr[-1])
        return replace(
            self,
            ids=self.ids[rows],
            known=self.known[rows],
            indptr=indptr,
            items=self.items[places],
            times=None if self.times is None else self.times[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """Lists to re-rank, or to learn re-ranking from.

    items: (b, m) int32, best first; -1 fills the end. scores: (b, m) float32, what ranking gave
    each item, falling along each list. users: whom the lists are for, with their histories.
    labels: (b, m) float32, 1 where the user took the item, in training and nowhere else.
    popularity: (n_items,) int64, how often each item was taken. item_features: as for training.
    """

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    users: Users
    popularity: NDArray[np.int64]
    item_features: Mapping[str, csr_matrix] = field(default_factory=dict)
    labels: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, rows: slice) -> Ranked:
        """Consecutive lists, as a view."""
        if rows.indices(len(self))[2] != 1:
            raise ValueError("Ranked can be sliced by consecutive rows only")
        return Ranked(
            items=self.items[rows],
            scores=self.scores[rows],
            users=self.users[rows],
            popularity=self.popularity,
            item_features=self.item_features,
            labels=None if self.labels is None else self.labels[rows],
        )

    def row(self, number: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The items of one list, without padding, and their scores, moved to 0 to 1 within it."""
        size = int((self.items[number] >= 0).sum())
        scores = self.scores[number, :size]
        if size:
            low, high = scores.min(), scores.max()
            scores = (scores - low) / (high - low) if high > low else np.ones_like(scores)
        return self.items[number, :size], scores

    def features(self) -> csr_matrix | None:
        """(n_items, width) all features side by side; None where there are none."""
        from scipy.sparse import csr_matrix, hstack

        given = list(self.item_features.values())
        if not given:
            return None
        return csr_matrix(hstack(given, format="csr", dtype=np.float32))

    def shares(self) -> csr_matrix | None:
        """`features` with each item's values divided by their sum; no negative ones."""
        from scipy.sparse import csr_matrix, diags

        given = self.features()
        if given is None:
            return None
        given.data = np.maximum(given.data, 0.0)
        sums = np.asarray(given.sum(axis=1)).ravel()
        return csr_matrix(diags(1.0 / np.where(sums > 0, sums, 1.0)) @ given)

    def likeness(self, items: NDArray[np.int32]) -> NDArray[np.float32]:
        """(m, m) cosine between the features of the items; 0 where there are none."""
        alike = np.zeros((len(items), len(items)), dtype=np.float32)
        for matrix in self.item_features.values():
            rows = matrix[items]
            alike += np.asarray((rows @ rows.T).todense(), dtype=np.float32)
        norms = np.sqrt(np.diagonal(alike)).copy()
        norms[norms == 0] = 1.0
        return np.asarray(alike / norms[:, None] / norms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lists:
    """A feature of several values a row: those of row r are codes[indptr[r]:indptr[r + 1]].

    indptr: (n + 1,) int64. codes: int32 from 0 to size - 1. ordered: a sequence, oldest first, in
    which a value may come again; else a set. column: the column of `Table.codes` whose codes these
    are too (a history of items beside the item), or None for codes of its own.
    """

    indptr: NDArray[np.int64]
    codes: NDArray[np.int32]
    size: int
    ordered: bool = False
    column: int | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def last(self, length: int, pad: int) -> NDArray[np.int64]:
        """(n, length) int64: the last codes of each row, right-aligned after `pad`."""
        sizes = np.minimum(np.diff(self.indptr), length)
        out = np.full((len(self), length), pad, dtype=np.int64)
        rows = np.repeat(np.arange(len(self)), sizes)
        from_end = np.arange(len(rows)) - np.repeat(np.cumsum(sizes), sizes)
        out[rows, length + from_end] = self.codes[self.indptr[1:][rows] + from_end]
        return out

    def __getitem__(self, rows: slice) -> Lists:
        """Consecutive rows, as a view."""
        start, stop, _ = rows.indices(len(self))
        stop = max(start, stop)
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        return Lists(
            indptr=self.indptr[start : stop + 1] - lo,
            codes=self.codes[lo:hi],
            size=self.size,
            ordered=self.ordered,
            column=self.column,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows to learn from, or to predict. Labels are there in training and nowhere else.

    codes: (n, c) int32, one column a categorical feature; column j holds 0 to sizes[j] - 1. Values
    that training holds once or never share a few hashed codes. numbers: (n, m) float32, each column
    of mean 0 and deviation 1 in training, 0 where missing. lists: features of several values a row.
    labels: (n,) float32, 0 or 1, or None. times: (n,) int64 seconds, or None. user, item: which
    columns of `codes` say who and what, or None.
    """

    codes: NDArray[np.int32]
    sizes: tuple[int, ...]
    numbers: NDArray[np.float32]
    lists: tuple[Lists, ...] = ()
    labels: NDArray[np.float32] | None = None
    times: NDArray[np.int64] | None = None
    user: int | None = None
    item: int | None = None

    def __len__(self) -> int:
        return len(self.codes)

    def offsets(self) -> NDArray[np.int64]:
        """(c,): added to `codes`, they make one numbering of all columns, sum(sizes) in all."""
        return np.concatenate([[0], np.cumsum(self.sizes)])[: len(self.sizes)].astype(np.int64)

    def __getitem__(self, rows: slice) -> Table:
        """Consecutive rows, as a view."""
        if rows.indices(len(self))[2] != 1:
            raise ValueError("a Table can be sliced by consecutive rows only")
        return Table(
            codes=self.codes[rows],
            sizes=self.sizes,
            numbers=self.numbers[rows],
            lists=tuple(each[rows] for each in self.lists),
            labels=None if self.labels is None else self.labels[rows],
            times=None if self.times is None else self.times[rows],
            user=self.user,
            item=self.item,
        )
