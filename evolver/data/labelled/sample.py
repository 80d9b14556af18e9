"""The bundled sample of a labelled table: who clicked on what was shown, made in a moment.

There is something for every kind of model: users and items have tastes that multiply (factorisation
machines), some categories are clicked in the evening only (crosses), dear items are clicked less
(numbers), tags that a user likes count (sets), and what was clicked last colours what comes next
(sequences).
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

TASTES = 4
CATEGORIES = ("books", "garden", "games", "music", "shoes", "tools")
HOURS = ("morning", "noon", "evening", "night")
TAGS = ("new", "sale", "gift", "local", "bulk", "rare", "soft", "loud")
REMEMBERED = 8
START = 1_704_067_200  # 2024-01-01
STEP = 300

KINDS = {"history": "sequence:item"}
"""What the columns do not say of themselves."""

Floats = NDArray[np.float64]


def sample_frame(
    *, rows: int = 20_000, users: int = 240, items: int = 120, seed: int = 20240101
) -> pl.DataFrame:
    """Columns label, user, item, category, hour, price, tags, history and timestamp, in time order.

    About a third of the labels are 1. Equal arguments give an equal table.
    """
    rng = np.random.default_rng(seed)
    who = rng.choice(users, rows, p=_tail(users, 0.6, rng))
    what = rng.choice(items, rows, p=_tail(items, 0.8, rng))
    taste, nature = (rng.normal(size=(n, TASTES)) for n in (users, items))
    category = rng.integers(len(CATEGORIES), size=items)
    price = np.exp(rng.normal(2.5, 0.8, size=items))
    tagged = rng.random((items, len(TAGS))) < 0.25
    liked = rng.normal(size=(users, len(TAGS))) * 0.6
    hour = rng.integers(len(HOURS), size=rows)
    mood = rng.normal(size=(len(CATEGORIES), len(HOURS)))
    fixed = (
        -1.2
        + 1.1 * (taste[who] * nature[what]).sum(axis=1)
        + 1.2 * mood[category[what], hour]
        - 0.7 * np.log(price[what] / 12)
        + (liked[who] * tagged[what]).sum(axis=1)
    )
    labels, histories = _clicks(rng, fixed, who, what, nature)
    return pl.DataFrame(
        {
            "label": labels,
            "user": [f"u{n}" for n in who],
            "item": [f"i{n}" for n in what],
            "category": [CATEGORIES[n] for n in category[what]],
            "hour": [HOURS[n] for n in hour],
            "price": np.round(price[what] * np.exp(rng.normal(0, 0.1, rows)), 2),
            "tags": ["|".join(t for t, has in zip(TAGS, tagged[n], strict=True) if has)
                     for n in what],
            "history": ["|".join(f"i{n}" for n in past) for past in histories],
            "timestamp": START + STEP * np.arange(rows),
        }
    )  # fmt: skip


def _tail(count: int, power: float, rng: np.random.Generator) -> Floats:
    """Chances with a long tail, in no order."""
    weight = rng.permutation(np.arange(1, count + 1, dtype=np.float64) ** -power)
    return np.asarray(weight / weight.sum())


def _clicks(
    rng: np.random.Generator,
    fixed: Floats,
    who: NDArray[np.int64],
    what: NDArray[np.int64],
    nature: Floats,
) -> tuple[NDArray[np.int64], list[list[int]]]:
    """Row by row, since what was clicked before is part of the next row."""
    past: dict[int, list[int]] = {}
    labels = np.zeros(len(who), dtype=np.int64)
    histories = []
    draws = rng.random(len(who))
    for row, (user, item) in enumerate(zip(who.tolist(), what.tolist(), strict=True)):
        known = past.setdefault(user, [])
        histories.append(known[-REMEMBERED:])
        likeness = float(nature[known[-1]] @ nature[item]) if known else 0.0
        chance = 1 / (1 + np.exp(-(fixed[row] + 0.5 * likeness)))
        if draws[row] < chance:
            labels[row] = 1
            known.append(item)
    return labels, histories
