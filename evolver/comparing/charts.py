"""The figures of a comparison as geometry; the page's template draws them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence

from evolver.comparing.outcome import Estimate, Result, RunOutcome, estimate
from evolver.report.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Chart, Dot, Stroke, Tick
from evolver.report.charts import ticks as round_numbers
from evolver.text import one_line

COLOURS = 8
"""So many arms have a colour of their own; further ones share them, with dashes."""
BANDS = 3
"""So many seeds it takes for intervals along a curve."""
_STEPS = 160
_NAMES = 190.0
_ROW = 34.0


def by_candidates(result: Result) -> Chart | None:
    """The best so far after each candidate of the search, mean over seeds with its interval."""
    return _anytime(
        result,
        title=f"Best {result.metric} so far, by candidates",
        x_label="candidates of the search",
        points=[*(float(n) for n in range(result.searched + 1)), result.searched + 0.4],
        value=lambda run, x: _after(run, int(x)),
        ends=lambda label: result.searched + 0.4,  # so that the last step is seen
        whole=True,
    )


def by_seconds(result: Result) -> Chart | None:
    """The best so far against seconds of training and scoring, mean over seeds."""
    ends = {
        arm.label: max((run.seconds[-1] for run in result.of(arm.label) if run.seconds), default=0)
        for arm in result.spec.arms
    }
    last = max(ends.values(), default=0.0)
    if last <= 0:
        return None
    return _anytime(
        result,
        title=f"Best {result.metric} so far, by seconds of training and scoring",
        x_label="seconds, all workers added up",
        points=[last * step / _STEPS for step in range(_STEPS + 1)],
        value=lambda run, x: _after(run, bisect_right(run.seconds, x)),
        ends=lambda label: ends[label],
        whole=False,
    )


def differences(result: Result) -> Chart | None:
    """Each pair's difference: a dot for each seed, the mean with its interval."""
    if not result.pairs:
        return None
    values = [d for pair in result.pairs for d in pair.by_seed]
    for pair in result.pairs:
        values += [v for v in (pair.difference.low, pair.difference.high) if v is not None]
    reach = max(*(abs(v) for v in values), 1e-6) * 1.08
    height = TOP + _ROW * len(result.pairs) + BOTTOM
    x = _scale(-reach, reach, _NAMES, WIDTH - RIGHT)
    strokes = [Stroke(f"M{x(0.0)} {TOP}V{height - BOTTOM}", "zero-line")]
    dots, rows = [], []
    for row, pair in enumerate(result.pairs):
        y = round(TOP + _ROW * (row + 0.5), 1)
        rows.append(Tick(y, one_line(f"{pair.arm} less {pair.other}", 30)))
        low, high = pair.difference.low, pair.difference.high
        if low is not None and high is not None:
            strokes.append(Stroke(f"M{x(low)} {y}H{x(high)}", "span-line"))
        for seed, value in zip(result.seeds, pair.by_seed, strict=True):
            dots.append(Dot(x(value), y, "scored", f"seed {seed}: {value:+.4f}"))
        kind = "winner" if pair.shown else "ancestor"
        dots.append(Dot(x(pair.difference.mean), y, kind, f"mean {pair.difference.mean:+.4f}"))
    return Chart(
        title=f"Differences in the final {result.metric}, paired by seed",
        x_label="difference",
        y_label="",
        x_ticks=[Tick(x(t), f"{t:+.4g}" if t else "0") for t in round_numbers(-reach, reach)],
        y_ticks=rows,
        strokes=strokes,
        dots=dots,
        legend=[
            ("scored", "one seed"),
            ("winner", "mean, shown to differ from 0"),
            ("ancestor", "mean, not told from 0"),
            ("span-line", "95% interval"),
        ],
        height=height,
        left=_NAMES,
        bottom=height - BOTTOM,
    )


def colour(place: int) -> str:
    """The CSS class of the arm in this place."""
    return f"arm-{place % COLOURS}" + ("-dashed" if place >= COLOURS else "")


def _anytime(
    result: Result,
    *,
    title: str,
    x_label: str,
    points: Sequence[float],
    value: Callable[[RunOutcome, float], float | None],
    ends: Callable[[str], float],
    whole: bool,
) -> Chart | None:
    curves: list[tuple[int, list[tuple[float, Estimate]]]] = []
    for place, arm in enumerate(result.spec.arms):
        runs = result.of(arm.label)
        curve = []
        for point in points:
            found = [v for run in runs if (v := value(run, point)) is not None]
            if point <= ends(arm.label) + 1e-9 and runs and len(found) == len(runs):
                mean = estimate(found)
                curve += [(point, mean)] if mean is not None else []
        curves.append((place, curve))
    shown = [each for _, curve in curves for _, each in curve]
    if not shown:
        return None
    x = _scale(0.0, max(points), LEFT, WIDTH - RIGHT)
    low, high = _range(shown)
    y = _scale(low, high, HEIGHT - BOTTOM, TOP)
    strokes = []
    for place, curve in curves:
        name = colour(place)
        if len(result.seeds) >= BANDS and (band := _band(curve, x, y)):
            strokes.append(Stroke(band, f"{name}-band"))
    for place, curve in curves:
        if curve:
            strokes.append(Stroke(_steps([(x(p), y(e.mean)) for p, e in curve]), _line(place)))
    numbers = round_numbers(0.0, max(points))
    return Chart(
        title=title,
        x_label=x_label,
        y_label=result.metric,
        x_ticks=[Tick(x(t), f"{t:g}") for t in numbers if not whole or t == int(t)],
        y_ticks=[Tick(y(t), f"{t:.6g}") for t in round_numbers(low, high)],
        strokes=strokes,
        dots=[],
        legend=[(_line(place), arm.label) for place, arm in enumerate(result.spec.arms)],
        note=_note(result),
    )


def _line(place: int) -> str:
    return f"{colour(place)}-line"


def _note(result: Result) -> str:
    if len(result.seeds) == 1:
        return "One seed: there is no interval."
    if len(result.seeds) < BANDS:
        return f"Mean over {len(result.seeds)} seeds, too few for bands that say anything."
    return f"Mean over {len(result.seeds)} seeds; the bands are 95% intervals of the mean."


def _range(shown: Sequence[Estimate]) -> tuple[float, float]:
    """All means, and as much of the bands as three times their range: with few seeds a band is
    wide, and the lines matter more."""
    means = [each.mean for each in shown]
    span = max(means) - min(means) or abs(max(means)) * 0.05 or 1.0
    lows = [each.low for each in shown if each.low is not None]
    highs = [each.high for each in shown if each.high is not None]
    low = max(min([*means, *lows]), min(means) - span)
    high = min(max([*means, *highs]), max(means) + span)
    return low - 0.05 * span, high + 0.05 * span


def _after(run: RunOutcome, count: int) -> float | None:
    """The best after so many candidates; a run that ended early keeps what it had."""
    if count == 0 or not run.best:
        return run.start
    return run.best[min(count, len(run.best)) - 1]


def _steps(points: Sequence[tuple[float, float]]) -> str:
    (x, y), *rest = points
    return f"M{x} {y}" + "".join(f"H{x}V{y}" for x, y in rest)


def _band(
    curve: Sequence[tuple[float, Estimate]],
    x: Callable[[float], float],
    y: Callable[[float], float],
) -> str:
    edges: list[tuple[float, float, float]] = []
    for point, each in curve:
        if each.low is not None and each.high is not None:
            edges.append((x(point), y(each.low), y(each.high)))
    if len(edges) < 2:
        return ""
    upper = _steps([(at, high) for at, _, high in edges])
    lower = "".join(
        f"L{at} {low}" if place == 0 else f"V{low}H{at}"
        for place, (at, low, _) in enumerate(reversed(edges))
    )
    return f"{upper}{lower}Z"


def _scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    span = high - low if high > low and math.isfinite(high - low) else 1.0

    def place(value: float) -> float:
        share = min(max((value - low) / span, 0.0), 1.0)
        return round(start + share * (end - start), 1)

    return place
