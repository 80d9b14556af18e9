"""Charts that only pages have, as the geometry that the report's template draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from evolver.report.charts import (
    BOTTOM,
    HEIGHT,
    LATENCY,
    LEFT,
    RIGHT,
    SIZE,
    TOP,
    WIDTH,
    Chart,
    Price,
    Stroke,
    Tick,
    ticks,
)

BARS = 20
"""On either side of zero."""
_GAP = 1.5

PRICES: dict[str, Price] = {
    price.name: price
    for price in (
        LATENCY,
        Price("fit time", "seconds of fitting", lambda scored: scored.fit_seconds, "s"),
        SIZE,
        Price("memory", "peak memory (MiB)", lambda scored: scored.peak_bytes / 2**20, "MiB"),
    )
}


def histogram(differences: NDArray[np.float64], title: str) -> Chart | None:
    """How many users are how much better or worse off; those without a difference are left out and
    counted in the note. None where nobody differs. differences: (users,)."""
    moved = differences[differences != 0]
    if not len(moved):
        return None
    reach = float(np.abs(moved).max())
    counts, edges = np.histogram(moved, bins=2 * BARS, range=(-reach, reach))
    highest = int(counts.max())
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return round(LEFT + (value + reach) / (2 * reach) * width, 1)

    def y(count: float) -> float:
        return round(HEIGHT - BOTTOM - count / highest * height, 1)

    bars = [
        Stroke(
            f"M{x(low) + _GAP} {y(0)}V{y(count)}H{x(high) - _GAP}V{y(0)}Z",
            "better-bar" if low >= -1e-12 else "worse-bar",
        )
        for count, low, high in zip(counts.tolist(), edges[:-1], edges[1:], strict=True)
        if count
    ]
    same = len(differences) - len(moved)
    return Chart(
        title=title,
        x_label="difference",
        y_label="users",
        x_ticks=[Tick(x(t), f"{t:+.4g}" if t else "0") for t in ticks(-reach, reach)],
        y_ticks=[Tick(y(t), f"{t:.0f}") for t in ticks(0, highest) if t == int(t)],
        strokes=[*bars, Stroke(f"M{x(0)} {TOP}V{y(0)}", "zero-line")],
        dots=[],
        legend=[],
        note=f"Users by what they gain or lose. {same:,} for whom nothing changes are left out.",
    )
