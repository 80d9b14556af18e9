"""Groups of users that a mean hides: new and old, active and not, of common and of rare taste."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.data.split import Fold

DAY = 86_400
SMALLEST = 20
_WIDEST_FEATURE = 32
_MOST_OF_A_FEATURE = 6
_RECENCY = ((1, "a day"), (7, "a week"), (30, "a month"), (365, "a year"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Some queries of a fold. `mask`: (queries,) bool. Slices of one group do not overlap."""

    group: str
    name: str
    mask: NDArray[np.bool_] = field(repr=False, compare=False)

    @property
    def users(self) -> int:
        return int(self.mask.sum())


def slices_of(fold: Fold) -> tuple[Slice, ...]:
    """The slices of a fold: by length of history, recency, cold start, popularity of what is held
    out, and features. Slices under 20 users, and groups of one slice, say nothing and are left
    out.
    """
    return worth_telling(
        (
            *_by_history(fold),
            *_by_recency(fold),
            *_by_cold_start(fold),
            *_by_popularity(fold),
            *_by_user_feature(fold),
            *_by_item_feature(fold),
        )
    )


def worth_telling(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """Without those that are too small, and without groups of one."""
    groups: dict[str, list[Slice]] = {}
    for each in slices:
        if each.users >= SMALLEST:
            groups.setdefault(each.group, []).append(each)
    return tuple(each for group in groups.values() if len(group) > 1 for each in group)


def unnamed(
    slices: Sequence[Slice], user_features: Sequence[str], item_features: Sequence[str]
) -> tuple[Slice, ...]:
    """The same slices with features called by their place, from 1, for whoever is not to know
    their names. Both lists are in the order of the data."""
    aliases = {
        _user_group(name): (f"user feature {number}", f"user feature {number}")
        for number, name in enumerate(user_features, start=1)
    } | {
        _item_group(name): (
            _item_group(f"item feature {number}"),
            f"history mostly item feature {number}",
        )
        for number, name in enumerate(item_features, start=1)
    }

    def alias(each: Slice) -> Slice:
        if each.group not in aliases:
            return each
        group, start = aliases[each.group]
        return replace(each, group=group, name=f"{start}: {each.name.rpartition(' ')[2]}")

    return tuple(map(alias, slices))


def _user_group(feature: str) -> str:
    return f"user {feature}"


def _item_group(feature: str) -> str:
    return f"history by {feature}"


def write_slices(place: Path, slices: Sequence[Slice]) -> None:
    """Keep slices as packed bits with their names; whole or not at all."""
    masks = np.array([each.mask for each in slices], dtype=bool)
    draft = place.with_suffix(f".{os.getpid()}.npz")
    np.savez_compressed(
        draft,
        groups=np.array([each.group for each in slices], dtype=np.str_),
        names=np.array([each.name for each in slices], dtype=np.str_),
        users=np.array(len(slices[0].mask) if slices else 0),
        masks=np.packbits(masks, axis=-1) if slices else np.zeros((0, 0), dtype=np.uint8),
    )
    draft.replace(place)


def read_slices(place: Path) -> tuple[Slice, ...]:
    """What `write_slices` kept."""
    with np.load(place, allow_pickle=False) as kept:
        users = int(kept["users"])
        return tuple(
            Slice(
                group=str(group),
                name=str(name),
                mask=np.unpackbits(bits, count=users).astype(bool),
            )
            for group, name, bits in zip(kept["groups"], kept["names"], kept["masks"], strict=True)
        )


def _by_history(fold: Fold) -> Iterator[Slice]:
    """Quarters of the users, cut where lengths differ."""
    sizes = np.diff(fold.queries.indptr)
    if not len(sizes):
        return
    edges = np.unique(np.quantile(sizes, [0.25, 0.5, 0.75], method="higher"))
    low = int(sizes.min())
    for edge in [*map(int, edges), int(sizes.max()) + 1]:
        if edge > low:
            name = f"history of {low}" if edge == low + 1 else f"history of {low} to {edge - 1}"
            mask = (sizes >= low) & (sizes < edge)
            yield Slice(group="history length", name=name, mask=mask)
            low = edge


def _by_recency(fold: Fold) -> Iterator[Slice]:
    """How long before the part began a known user was last seen."""
    queries, times = fold.queries, fold.train.times
    if queries.times is None or times is None or not len(times):
        return
    filled = np.diff(queries.indptr) > 0
    usable = filled & queries.known
    last = np.zeros(len(queries), dtype=np.int64)
    last[filled] = queries.times[queries.indptr[1:][filled] - 1]
    days = (int(times.max()) - last) / DAY
    lower = -np.inf
    for edge, name in _RECENCY:
        mask = usable & (days > lower) & (days <= edge)
        yield Slice(group="recency", name=f"last seen within {name}", mask=mask)
        lower = edge
    yield Slice(group="recency", name="last seen over a year ago", mask=usable & (days > lower))


def _by_cold_start(fold: Fold) -> Iterator[Slice]:
    known = fold.queries.known
    yield Slice(group="cold start", name="known users", mask=known)
    yield Slice(group="cold start", name="users not in training", mask=~known)


def _by_popularity(fold: Fold) -> Iterator[Slice]:
    """What users took next: hits (items that hold the first half of training interactions), rare
    items (that hold the last tenth, or none), or a mixture."""
    popularity = fold.train.popularity()
    order = np.argsort(-popularity, kind="stable")
    before = np.cumsum(popularity[order]) - popularity[order]
    tier = np.empty(len(popularity), dtype=np.int64)
    total = max(int(popularity.sum()), 1)
    tier[order] = np.where(before < 0.5 * total, 0, np.where(before < 0.9 * total, 1, 2))
    sizes = np.diff(fold.labels.indptr)
    rows = np.repeat(np.arange(len(sizes)), sizes)
    tiers = tier[fold.labels.items]
    hits = np.bincount(rows[tiers == 0], minlength=len(sizes)) > sizes / 2
    rare = np.bincount(rows[tiers == 2], minlength=len(sizes)) >= sizes / 2
    group = "popularity of what was taken"
    yield Slice(group=group, name="took mostly popular items", mask=hits)
    yield Slice(group=group, name="took some of each", mask=~hits & ~rare)
    yield Slice(group=group, name="took mostly rare items", mask=~hits & rare)


def _by_user_feature(fold: Fold) -> Iterator[Slice]:
    for name, matrix in fold.train.user_features.items():
        if matrix.shape[1] <= _WIDEST_FEATURE:
            values = np.asarray(matrix[fold.queries.ids].todense())
            yield from _largest(_user_group(name), values, f"{name} %d")


def _by_item_feature(fold: Fold) -> Iterator[Slice]:
    """By what most of a user's history is."""
    history = fold.queries.matrix()
    for name, matrix in fold.train.item_features.items():
        if matrix.shape[1] <= _WIDEST_FEATURE:
            values = np.asarray((history @ matrix).todense())
            yield from _largest(_item_group(name), values, f"history mostly {name} %d")


def _largest(group: str, values: NDArray[np.float32], name: str) -> Iterator[Slice]:
    """Users by their strongest column, the largest groups first; the others together."""
    strongest = values.argmax(axis=1)
    some = values.max(axis=1, initial=0) > 0
    sizes = np.bincount(strongest[some], minlength=values.shape[1])
    rest = some.copy()
    for column in np.argsort(-sizes, kind="stable")[:_MOST_OF_A_FEATURE]:
        mask = some & (strongest == column)
        rest &= ~mask
        yield Slice(group=group, name=name % column, mask=mask)
    yield Slice(group=group, name=(name % 0).rpartition(" ")[0] + " other", mask=rest)
