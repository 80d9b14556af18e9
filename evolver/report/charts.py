"""Charts as geometry: numbers in, places in a drawing out. Templates turn them into SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from evolver.core import Scored
from evolver.report.data import ReportData
from evolver.text import one_line

WIDTH, HEIGHT = 720.0, 300.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 14.0, 40.0


@dataclass(frozen=True, slots=True)
class Tick:
    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A mark. `kind` is a CSS class of ours; `label` is shown on hovering."""

    x: float
    y: float
    kind: str
    label: str


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


def progress_chart(data: ReportData) -> Chart | None:
    """Every scored candidate by number, the best so far with its interval, the baseline's line."""
    if not data.ranked:
        return None
    scores = {e.number: data.figure(e.number).value for e in data.ranked}
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
    strokes += _best_so_far(data, ordered, scores, x, y)
    family = {e.number for e in data.lineage(data.winner)} if data.winner is not None else set()
    dots = [
        Dot(x(n), y(scores[n]), _kind(data, n, family), _label(data, n, scores[n])) for n in ordered
    ]
    dots.sort(key=lambda dot: ("scored", "baseline", "ancestor", "winner").index(dot.kind))
    failed = [
        Dot(x(e.number), HEIGHT - BOTTOM, "failed", f"#{e.number} failed") for e in data.failed
    ]
    return Chart(
        title=f"{data.metric} of every candidate, with the best so far",
        x_label="candidate",
        y_label=data.metric,
        x_ticks=[Tick(x(t), f"{t:.0f}") for t in ticks(0, last) if t == int(t)],
        y_ticks=[Tick(y(t), _short(t)) for t in ticks(y.low, y.high)],
        strokes=strokes,
        dots=failed + dots,
        legend=[
            ("best-line", "best so far, with its 95% interval"),
            ("baseline-line", "best tuned baseline"),
            ("winner", "winner"),
            ("ancestor", "its ancestors"),
            ("baseline", "baselines being tuned"),
            ("scored", "other candidates"),
            *([("failed", "failed")] if failed else []),
        ],
        note=_below(list(scores.values()), y),
    )


def trade_off_chart(data: ReportData) -> Chart | None:
    """Metric against single-user latency, with the front of candidates that nothing dominates."""
    points = [
        (e.evaluation.latency_ms_p50, data.figure(e.number).value, e.number)
        for e in data.ranked
        if isinstance(e.evaluation, Scored) and e.evaluation.latency_ms_p50 > 0
    ]
    if len(points) < 2:
        return None
    times = [p[0] for p in points]
    x = _Scale(min(times) / 1.3, max(times) * 1.3, LEFT, WIDTH - RIGHT, log=True)
    y = _y_scale(data, [p[1] for p in points])
    front = pareto(points)
    path = "".join(f"{'M' if i == 0 else 'L'}{x(p[0])} {y(p[1])}" for i, p in enumerate(front))
    on_front = {p[2] for p in front}
    dots = [
        Dot(x(ms), y(score), _front_kind(data, n, on_front), _label(data, n, score, f"{ms:.2f} ms"))
        for ms, score, n in points
    ]
    dots.sort(key=lambda dot: ("scored", "ancestor", "baseline", "winner").index(dot.kind))
    return Chart(
        title=f"{data.metric} against latency",
        x_label="milliseconds for one user (median)",
        y_label=data.metric,
        x_ticks=[Tick(x(t), f"{t:g}") for t in log_ticks(x.low, x.high)],
        y_ticks=[Tick(y(t), _short(t)) for t in ticks(y.low, y.high)],
        strokes=[Stroke(path, "front-line")],
        dots=dots,
        legend=[
            ("front-line", "front: nothing is both better and faster"),
            ("winner", "winner"),
            ("baseline", "best tuned baseline"),
            ("ancestor", "on the front"),
            ("scored", "other candidates"),
        ],
        note=_below([p[1] for p in points], y),
    )


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
    ordered: list[int],
    scores: dict[int, float],
    x: _Scale,
    y: _Scale,
) -> list[Stroke]:
    steps: list[int] = []
    for number in ordered:
        if not steps or scores[number] > scores[steps[-1]]:
            steps.append(number)
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


def _label(data: ReportData, number: int, score: float, extra: str = "") -> str:
    name = one_line(data.by_number[number].candidate.name, 60)
    return ", ".join(part for part in (f"#{number} {name}".strip(), f"{score:.4f}", extra) if part)


def _below(scores: list[float], y: _Scale) -> str:
    count = sum(score < y.low for score in scores)
    return f"{count} that score lower still lie on the lower edge." if count else ""


def _short(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".") if value else "0"
