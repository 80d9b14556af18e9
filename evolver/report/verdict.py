"""What came of a run, in plain words, claiming no more than was measured.

Where the promotion gate has spoken, its verdict is the verdict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from evolver.report.data import Contest, Figure, ReportData
from evolver.report.finals import finals_lines, name_of, priced
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
    name = name_of(data, best.number)
    if data.gate is not None and data.gate.state in _BY_GATE:
        return _BY_GATE[data.gate.state](data)
    contest = next((c for part in _ORDER for c in data.contests if c.part == part), None)
    if best.number in data.baselines:
        return Verdict(
            headline=f"Nothing beat the tuned baseline: {name} is still the best.",
            detail=(*_runner_up(data, best.number), *_floor_line(data), *_failures(data)),
            tone="unsure",
        )
    if contest is None:
        return Verdict(
            headline=f"{name} scores {data.metric} {data.figure(best.number)} on the search part.",
            detail=("It was not compared with a tuned baseline in pairs of users.",),
            tone="unsure",
        )
    return _compared(data, name, contest)


def _promoted(data: ReportData) -> Verdict:
    """The gate let one pass; the sealed test, where it was read, may take that back in words."""
    standing = data.gate
    promotion = None if standing is None else standing.promotion
    if promotion is None or promotion.evidence is None:
        raise ValueError("nothing was promoted")
    name, rival = name_of(data, promotion.number), name_of(data, promotion.against)
    gain = _share(promotion.evidence["difference"], promotion.evidence["incumbent"])
    test = next((c.difference for c in data.contests if c.part == "test"), None)
    tone: Tone = "better" if test is None else _tone(test)
    after = {
        "better": "" if test is None else "; the sealed test confirms it",
        "unsure": "; the sealed test neither confirms nor refutes it",
        "worse": "; the sealed test refutes it",
        "none": "",
    }[tone]
    return Verdict(
        headline=f"{name} is promoted: it beats the incumbent, {rival}, by {gain} on the promotion "
        f"part, which the search never read{after}.",
        detail=(
            promotion.paragraph,
            *shrinkage_line(data),
            *_idle_parts(data),
            *_rejected_before(data),
            *_test_again(data),
            *_floor_line(data),
            *_failures(data),
        ),
        tone=tone,
    )


def _rejected(data: ReportData) -> Verdict:
    standing = data.gate
    if standing is None or standing.incumbent is None:
        raise ValueError("nobody was judged")
    return Verdict(
        headline=f"Nothing is promoted: the incumbent, {name_of(data, standing.incumbent.number)}, "
        "stays.",
        detail=(
            *finals_lines(data),
            *shrinkage_line(data),
            *_price_line(data),
            *_floor_line(data),
            *_failures(data),
        ),
        tone="unsure",
    )


_BY_GATE: dict[str, Callable[[ReportData], Verdict]] = {
    "promoted": _promoted,
    "rejected": _rejected,
}


def _price_line(data: ReportData) -> tuple[str, ...]:
    """What to do where only guardrails stood between a challenger and its promotion."""
    found = priced(data)
    if found is None:
        return ()
    return (
        f"{name_of(data, found.number)} is better beyond luck, at a price. Whoever accepts it: "
        f"evolver promote RUN {found.flags}",
    )


def _idle_parts(data: ReportData) -> tuple[str, ...]:
    """Declared parts that bring nothing: what was promoted could be simpler."""
    return tuple(
        f"Its part {contribution}; it may be simpler without."
        for contribution in data.contributions
        if contribution.nothing
    )


def _rejected_before(data: ReportData) -> tuple[str, ...]:
    judged = () if data.gate is None else data.gate.judged
    return tuple(
        f"{name_of(data, each.number)} was rejected: {each.reason}."
        for each in judged
        if not each.promoted
    )


def _test_again(data: ReportData) -> tuple[str, ...]:
    test = next((c for c in data.contests if c.part == "test"), None)
    if test is None:
        return ("The sealed test part has not been read.",)
    if test.forced or test.readings > 1:
        return (
            f"The test part was read {test.readings} times: "
            "this figure is no longer that of a sealed part.",
        )
    return ()


def shrinkage_line(data: ReportData) -> tuple[str, ...]:
    """How the advantage shrinks from the part it was chosen on to those it was not."""
    found = shrinkage(data)
    if len(found) < 2:
        return ()
    steps = ", ".join(f"{figure.value:+.4f} on {part}" for part, figure in found)
    first, last = found[0][1].value, found[-1][1].value
    kept = f"; {last / first:.0%} of the search's gain is left" if first > 0 else ""
    return (f"Shrinkage: {steps}{kept}.",)


def _floor_line(data: ReportData) -> tuple[str, ...]:
    return () if data.floor is None else (f"{str(data.floor)[0].upper()}{str(data.floor)[1:]}.",)


def _share(difference: float, base: float) -> str:
    size = f"{abs(difference):.4f}"
    return f"{size} ({abs(difference) / base:.1%})" if base > 0 else size


def _runner_up(data: ReportData, best: int) -> tuple[str, ...]:
    """How far the best proposal of the search stayed behind the baseline that won."""
    if data.challenger is None:
        return ("Nothing that the search proposed has a score.",)
    behind = data.figure(best).value - data.figure(data.challenger).value
    return (
        f"The best that the search proposed, {name_of(data, data.challenger)}, stays {behind:.4f} "
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
    rival = name_of(data, data.baseline) if data.baseline is not None else "the tuned baseline"
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
    return _share(difference.value, baseline.value)


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
        if data.gate is not None and data.gate.waiting:
            lines.append("The promotion gate has not judged it yet: evolver promote judges it.")
    if contest.forced or (contest.part == "test" and contest.readings > 1):
        lines.append(
            f"The {contest.part} part was read {contest.readings} times: "
            "this figure is no longer that of a sealed part."
        )
    if data.floor is not None:
        lines += _floor_line(data)
    elif data.noise is not None:
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


def shrinkage(data: ReportData) -> list[tuple[str, Figure]]:
    """The measured advantage over the baseline, part by part, in the order they are read."""
    order = {part: place for place, part in enumerate(reversed(_ORDER))}
    found = [(c.part, c.difference) for c in data.contests if c.difference is not None]
    return sorted(found, key=lambda pair: order.get(pair[0], len(order)))
