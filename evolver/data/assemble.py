"""From rows as read to a dataset: dense ids, one order, no duplicates, features by number."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evolver.config import DataConfig
from evolver.data.dataset import Dataset
from evolver.data.features import matrices
from evolver.data.raw import Raw
from evolver.data.times import Times, normalise
from evolver.errors import DataError

LONGEST_ID = 512


def assemble(raw: Raw, config: DataConfig) -> Dataset:
    """Number users and items, sort rows, merge duplicates.

    Items are numbered by a hash of their ids: a shop that counts its articles up would otherwise
    tell every candidate which of them are new, those that nobody took before the cut included.
    Neither numbers nor rows depend on the order of the file, unless `raw.ordered` says that it
    means something: equal times are ordered by a hash of user and item, so that no accident of
    the file leaks into "what came last". A duplicate is the same user and item at the same time
    (or at all, without times and order) in the same published part; the last value counts.

    Raises `DataError` where fewer than two users or items are left.
    """
    times = None if raw.times is None else normalise(raw.times, raw.name)
    keep, notes = _kept(raw, config)
    if times is not None and times.note:
        notes.append(times.note)
    if keep is not None:
        raw = _filtered(raw, keep)
        times = None if times is None else replace(times, fine=times.fine[keep.to_numpy()])
    users, user_ids = _numbered(raw.users)
    items, item_ids = _shuffled(*_numbered(raw.items))
    _refuse_too_few(raw.name, len(users), len(user_ids), len(item_ids))
    rows, merged = _arranged(raw, users, items, times)
    if merged:
        notes.append(f"{merged:,} duplicate rows merged")
    user_features, user_notes = matrices(raw.features, user_ids, "user")
    item_features, item_notes = matrices(raw.features, item_ids, "item")
    return Dataset(
        name=raw.name,
        users=users[rows],
        items=items[rows],
        user_ids=user_ids,
        item_ids=item_ids,
        times=None if times is None else times.seconds()[rows],
        values=None if raw.values is None else raw.values.to_numpy()[rows].astype(np.float32),
        published=None if raw.part is None else raw.part[rows],
        ordered=raw.ordered,
        user_features=user_features,
        item_features=item_features,
        notes=(*raw.notes, *notes, *user_notes, *item_notes),
        merged_rows=merged,
    )


def _kept(raw: Raw, config: DataConfig) -> tuple[pl.Series | None, list[str]]:
    """Which rows have a value that is large enough; what is missing cannot be shown to be."""
    least, values = config.min_value, raw.values
    if least is None:
        missing = 0 if values is None else int(values.is_nan().sum())
        if values is not None and missing:
            raise DataError(
                f"{raw.name}: {missing:,} of {len(raw):,} rows have no '{values.name}'; "
                "remove them, or leave the column out with --value none"
            )
        return None, []
    if values is None:
        raise DataError(
            f"--min-value needs a value column and {raw.name} has none; name it with --value"
        )
    keep = (values >= least) & ~values.is_nan()
    left_out = len(raw) - int(keep.sum())
    if left_out == len(raw):
        raise DataError(
            f"{raw.name}: no row has '{values.name}' of at least {least:g}; lower --min-value"
        )
    note = f"{left_out:,} rows with a value under {least:g} left out"
    return keep, [note] if left_out else []


def _filtered(raw: Raw, keep: pl.Series) -> Raw:
    return replace(
        raw,
        users=raw.users.filter(keep),
        items=raw.items.filter(keep),
        times=None,
        values=None if raw.values is None else raw.values.filter(keep),
        part=None if raw.part is None else raw.part[keep.to_numpy()],
    )


def _refuse_too_few(name: str, rows: int, users: int, items: int) -> None:
    for what, count in (("user", users), ("item", items)):
        if count < 2:
            raise DataError(
                f"{name} has {rows:,} rows and only {count} {what}; a recommender needs at least "
                f"2 {what}s: check --{what}"
            )


def _numbered(ids: pl.Series) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    """Each row's number, and the ids by number: ascending, as numbers where they are numbers."""
    if ids.dtype == pl.Int64:
        values = ids.to_numpy()
        low, high = int(values.min()), int(values.max())
        if high - low < 4 * len(values) + 1_000_000:
            present = np.zeros(high - low + 1, dtype=np.bool_)
            present[values - low] = True
            names = np.flatnonzero(present) + low
            number = np.cumsum(present, dtype=np.int32) - np.int32(1)
            return number[values - low], names.astype(np.str_)
        names = ids.unique().sort().to_numpy()
        return np.searchsorted(names, values).astype(np.int32), names.astype(np.str_)
    categories = ids.unique().sort()
    longest = int(categories.str.len_chars().to_numpy().max())
    if longest > LONGEST_ID:
        raise DataError(
            f"'{ids.name}' holds texts of up to {longest:,} characters, which are no ids; "
            "name another column"
        )
    numbers = ids.cast(pl.Enum(categories)).to_physical().to_numpy().astype(np.int32)
    return numbers, np.array(categories.to_list(), dtype=np.str_)


def _shuffled(
    numbers: NDArray[np.int32], ids: NDArray[np.str_]
) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    """The same with the ids in the order of their hashes, which tells nothing of age or name."""
    digests = b"".join(hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids)
    order = np.argsort(np.frombuffer(digests, dtype=np.uint64), kind="stable")
    place = np.empty(len(ids), dtype=np.int32)
    place[order] = np.arange(len(ids), dtype=np.int32)
    return place[numbers], ids[order]


def _arranged(
    raw: Raw, users: NDArray[np.int32], items: NDArray[np.int32], times: Times | None
) -> tuple[NDArray[np.int64], int]:
    """The rows to keep, in the dataset's order, and how many duplicates were merged."""
    if times is None and raw.ordered:
        return np.argsort(users, kind="stable"), 0
    n = len(users)
    part = np.zeros(n, dtype=np.int8) if raw.part is None else raw.part
    if times is None:
        order = np.lexsort((items, part, users))
        tied = np.ones(n, dtype=np.bool_)
        tied[1:] = (users[order][1:] == users[order][:-1]) & (part[order][1:] == part[order][:-1])
    else:
        order = _by_user_and_time(users, times.fine)
        u, t = users[order], times.fine[order]
        same = (u[1:] == u[:-1]) & (t[1:] == t[:-1])
        tied = np.zeros(n, dtype=np.bool_)
        tied[1:] = same
        order = _ties_broken(order, tied, users, items, part)
    duplicate = np.zeros(n, dtype=np.bool_)
    i, p = items[order], part[order]
    duplicate[1:] = tied[1:] & (i[1:] == i[:-1]) & (p[1:] == p[:-1])
    # Equal rows lie in the order of the file; the last of them stays.
    keep = np.append(~duplicate[1:], True)
    return order[keep], int(duplicate.sum())


def _by_user_and_time(users: NDArray[np.int32], fine: NDArray[np.int64]) -> NDArray[np.int64]:
    low, high = int(fine.min()), int(fine.max())
    span = high - low + 1
    if (int(users.max()) + 1) * span < 2**63:
        # One number a row sorts several times faster than two.
        return np.argsort(users * np.int64(span) + (fine - low), kind="stable")
    return np.lexsort((fine, users))


def _ties_broken(
    order: NDArray[np.int64],
    tied: NDArray[np.bool_],
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    part: NDArray[np.int8],
) -> NDArray[np.int64]:
    """Sort rows of one user and time by part, then a hash, then the file. `tied[r]`: with r - 1."""
    member = tied.copy()
    member[:-1] |= tied[1:]
    places = np.flatnonzero(member)
    rows = order[places]
    group = np.cumsum(~tied[places])
    pair = users[rows].astype(np.uint64) << np.uint64(32) | items[rows].astype(np.uint64)
    arranged = order.copy()
    arranged[places] = rows[np.lexsort((items[rows], _mixed(pair), part[rows], group))]
    return arranged


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A hash of each number (the finaliser of splitmix64, Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        values = values + np.uint64(0x9E3779B97F4A7C15)
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return values ^ (values >> np.uint64(31))
