"""Canaries in the data: does something here give the answer away before anything is trained?

Each looks for one fault, says how strong it is and what to do, and is silent on sound data. They
catch what has happened to others; they do not prove that nothing leaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from evolver.data.dataset import Dataset
from evolver.data.parts import in_order
from evolver.data.split import PARTS, Fold, Split
from evolver.evaluate.giveaways import giveaways

Floats = NDArray[np.float64]
_CLEAR = 5.0  # standard deviations
MOST_ROWS = 1_000_000
"""Of larger data a sample of whole users is looked at where rows have to be sorted."""

DATA_CANARIES = (
    "rows in two parts",
    "future rows in training",
    "shuffled time",
    "label given away by a feature",
    "ids that encode order",
)
RESULT_CANARIES = (
    "ranking that depends on the batch",
    "metric that rises with shuffled labels",
    "suspiciously good results",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """One finding. An "alarm" makes results worthless; a "warning" limits what they mean."""

    canary: str
    severity: Literal["alarm", "warning"]
    detail: str


def canary_named(text: str) -> str | None:
    """The canary that a person means by its name, with spaces or hyphens; None if there is none."""
    wanted = " ".join(text.replace("-", " ").lower().split())
    return wanted if wanted in (*DATA_CANARIES, *RESULT_CANARIES) else None


def flag_of(canary: str) -> str:
    """A canary's name as one word of a command line."""
    return canary.replace(" ", "-")


def unaccepted(alarms: Iterable[Alarm], accepted: Iterable[str]) -> tuple[Alarm, ...]:
    """Findings that make results worthless and that nobody has taken upon themselves."""
    named = {canary_named(text) for text in accepted}
    return tuple(a for a in alarms if a.severity == "alarm" and a.canary not in named)


def data_canaries(
    dataset: Dataset, split: Split, folds: Iterable[Fold], most_rows: int = MOST_ROWS
) -> tuple[Alarm, ...]:
    """All findings about the parts of one split, alarms first. Looks at about `most_rows` rows, of
    users drawn at random, where rows have to be sorted or matched; at all of them elsewhere.

    What a canary says of one part it says of others too, mostly: only the first part is told.
    These are for whoever starts a run. No proposer sees them, so nothing of the labels of a part
    that is sealed reaches a search.
    """
    some = _some_users(dataset, most_rows)
    thin_data, thin_split = _thinned(dataset, split, some)
    found = [*rows_in_two_parts(thin_data, thin_split), *shuffled_time(thin_data)]
    for fold in folds:
        known = {(alarm.canary, alarm.severity) for alarm in found}
        said = _in_part(dataset, split, fold, some)
        found += [alarm for alarm in said if (alarm.canary, alarm.severity) not in known]
    return tuple(sorted(found, key=lambda alarm: alarm.severity))


def _in_part(
    dataset: Dataset, split: Split, fold: Fold, some: NDArray[np.bool_]
) -> Iterator[Alarm]:
    where = "" if fold.part == "search" else f"in the {fold.part} part, "
    for alarm in (
        *labels_in_history(fold, some),
        *future_in_training(dataset, split, fold),
        *ids_that_tell(fold),
        *(
            Alarm(canary="label given away by a feature", severity="alarm", detail=detail)
            for detail in giveaways(fold, _after_training(dataset, split, fold))
        ),
    ):
        yield replace(alarm, detail=f"{where}{alarm.detail}")


def _after_training(dataset: Dataset, split: Split, fold: Fold) -> NDArray[np.int64]:
    """(n_items,) how often each item occurs in the fold's part and those after it."""
    held_out = dataset.items[split.assignment >= PARTS.index(fold.part)]
    return np.bincount(held_out, minlength=dataset.n_items).astype(np.int64)


def _some_users(dataset: Dataset, most_rows: int) -> NDArray[np.bool_]:
    """(n_users,) whose rows to look at; everybody's where there are few enough."""
    share = min(1.0, most_rows / max(len(dataset), 1))
    return np.random.default_rng(0).random(dataset.n_users) < share


def _thinned(dataset: Dataset, split: Split, some: NDArray[np.bool_]) -> tuple[Dataset, Split]:
    if some.all():
        return dataset, split
    kept = some[dataset.users]
    thin = replace(
        dataset,
        users=dataset.users[kept],
        items=dataset.items[kept],
        times=None if dataset.times is None else dataset.times[kept],
        values=None,
        published=None,
    )
    return thin, replace(split, assignment=split.assignment[kept])


def rows_in_two_parts(dataset: Dataset, split: Split) -> Iterator[Alarm]:
    """The same event in training and held out. Needs times: without them a user who took an item
    twice looks the same."""
    if dataset.times is None:
        return
    order = np.lexsort((split.assignment, dataset.times, dataset.items, dataset.users))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in (dataset.users, dataset.items, dataset.times):
        same &= column[order][1:] == column[order][:-1]
    parts = split.assignment[order]
    twice = int((same & (parts[1:] != parts[:-1])).sum())
    if twice:
        yield Alarm(
            canary="rows in two parts",
            severity="alarm",
            detail=f"{twice:,} rows (same user, item and time) lie in two parts of the split; "
            "merge duplicates before splitting",
        )


def labels_in_history(fold: Fold, some: NDArray[np.bool_] | None = None) -> Iterator[Alarm]:
    """Held-out items that the same user's history or training rows already hold. `some`:
    (n_users,) whose to look at."""
    if fold.repeats:
        return
    queries, train, n_items = fold.queries, fold.train, fold.train.n_items
    if some is None:
        some = np.ones(train.n_users, dtype=bool)
    chosen = some[queries.ids]
    rows = np.repeat(np.arange(len(queries)), np.diff(fold.labels.indptr))
    items = fold.labels.items[chosen[rows]]
    rows = rows[chosen[rows]]
    shown_rows = np.repeat(np.arange(len(queries)), np.diff(queries.indptr))
    shown = chosen[shown_rows]
    had = _among(rows * n_items + items, shown_rows[shown] * n_items + queries.items[shown])
    learned = some[train.users]
    trained = _among(
        queries.ids[rows] * n_items + items,
        train.users[learned].astype(np.int64) * n_items + train.items[learned],
    )
    count = int((had | trained).sum())
    if count:
        yield Alarm(
            canary="rows in two parts",
            severity="alarm",
            detail=f"{count:,} of {len(rows):,} labels are items that the user already has in "
            "training or in the history that is shown; a model that remembers is rewarded",
        )


def _among(wanted: NDArray[np.int64], pool: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(wanted,) which of a few numbers are in a large pool, without sorting the pool."""
    each, where = np.unique(wanted, return_inverse=True)
    found = np.zeros(len(each), dtype=bool)
    if len(each):
        place = np.minimum(np.searchsorted(each, pool), len(each) - 1)
        found[place[each[place] == pool]] = True
    return found[where]


def future_in_training(dataset: Dataset, split: Split, fold: Fold) -> Iterator[Alarm]:
    """Training rows from after the moment a part begins, or after what a user is asked for."""
    if split.kind == "time" and fold.train.times is not None:
        cutoff = split.cutoffs[PARTS.index(fold.part) - 1]
        late = int((fold.train.times >= cutoff).sum())
        if late:
            yield Alarm(
                canary="future rows in training",
                severity="alarm",
                detail=f"{late:,} training rows are from the {fold.part} part's time or later",
            )
    elif split.kind != "random" and in_order(dataset):
        back = (np.diff(split.assignment) < 0) & (np.diff(dataset.users) == 0)
        users = len(np.unique(dataset.users[1:][back]))
        if users:
            published = split.kind == "published"
            yield Alarm(
                canary="future rows in training",
                severity="warning" if published else "alarm",
                detail=f"{users:,} users have training rows that are newer than held-out ones"
                + ("; the published split does not keep to time" if published else ""),
            )


def shuffled_time(dataset: Dataset) -> Iterator[Alarm]:
    """Times, or an order, that no longer mean anything.

    Real times cluster: by user (one sitting) and by item (fashion). Shuffled ones do not; nor are
    they more even than chance, as where everybody comes once a week. Within users some items come
    early and others late; after a shuffle none does.
    """
    if dataset.times is not None and len(dataset) > 100:
        ranks = rankdata(dataset.times)
        by_user, by_item = (_clustering(ranks, by) for by in (dataset.users, dataset.items))
        if max(abs(by_user), abs(by_item)) < _CLEAR:
            yield Alarm(
                canary="shuffled time",
                severity="alarm",
                detail="times cluster neither by user nor by item, as if they had been shuffled; "
                "a split by time would be a random one: check the time column",
            )
            return
    if in_order(dataset):
        counts = np.bincount(dataset.users, minlength=dataset.n_users)
        starts = np.cumsum(counts) - counts
        long = counts[dataset.users] >= 5
        place = (np.arange(len(dataset)) - starts[dataset.users] + 0.5) / counts[dataset.users]
        if long.sum() > 1000 and _clustering(place[long], dataset.items[long]) < _CLEAR:
            yield Alarm(
                canary="shuffled time",
                severity="warning",
                detail="within users no item tends to come early or late, as if each user's rows "
                "had been shuffled; models of sequences have nothing to learn here",
            )


def _clustering(values: Floats, groups: NDArray[np.int32]) -> float:
    """How many standard deviations the one-way F ratio lies above what chance gives."""
    n = len(values)
    sizes = np.bincount(groups)
    sums = np.bincount(groups, weights=values - values.mean())
    filled = sizes > 0
    k = int(filled.sum())
    if k < 2 or n <= k:
        return 0.0
    between = float((sums[filled] ** 2 / sizes[filled]).sum())
    within = float(((values - values.mean()) ** 2).sum()) - between
    if within <= 0:
        return np.inf if between > 0 else 0.0
    ratio = (between / (k - 1)) / (within / (n - k))
    return float((ratio - 1) / np.sqrt(2 / (k - 1) + 2 / (n - k)))


def ids_that_tell(fold: Fold) -> Iterator[Alarm]:
    """Numbers of items that tell what is held out: an order of arrival, or of success.

    Numbering by what is in training tells nothing new; what counts is whether a number says more
    about the labels than training does. Numbers of users are not looked at: who is asked for is
    given to the candidate anyway, and when a user arrived, which is all that an order of users
    could tell, is in the training times or, for an unseen user, in the history that is shown. What
    a user takes next would be told by a feature, and that is another canary.
    """
    train = fold.train
    popularity = train.popularity().astype(np.float64)
    taken = np.bincount(fold.labels.items, minlength=train.n_items).astype(np.float64)
    numbers = np.arange(train.n_items, dtype=np.float64)
    either = (popularity > 0) | (taken > 0)
    strength = _partial_rank_correlation(numbers[either], taken[either], popularity[either])
    if abs(strength) > 0.5:
        yield Alarm(
            canary="ids that encode order",
            severity="alarm",
            detail=f"an item's number foretells how often it is held out (rank correlation "
            f"{strength:+.2f} beyond its training popularity); number items at random",
        )
    cold = (popularity == 0) & (taken > 0)
    seen = popularity > 0
    if cold.sum() >= 20 and seen.sum() >= 20:
        above = rankdata(np.concatenate([numbers[cold], numbers[seen]]))[: int(cold.sum())]
        auc = (above.mean() - (cold.sum() + 1) / 2) / seen.sum()
        if abs(auc - 0.5) > 0.45:
            yield Alarm(
                canary="ids that encode order",
                severity="warning",
                detail=f"{int(cold.sum()):,} items that only occur held out are numbered "
                f"{'after' if auc > 0.5 else 'before'} the others, so a number tells what is new; "
                "number items at random",
            )


def _partial_rank_correlation(a: Floats, b: Floats, given: Floats) -> float:
    """Correlation of the ranks of a and b after both are regressed on the rank of `given`."""
    if len(a) < 20:
        return 0.0
    base = np.stack([np.ones(len(a)), rankdata(given)], axis=1)
    ranks = np.stack([rankdata(a), rankdata(b)], axis=1)
    rest = ranks - base @ np.linalg.lstsq(base, ranks, rcond=None)[0]
    spread = rest.std(axis=0)
    if (spread < 1e-9 * len(a)).any():
        return 0.0
    return float((rest[:, 0] * rest[:, 1]).mean() / (spread[0] * spread[1]))
