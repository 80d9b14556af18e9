"""Charts as geometry: numbers in, places in a drawing out. Templates turn them into SVG."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from evolver.core import Scored
from evolver.report.data import ReportData
from evolver.text import one_line

WIDTH, HEIGHT = 720.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 14.0, 40.0
_ABOVE = ("failed", "scored", "baseline", "ancestor", "winner")


@dataclass(frozen=True, slots=True)
class Tick:
    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A mark. `kind`: a CSS class of ours; `label`: shown on hovering; `number`: whose it is."""

    x: float
    y: float
    kind: str
    label: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line or, with `closed`, an area, as SVG path data."""

    path: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Everything that a template needs to draw one chart, in user units of WIDTH by HEIGHT."""

    title: str
    x_label: str
    y_label: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    strokes: list[Stroke]
    dots: list[Dot]
    legend: list[tuple[str, str]]
    note: str = ""
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Price:
    """What quality may cost: a quantity of scored candidates, the lower the better."""

    name: str
    label: str
    of: Callable[[Scored], float]
    unit: str


LATENCY = Price(
    "latency",
    "milliseconds for one user (median)",
    lambda scored: scored.latency_ms_p50,
    "ms",
)
SIZE = Price("size", "parameters", lambda scored: float(scored.parameters), "parameters")


@dataclass(frozen=True, slots=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (
            (math.log10(self.low), math.log10(self.high), math.log10(max(value, self.low)))
            if self.log
            else (self.low, self.high, value)
        )
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 1)


def progress_chart(data: ReportData, most: int | None = None) -> Chart | None:
    """Every scored candidate by number, the best so far with its interval, the baseline's line.
    `most`: so many dots at most; of those close to each other some are left out."""
    if not data.ranked:
        return None
    scores = {e.number: score for e in data.ranked if (score := e.score(data.metric)) is not None}
    ordered = sorted(scores)
    last = max(data.by_number)
    x = _Scale(0, max(last, 1), LEFT, WIDTH - RIGHT)
    y = _y_scale(data, list(scores.values()))
    strokes: list[Stroke] = []
    if data.best_baseline is not None:
        number = data.best_baseline.number
        if number in data.intervals:
            low, high = data.intervals[number]
            strokes.append(Stroke(_box(x(0), y(low), x(last), y(high)), "baseline-band"))
        level = y(scores[number])
        strokes.append(Stroke(f"M{x(0)} {level}H{x(last)}", "baseline-line"))
    strokes += _best_so_far(data, scores, x, y)
    family = {e.number for e in data.lineage(data.winner)} if data.winner is not None else set()
    dots = [Dot(x(e.number), HEIGHT - BOTTOM, "failed", "", e.number) for e in data.failed]
    dots += [Dot(x(n), y(scores[n]), _kind(data, n, family), "", n) for n in ordered]
    kept = thinned(dots, most)
    return Chart(
        title=f"{data.metric} of every candidate, with the best so far",
        x_label="candidate",
        y_label=data.metric,
        x_ticks=[Tick(x(t), f"{t:.0f}") for t in ticks(0, last) if t == int(t)],
        y_ticks=[Tick(y(t), _short(t)) for t in ticks(y.low, y.high)],
        strokes=strokes,
        dots=_labelled(kept, lambda n: _label(data, n, scores.get(n))),
        legend=[
            ("best-line", "best so far, with its 95% interval"),
            ("baseline-line", "best tuned baseline"),
            ("winner", "winner"),
            ("ancestor", "its ancestors"),
            ("baseline", "baselines being tuned"),
            ("scored", "other candidates"),
            *([("failed", "failed")] if data.failed else []),
        ],
        note=_note(list(scores.values()), y, len(dots) - len(kept)),
    )


def trade_off_chart(
    data: ReportData, price: Price = LATENCY, most: int | None = None
) -> Chart | None:
    """Metric against a price, with the front of candidates that nothing dominates in these two.
    `most`: so many dots at most; of those close to each other some are left out."""
    points = priced_points(data, price)
    if len(points) < 2:
        return None
    costs = [p[0] for p in points]
    x = _Scale(min(costs) / 1.3, max(costs) * 1.3, LEFT, WIDTH - RIGHT, log=True)
    y = _y_scale(data, [p[1] for p in points])
    front = pareto(points)
    path = "".join(f"{'M' if i == 0 else 'L'}{x(p[0])} {y(p[1])}" for i, p in enumerate(front))
    on_front = {p[2] for p in front}
    dots = [
        Dot(x(cost), y(score), _front_kind(data, n, on_front), "", n) for cost, score, n in points
    ]
    kept = thinned(dots, most)
    known = {n: (score, f"{cost:,.4g} {price.unit}") for cost, score, n in points}
    return Chart(
        title=f"{data.metric} against {price.name}",
        x_label=price.label,
        y_label=data.metric,
        x_ticks=[Tick(x(t), f"{t:g}") for t in log_ticks(x.low, x.high)],
        y_ticks=[Tick(y(t), _short(t)) for t in ticks(y.low, y.high)],
        strokes=[Stroke(path, "front-line")],
        dots=_labelled(kept, lambda n: _label(data, n, *known[n])),
        legend=[
            ("front-line", "front: nothing is better at a lower price"),
            ("winner", "winner"),
            ("baseline", "best tuned baseline"),
            ("ancestor", "on the front"),
            ("scored", "other candidates"),
        ],
        note=_note([p[1] for p in points], y, len(dots) - len(kept)),
    )


def priced_points(data: ReportData, price: Price) -> list[tuple[float, float, int]]:
    """(price, score, number) of every scored candidate with a price above 0, best score first."""
    return [
        (cost, e.evaluation.metrics[data.metric], e.number)
        for e in data.ranked
        if isinstance(e.evaluation, Scored) and (cost := price.of(e.evaluation)) > 0
    ]


def thinned(dots: list[Dot], most: int | None) -> list[Dot]:
    """The dots without some that are close to others of their kind, `most` at most.

    Dots of a kind share a cell of a grid, coarser by and by; the first of each cell stays.
    """
    kept, step = dots, 1.0
    while most is not None and len(kept) > most:
        step *= 1.5
        cells: dict[tuple[str, int, int], Dot] = {}
        for dot in kept:
            cells.setdefault((dot.kind, round(dot.x / step), round(dot.y / step)), dot)
        kept = list(cells.values())
    return kept


def pareto(points: Sequence[tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    """(cost, score, number) that no other point beats on both, cheapest first."""
    front: list[tuple[float, float, int]] = []
    for point in sorted(points, key=lambda p: (p[0], -p[1])):
        if not front or point[1] > front[-1][1]:
            front.append(point)
    return front


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about `count` of them."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10 ** math.floor(math.log10(span / count))
    step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= count)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic scale: 1, 2 and 5 of each power of ten, or linear ones."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [m * 10.0**p for p in powers for m in (1, 2, 5) if low <= m * 10.0**p <= high]
    if len(found) < 3:  # a narrow range
        return [t for t in ticks(low, high) if low <= t <= high]
    return found if len(found) <= 8 else [t for t in found if f"{t:e}".startswith("1.0")]


def _y_scale(data: ReportData, scores: list[float]) -> _Scale:
    """From the lower quartile up, so that early failures of taste do not flatten the rest."""
    ranked = sorted(scores)
    base = data.best_baseline.score(data.metric) if data.best_baseline else None
    low = min(ranked[len(ranked) // 4], base if base is not None else math.inf)
    marked = [n for n in (data.winner, data.baseline) if n is not None]
    shown = [value for n in marked for value in data.intervals.get(n, ())]
    low, high = min([low, *shown]), max([ranked[-1], *shown])
    pad = (high - low or abs(high) or 1.0) * 0.08
    return _Scale(low - pad, high + pad, HEIGHT - BOTTOM, TOP)


def _best_so_far(
    data: ReportData,
    scores: dict[int, float],
    x: _Scale,
    y: _Scale,
) -> list[Stroke]:
    steps = data.leaders
    ends = [*steps[1:], max(data.by_number)]
    line, bands = f"M{x(steps[0])} {y(scores[steps[0]])}", ""
    for number, end in zip(steps, ends, strict=True):
        line += f"V{y(scores[number])}H{x(end)}"
        if number in data.intervals:
            low, high = data.intervals[number]
            bands += _box(x(number), y(low), x(end), y(high))
    return [*([Stroke(bands, "best-band")] if bands else []), Stroke(line, "best-line")]


def _box(left: float, low: float, right: float, high: float) -> str:
    return f"M{left} {low}H{right}V{high}H{left}Z"


def _kind(data: ReportData, number: int, family: set[int]) -> str:
    if number == data.winner:
        return "winner"
    if number in family:
        return "ancestor"
    return "baseline" if number in data.baselines else "scored"


def _front_kind(data: ReportData, number: int, front: set[int]) -> str:
    if number == data.winner:
        return "winner"
    if number == data.baseline:
        return "baseline"
    return "ancestor" if number in front else "scored"


def _labelled(dots: list[Dot], label: Callable[[int], str]) -> list[Dot]:
    """The dots with their labels, what matters above the rest."""
    made = [replace(dot, label=label(dot.number)) for dot in dots if dot.number is not None]
    return sorted(made, key=lambda dot: _ABOVE.index(dot.kind))


def _label(data: ReportData, number: int, score: float | None, extra: str = "") -> str:
    if score is None:
        return f"#{number} failed"
    name = one_line(data.by_number[number].candidate.name, 60)
    return ", ".join(part for part in (f"#{number} {name}".strip(), f"{score:.4f}", extra) if part)


def _note(scores: list[float], y: _Scale, left_out: int) -> str:
    low = sum(score < y.low for score in scores)
    said = [f"{low:,} that score lower still lie on the lower edge."] if low else []
    said += [f"{left_out:,} dots close to others are left out."] if left_out else []
    return " ".join(said)


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if value else "0"
