"""What a good engineer would want to know before the next attempt, from the brief alone.

Nothing that depends on the clock or on money enters: the same brief must give the same prompt, so
that a resumed run finds its recorded replies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from evolver.core import Brief, Entry, Failed, Scored, Stopped
from evolver.propose.effects import Effects
from evolver.propose.language import PYTHON, Language
from evolver.propose.operators import allowed, best, ours
from evolver.text import one_line

SHOWN_TRIED = 16
SHOWN_FAILURES = 6
SHOWN_METRICS = 24
SHOWN_FACTS = 120
CLIP = 160
DIRECTION = 60
PENDING = Stopped(fidelity="smoke", reason="not judged yet")
"""Stands for the evaluation of what is to be built on before it is judged."""
_PLAIN = frozenset({"split", "split.kind", "kind", "task"})
"""Text of the profile that names nothing."""
_DULL = frozenset(
    {"fingerprint", "split.seed", "measured_on", "parts.promotion", "parts.test", "notes"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A candidate as a prompt shows it. `source` has its tuned values as defaults; `anatomy` is a
    table of its parts, where it has any."""

    number: int
    name: str
    family: str
    idea: str
    source: str
    result: str
    fit_seconds: float | None
    reason: str = ""
    expect: str = ""
    came: str = ""
    remarks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    anatomy: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One line of the table of attempts."""

    number: int
    who: str
    name: str
    family: str
    direction: str
    idea: str
    result: str
    effect: str
    seconds: str


def program(
    entry: Entry,
    effects: Effects,
    metric: str,
    parent: Entry | None = None,
    *,
    language: Language = PYTHON,
    focus: str = "",
) -> Program:
    """One entry with its code, what its author expected, and what came of it beside its parent."""
    evaluation = entry.evaluation
    return Program(
        number=entry.number,
        name=clip(entry.candidate.name or entry.candidate.id, 60),
        family=clip(entry.candidate.family, 60),
        idea=clip(entry.candidate.idea, 300),
        source=language.shown(entry.candidate, entry.number, focus),
        result=result(entry, effects, metric),
        fit_seconds=evaluation.fit_seconds if isinstance(evaluation, Scored) else None,
        reason="" if isinstance(evaluation, Scored) else evaluation.reason[-4000:],
        expect=clip(entry.candidate.expect, 300),
        came=str(effects.gain(entry, parent) or ""),
        remarks=tuple(clip(remark, 600) for remark in entry.remarks[-5:]),
        parts=tuple(clip(part, 300) for part in entry.parts),
        anatomy=language.anatomy(entry),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """A candidate that reviewers banned or rejected, and what they said of it."""

    number: int
    family: str
    idea: str
    remarks: tuple[str, ...]


def turned_down(brief: Brief) -> list[TurnedDown]:
    """The latest candidates that are not to be taken up again, in their order."""
    barred = [e for e in brief.history if e.standing == "barred"]
    return [
        TurnedDown(
            number=e.number,
            family=clip(e.candidate.family, 60),
            idea=clip(e.candidate.idea, CLIP),
            remarks=tuple(clip(remark, CLIP) for remark in e.remarks[-2:]),
        )
        for e in barred[-SHOWN_FAILURES:]
    ]


def result(entry: Entry, effects: Effects, metric: str) -> str:
    """'0.1234 ± 0.0021', or how it failed."""
    if isinstance(entry.evaluation, Failed):
        return f"failed ({entry.evaluation.kind})"
    if entry.evaluation == PENDING:
        return PENDING.reason
    if isinstance(entry.evaluation, Stopped):
        partial = entry.partial(metric)
        at = (
            "while training"
            if partial is None or partial < 0
            else f"at low fidelity, {partial:.4f} there"
        )
        return f"stopped {at}"
    value = entry.score(metric)
    if value is None:
        return "not measured"
    error = effects.error(entry)
    return f"{value:.4f}" if error is None else f"{value:.4f} ± {error:.4f}"


def tried(brief: Brief, effects: Effects, shown: int = SHOWN_TRIED) -> list[Tried]:
    """The attempts worth a line, `shown` at most: the best and the latest of ours, in order."""
    scored = sorted(
        (e for e in brief.history if e.score(brief.metric) is not None),
        key=lambda e: (-(e.score(brief.metric) or 0.0), e.number),
    )
    chosen = {e.number: e for e in scored[: shown // 2]}
    latest = [e for e in reversed(brief.history) if ours(e)]
    for entry in latest:
        if len(chosen) >= shown:
            break
        chosen.setdefault(entry.number, entry)
    return [_line(chosen[number], brief, effects) for number in sorted(chosen)]


def _line(entry: Entry, brief: Brief, effects: Effects) -> Tried:
    candidate = entry.candidate
    compared = ours(entry) or bool(candidate.parents)
    rival = effects.rival(entry, brief.history) if compared else None
    return Tried(
        number=entry.number,
        who=cell(candidate.operator if ours(entry) else candidate.proposer or "seed", 20),
        name=cell(candidate.name or "-", 80),
        family=cell(candidate.family, 30),
        direction=cell(candidate.direction or "-", DIRECTION),
        idea=cell(candidate.idea or candidate.name or "-", CLIP),
        result=result(entry, effects, brief.metric),
        effect=str(effects.gain(entry, rival) or "-"),
        seconds=_seconds(entry),
    )


def failures(brief: Brief, shown: int = SHOWN_FAILURES) -> list[str]:
    """The latest distinct reasons why candidates failed, the newest first, `shown` at most."""
    seen: dict[str, None] = {}
    for entry in reversed(brief.history):
        if isinstance(entry.evaluation, Failed):
            lines = entry.evaluation.reason.strip().splitlines() or ["no reason recorded"]
            seen.setdefault(f"{entry.evaluation.kind}: {clip(lines[-1], 2 * CLIP)}")
    return list(seen)[:shown]


def comparison(
    parent: Entry | None, brief: Brief, language: Language = PYTHON
) -> list[tuple[str, str, str, str]]:
    """Rows (metric, parent's, the parent's parent's, the best's); empty without a scored parent."""
    if parent is None or not isinstance(parent.evaluation, Scored):
        return []
    by_id = {e.candidate.id: e for e in brief.history}
    before = by_id.get(parent.candidate.parents[0]) if parent.candidate.parents else None
    leader = best(allowed(brief.history), brief.metric)
    told = [n for n in parent.evaluation.metrics if not language.dull(n)]
    names = sorted(told, key=lambda n: (n != brief.metric, n))
    rows = [
        (cell(name, 40), _number(parent, name), _number(before, name), _number(leader, name))
        for name in names[:SHOWN_METRICS]
    ]
    return [*rows, ("seconds to fit", _seconds(parent), _seconds(before), _seconds(leader))]


def _seconds(entry: Entry | None) -> str:
    if entry is None or not isinstance(entry.evaluation, Scored):
        return "-"
    return f"{entry.evaluation.fit_seconds:.1f}"


def _number(entry: Entry | None, name: str) -> str:
    value = None if entry is None else entry.score(name)
    return "-" if value is None else f"{value:.4f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What came of one direction: how many were tried, scored, and really better than what they are
    measured against; and the largest gain."""

    direction: str
    tried: int
    scored: int
    better: int
    largest: str
    idea: str


def lessons(brief: Brief, effects: Effects) -> list[Lesson]:
    """One line for each direction that was tried, the most gainful first."""
    found: list[tuple[float, Lesson]] = []
    for direction in sorted({e.candidate.direction for e in brief.history if ours(e)}):
        entries = [e for e in brief.history if e.candidate.direction == direction]
        gains = [
            (gain, entry)
            for entry in entries
            if (gain := effects.gain(entry, effects.rival(entry, brief.history)))
        ]
        top = max(gains, key=lambda pair: pair[0].mean, default=None)
        lesson = Lesson(
            direction=cell(direction, DIRECTION),
            tried=len(entries),
            scored=sum(isinstance(e.evaluation, Scored) for e in entries),
            better=sum(gain.real for gain, _ in gains),
            largest=str(top[0]) if top else "-",
            idea=cell(top[1].candidate.idea, CLIP) if top else "-",
        )
        found.append((top[0].mean if top else float("-inf"), lesson))
    return [lesson for _, lesson in sorted(found, key=lambda pair: -pair[0])]


def facts(profile: Mapping[str, Any], reveal_names: bool) -> list[tuple[str, str]]:
    """The data profile as lines. Whatever names the data is hidden unless asked: text, dates, names
    of features, and exact sizes, since models know public data sets by heart."""
    lines: list[tuple[str, str]] = []
    shown = profile if reveal_names else {**profile, **_numbered_features(profile)}
    _flatten("", shown, reveal_names, lines)
    return lines[:SHOWN_FACTS]


def _numbered_features(profile: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The widths of features under their numbers, from 1, in the order that candidates meet."""
    return {
        side: {str(number): width for number, width in enumerate(profile[side].values(), start=1)}
        for side in ("user_features", "item_features")
        if side in profile
    }


def _flatten(name: str, value: Any, reveal: bool, lines: list[tuple[str, str]]) -> None:
    if name in _DULL:
        return
    if isinstance(value, Mapping):
        for key in value:
            _flatten(f"{name}.{key}" if name else str(key), value[key], reveal, lines)
    elif isinstance(value, str):
        if reveal or name in _PLAIN:
            lines.append((clip(name, 80), clip(value, CLIP)))
    elif isinstance(value, Sequence):
        for index, item in enumerate(value[:12]):
            _flatten(f"{name}[{index}]", item, reveal, lines)
    elif isinstance(value, bool | int | float | np.number) or value is None:
        lines.append((clip(name, 80), _quantity(value, reveal)))


def _quantity(value: Any, reveal: bool) -> str:
    """A number in full, or to two digits where a longer one could name a public data set."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | np.integer):
        rounded = int(value) if reveal or value < 100 else int(float(f"{float(value):.1e}"))
        return f"{'' if rounded == value else 'about '}{rounded:,}"
    return f"{value:.6g}" if reveal else f"{float(f'{value:.2g}'):g}"


def clip(text: str, length: int) -> str:
    """One line of at most `length` characters, in which nothing invisible is left."""
    return one_line(text[: 4 * length + 200], length)


def cell(text: str, length: int) -> str:
    """`clip` for a Markdown table: no bars, no fences."""
    return clip(text, length).replace("|", "/").replace("`", "'")
