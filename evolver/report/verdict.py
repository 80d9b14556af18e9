"""What came of a run, in plain words, claiming no more than was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evolver.report.data import Contest, Figure, ReportData
from evolver.text import one_line

Tone = Literal["better", "unsure", "worse", "none"]
_ORDER = ("test", "promotion", "search")
_WHERE = {
    "test": "on the sealed test part",
    "promotion": "on the promotion part, which the search never read",
    "search": "on the search part",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`headline` is one sentence; `detail` says on what evidence; `tone` colours it."""

    headline: str
    detail: tuple[str, ...]
    tone: Tone


def verdict(data: ReportData) -> Verdict:
    """Judge by the strictest part that was read: test, else promotion, else search."""
    best = data.best
    if best is None:
        say = "No candidate could be scored." if data.failed else "Nothing has been measured yet."
        return Verdict(headline=say, detail=_failures(data), tone="none")
    name = _name(data, best.number)
    contest = next((c for part in _ORDER for c in data.contests if c.part == part), None)
    if best.number in data.baselines:
        return Verdict(
            headline=f"Nothing beat the tuned baseline: {name} is still the best.",
            detail=(*_runner_up(data, best.number), *_failures(data)),
            tone="unsure",
        )
    if contest is None:
        return Verdict(
            headline=f"{name} scores {data.metric} {data.figure(best.number)} on the search part.",
            detail=("It was not compared with a tuned baseline in pairs of users.",),
            tone="unsure",
        )
    return _compared(data, name, contest)


def _runner_up(data: ReportData, best: int) -> tuple[str, ...]:
    """How far the best proposal of the search stayed behind the baseline that won."""
    if data.challenger is None:
        return ("Nothing that the search proposed has a score.",)
    behind = data.figure(best).value - data.figure(data.challenger).value
    return (
        f"The best that the search proposed, {_name(data, data.challenger)}, stays {behind:.4f} "
        f"behind on the search part ({data.metric} {data.figure(data.challenger)} against "
        f"{data.figure(best)}).",
        "Keep the baseline, or let the search run longer.",
    )


def _compared(data: ReportData, name: str, contest: Contest) -> Verdict:
    where = _WHERE.get(contest.part, f"on the {one_line(contest.part, 40)} part")
    difference = contest.difference
    if contest.baseline is None or difference is None:
        say = (
            f"{name} scores {data.metric} {contest.winner} {where}; no baseline was measured there."
        )
        return Verdict(headline=say, detail=_evidence(data, contest), tone="unsure")
    rival = _name(data, data.baseline) if data.baseline is not None else "the tuned baseline"
    amount = _amount(difference, contest.baseline)
    tone = _tone(difference)
    say = {
        "better": f"{name} beats the best tuned baseline, {rival}, by {amount} {where}.",
        "worse": f"{name} is worse than the best tuned baseline, {rival}, by {amount} {where}.",
        "unsure": f"{name} is not shown to be better than the best tuned baseline, "
        f"{rival}, {where}.",
        "none": "",
    }[tone]
    return Verdict(headline=say, detail=_evidence(data, contest), tone=tone)


def _tone(difference: Figure) -> Tone:
    if difference.low is None or difference.high is None:
        return "unsure"
    if difference.low > 0:
        return "better"
    return "worse" if difference.high < 0 else "unsure"


def _amount(difference: Figure, baseline: Figure) -> str:
    size = f"{abs(difference.value):.4f}"
    if baseline.value > 0:
        size += f" ({abs(difference.value) / baseline.value:.1%})"
    return size


def _evidence(data: ReportData, contest: Contest) -> tuple[str, ...]:
    lines: list[str] = []
    difference = contest.difference
    if difference is not None and contest.baseline is not None:
        rest = f", 95% interval {difference.interval}" if difference.interval else ""
        lines.append(
            f"{data.metric} {contest.winner.value:.4f} against {contest.baseline.value:.4f}, "
            f"difference {difference.value:+.4f}{rest}, from {contest.users} users in pairs."
        )
    if contest.part == "search":
        lines.append(
            "The search chose by these same users, so expect less on new ones; "
            "promotion and test have not been read."
        )
    if contest.forced or (contest.part == "test" and contest.readings > 1):
        lines.append(
            f"The {contest.part} part was read {contest.readings} times: "
            "this figure is no longer that of a sealed part."
        )
    if data.noise is not None:
        lines.append(
            f"Between seeds of one program the metric moves by about {data.noise:.4f}"
            + (
                ", more than this difference."
                if difference is not None and abs(difference.value) <= data.noise
                else "."
            )
        )
    return (*lines, *_failures(data))


def _failures(data: ReportData) -> tuple[str, ...]:
    if not data.failed and not data.ranked:
        return ()
    stopped = f" {len(data.stopped)} were stopped before a whole training," if data.stopped else ""
    failed = f"{len(data.failed)} failed" if data.failed else "none failed"
    return (f"{len(data.ranked)} candidates were scored,{stopped} {failed}.",)


def _name(data: ReportData, number: int) -> str:
    entry = data.by_number.get(number)
    name = one_line(entry.candidate.name, 60) if entry else ""
    return f"{name} (#{number})" if name else f"candidate #{number}"


def shrinkage(data: ReportData) -> list[tuple[str, Figure]]:
    """The measured advantage over the baseline, part by part, in the order they are read."""
    order = {part: place for place, part in enumerate(reversed(_ORDER))}
    found = [(c.part, c.difference) for c in data.contests if c.difference is not None]
    return sorted(found, key=lambda pair: order.get(pair[0], len(order)))
