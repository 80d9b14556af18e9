"""The bundled sample: a small shop with tastes, fashions and sessions, made in a moment.

Its structure is there to be learned: items lie in clusters and users prefer a few of them
(collaborative signal), visits walk along chains of items that follow each other (sequential
signal), items appear over time and their charm fades (drift), popularity has a long tail, and
category and price tell the cluster imperfectly (features).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolver.data.dataset import Dataset

DAY = 86_400
START = 1_704_067_200  # 2024-01-01
DAYS = 240
CLUSTERS = 16
LONGEST_VISIT = 14
CHANGE_OF_MIND = 0.12
"""How often a visit turns to another cluster between two items."""
FOLLOW = 0.4
"""How often the next item is one that commonly follows the last one."""
FOLLOWERS = (0.6, 0.25, 0.15)
"""How often it is the first, second or third of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Items:
    """cluster, charm, birth (day), price: (n_items,). follows: (n_items, 3) usual successors."""

    cluster: NDArray[np.int64]
    charm: NDArray[np.float64]
    birth: NDArray[np.float64]
    price: NDArray[np.float64]
    follows: NDArray[np.int64]


def sample(
    *, users: int = 1_500, items: int = 800, rows: int = 60_000, seed: int = 20240101
) -> Dataset:
    """About `rows` interactions with times, and the item features "category" and "price".

    Equal arguments give an equal dataset. No user takes an item twice.
    """
    rng = np.random.default_rng(seed)
    catalogue = _catalogue(rng, items)
    who, when = _visits(rng, users, rows)
    taste = rng.dirichlet(np.full(CLUSTERS, 0.18), size=users)
    steps = _walk(rng, catalogue, taste, who, when)
    visit, step = np.nonzero(steps >= 0)
    # Items of one visit lie about two minutes apart.
    seconds = (when[visit] * DAY).astype(np.int64) + step * 120 + rng.integers(0, 90, len(visit))
    order = np.lexsort((seconds, who[visit]))
    taken_by, taken = who[visit][order], steps[visit, step][order]
    return _assemble(catalogue, taken_by, taken, START + seconds[order], rng)


def _catalogue(rng: np.random.Generator, n: int) -> _Items:
    cluster = rng.choice(CLUSTERS, size=n, p=rng.dirichlet(np.full(CLUSTERS, 6.0)))
    charm = np.arange(3, n + 3, dtype=np.float64) ** -1.4  # Zipf: the long tail
    rng.shuffle(charm)
    # Half the catalogue is there from the start, the rest appears as time goes by.
    birth = np.where(rng.random(n) < 0.55, -60.0 * rng.random(n), DAYS * rng.random(n))
    price = np.exp(rng.normal(np.linspace(1.0, 4.5, CLUSTERS)[cluster], 0.35))
    follows = np.empty((n, 3), dtype=np.int64)
    for mates in (np.flatnonzero(cluster == number) for number in range(CLUSTERS)):
        series = mates[np.argsort(-birth[mates], kind="stable")]
        for place, item in enumerate(series):
            # From the newest back to older ones, and round, so that a walk never ends.
            follows[item] = series[(place + np.array([1, 2, 4])) % len(series)]
    return _Items(cluster=cluster, charm=charm, birth=birth, price=price, follows=follows)


def _visits(
    rng: np.random.Generator, users: int, rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Who comes and on which day (with a fraction): (visits,) each, by user and day."""
    activity = rng.lognormal(0.0, 0.8, size=users)
    # Most people are around most of the time; some leave early and some come late.
    joined = np.where(rng.random(users) < 0.7, 0.0, DAYS * 0.95 * rng.random(users))
    left = np.where(rng.random(users) < 0.8, DAYS, joined + (DAYS - joined) * rng.random(users))
    weight = activity * np.maximum(left - joined, DAYS * 0.05) / DAYS
    visits = int(rows / 3.15)  # items a visit, less what was taken before
    who = rng.choice(users, size=visits, p=weight / weight.sum())
    everybody = min(users, visits)
    who[:everybody] = np.arange(everybody)  # at least once
    when = joined[who] + (left - joined)[who] * rng.random(visits)
    when = np.floor(when) + np.clip(rng.normal(0.75, 0.12, visits), 0.0, 0.99)
    order = np.lexsort((when, who))
    return who[order], when[order]


def _walk(
    rng: np.random.Generator,
    items: _Items,
    taste: NDArray[np.float64],
    who: NDArray[np.int64],
    when: NDArray[np.float64],
) -> NDArray[np.int64]:
    """(visits, LONGEST_VISIT): the items of each visit in order, -1 where there is none.

    Visits come sorted by user and day. The first visits of all users are walked together, then
    the second ones, and so on, so that nobody takes an item twice.
    """
    table = _DailyChoice(items)
    cumulative = np.cumsum(taste, axis=1)
    taken = np.zeros((len(taste), len(items.cluster)), dtype=np.bool_)
    length = np.minimum(1 + rng.geometric(0.21, size=len(who)), LONGEST_VISIT)
    steps = np.full((len(who), LONGEST_VISIT), -1, dtype=np.int64)
    first = np.flatnonzero(np.diff(who, prepend=-1))
    for visits in _rounds(who, first):
        user, day = who[visits], when[visits]
        topic = _draw(rng, cumulative[user])
        current = table.draw(rng, topic, day)
        for step in range(int(length[visits].max())):
            on = (step < length[visits]) & ~taken[user, current]
            steps[visits[on], step] = current[on]
            taken[user[on], current[on]] = True
            turn = rng.random(len(user)) < CHANGE_OF_MIND
            topic = np.where(turn, _draw(rng, cumulative[user]), topic)
            ahead = items.follows[current, rng.choice(3, size=len(user), p=FOLLOWERS)]
            ahead = np.where(taken[user, ahead], items.follows[ahead, 0], ahead)
            can = ~turn & (items.birth[ahead] <= day) & ~taken[user, ahead]
            follow = can & (rng.random(len(user)) < FOLLOW)
            other = table.draw(rng, topic, day)
            again = table.draw(rng, topic, day)
            current = np.where(follow, ahead, np.where(taken[user, other], again, other))
    return steps


def _rounds(who: NDArray[np.int64], first: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The numbers of everybody's first visit, then of the second ones, and so on."""
    turn = np.arange(len(who)) - first[np.cumsum(np.diff(who, prepend=-1) > 0) - 1]
    order = np.argsort(turn, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(turn[order])) + 1)


class _DailyChoice:
    """Draws an item of a cluster by its charm of the week: nothing before birth, then fading."""

    def __init__(self, items: _Items) -> None:
        weeks = np.arange(DAYS // 7 + 1) * 7.0
        age = weeks[:, None] - items.birth[None, :]
        weight = items.charm * np.where(age < 0, 0.0, 0.15 + np.exp(-np.maximum(age, 0) / 45))
        one_hot = items.cluster[None, :] == np.arange(CLUSTERS)[:, None]
        weight = weight[:, None, :] * one_hot[None] + 1e-12  # (weeks, clusters, items)
        total = np.cumsum(weight, axis=2)
        # One ascending array: row r lies in (r, r + 1], so that one search draws for all.
        scaled = total / total[:, :, -1:]
        rows = np.arange(scaled.shape[0] * CLUSTERS)
        self._flat = (scaled.reshape(len(rows), -1) + rows[:, None]).ravel()
        self._n = len(items.cluster)

    def draw(
        self, rng: np.random.Generator, topic: NDArray[np.int64], when: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        row = (when // 7).astype(np.int64) * CLUSTERS + topic
        at = np.searchsorted(self._flat, row + rng.random(len(row)), side="right") - row * self._n
        item: NDArray[np.int64] = np.clip(at, 0, self._n - 1)
        return item


def _draw(rng: np.random.Generator, cumulative: NDArray[np.float64]) -> NDArray[np.int64]:
    """(rows,): one column of each row of cumulative chances."""
    chance = rng.random((len(cumulative), 1))
    column: NDArray[np.int64] = np.minimum((cumulative < chance).sum(axis=1), CLUSTERS - 1)
    return column


def _assemble(
    items: _Items,
    users: NDArray[np.int64],
    taken: NDArray[np.int64],
    times: NDArray[np.int64],
    rng: np.random.Generator,
) -> Dataset:
    from scipy.sparse import csr_matrix

    used, dense = np.unique(taken, return_inverse=True)
    seen, who = np.unique(users, return_inverse=True)
    # A tenth of the categories is filed wrongly, as in every shop.
    category = np.where(
        rng.random(len(items.cluster)) < 0.1,
        rng.integers(0, CLUSTERS, len(items.cluster)),
        items.cluster,
    )[used]
    price = np.log(items.price)[used]
    n = len(used)
    one_hot = csr_matrix(
        (np.ones(n, dtype=np.float32), (np.arange(n), category)), shape=(n, CLUSTERS)
    )
    standard = ((price - price.mean()) / price.std()).astype(np.float32)
    return Dataset(
        name="sample",
        users=who.astype(np.int32),
        items=dense.astype(np.int32),
        user_ids=np.array([f"u{number:04d}" for number in seen]),
        item_ids=np.array([f"item-{number:03d}" for number in used]),
        times=times,
        ordered=True,
        item_features={"category": one_hot, "price": csr_matrix(standard[:, None])},
        notes=("bundled sample, generated",),
    )
