"""A pipeline as a drawing: who recalls at the left, what is served at the right."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evolver.report.graph import curve
from evolver.report.shares import AgentShare, Shares
from evolver.text import one_line

MOST_RECALL = 24
"""So many recall agents are drawn and listed at most."""
BARS = "Bars show Shapley credits beside the largest one."
_WIDTH, _COLUMN, _GAP, _EDGE = 164.0, 204.0, 14.0, 10.0
_HEAD, _LINE, _FOOT = 25.0, 17.0, 14.0
_TIP = "m-6 -4l6 4l-6 4"
_WORK = {"recall": "recalls", "ranking": "ranks", "reranking": "re-ranks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An agent, or what is done between agents. lines: what is said of it, each with its figure;
    bar: its share of the credit as a part of the largest one, below zero where it does harm."""

    name: str
    title: str
    lines: tuple[tuple[str, str], ...]
    agent: bool = False
    bar: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A step in its place. x, y: its upper left corner."""

    step: Step
    x: float
    y: float
    height: float
    width: float = _WIDTH

    @property
    def rows(self) -> list[tuple[float, str, str]]:
        """The lines, each with the y of its baseline."""
        return [
            (self.y + _HEAD + _LINE * (place + 0.75), *line)
            for place, line in enumerate(self.step.lines)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """edges: SVG path data. agents: those that are shown, for the table beside the drawing; lines:
    what to know of their credits; left_out: recall agents that found no room."""

    title: str
    description: str
    boxes: tuple[Box, ...]
    edges: tuple[str, ...]
    width: float
    height: float
    agents: tuple[AgentShare, ...]
    lines: tuple[str, ...]
    left_out: int


def draw_pipeline(shares: Shares) -> Flow:
    """Recall agents one below the other; right of them merging, where there is something to merge,
    ranking, re-ranking and the list that is served, each in the middle."""
    recall = [each for each in shares.agents if each.stage == "recall"]
    shown = recall[:MOST_RECALL]
    later = [each for each in shares.agents if each.stage != "recall"]
    most = max((abs(each.shapley or 0.0) for each in (*shown, *later)), default=0.0)
    first = [_agent(each, most) for each in shown]
    line = [
        *([_merge(shares)] if len(recall) > 1 else []),
        *(_agent(each, most) for each in later),
        _served(shares),
    ]
    boxes, edges = _placed(first, line)
    return Flow(
        title=f"Pipeline #{shares.number}",
        description=one_line(f"{shares.document.outline} → top {shares.top}", 600),
        boxes=tuple(boxes),
        edges=tuple(edges),
        width=boxes[-1].x + _WIDTH + _EDGE,
        height=max(box.y + box.height for box in boxes) + _EDGE,
        agents=(*shown, *later),
        lines=(*shares.lines, BARS) if most else shares.lines,
        left_out=len(recall) - len(shown),
    )


def _placed(first: Sequence[Step], line: Sequence[Step]) -> tuple[list[Box], list[str]]:
    """Boxes, and arrows between them. Agents are of one height, which is that of the highest box:
    so the middle of the first column has room for every other one."""
    highest = _height(max(len(step.lines) for step in (*first, *line)))
    boxes = [
        Box(step=step, x=_EDGE, y=_EDGE + place * (highest + _GAP), height=highest)
        for place, step in enumerate(first)
    ]
    middle = (boxes[0].y + boxes[-1].y + highest) / 2
    before, edges = list(boxes), []
    for place, step in enumerate(line, 1):
        height = highest if step.agent else _height(len(step.lines))
        box = Box(step=step, x=_EDGE + place * _COLUMN, y=middle - height / 2, height=height)
        edges += [_arrow(each, box) for each in before]
        boxes.append(box)
        before = [box]
    return boxes, edges


def _agent(share: AgentShare, most: float) -> Step:
    """An agent with what is recorded of it; `most` is the largest credit of all, in size."""
    figures = (
        ("Shapley", share.shapley, "+.4f", ""),
        ("lost without", share.leave_one_out, "+.4f", ""),
        ("inner reward", share.inner, ".4f", ""),
        ("one user", share.latency_ms, ".2f", " ms"),
        ("time", share.seconds, ".1f", " s"),
    )
    lines = (
        (_WORK[share.stage], f"{share.items} items"),
        *(
            (label, f"{value:{form}}{unit}")
            for label, value, form, unit in figures
            if value is not None
        ),
    )
    return Step(
        name=one_line(share.agent, 19),
        title=_title(f"{share.agent}, {share.program}", lines),
        lines=lines,
        agent=True,
        bar=(share.shapley or 0.0) / most if most else 0.0,
    )


def _merge(shares: Shares) -> Step:
    merge = shares.document.graph.merge
    how = ("by", merge.how.replace("_", " "))
    lines = (how, ("constant", f"{merge.constant:g}")) if merge.how == "fusion" else (how,)
    return Step(name="merge", title=_title("merge", lines), lines=lines)


def _served(shares: Shares) -> Step:
    figures = ((shares.metric, shares.value), ("without agents", shares.nothing))
    lines = tuple((label, f"{value:.4f}") for label, value in figures if value is not None)
    name = f"top {shares.top}"
    return Step(name=name, title=_title(name, lines), lines=lines)


def _title(name: str, lines: Iterable[tuple[str, str]]) -> str:
    return f"{one_line(name, 120)}: {', '.join(f'{label} {value}' for label, value in lines)}"


def _height(lines: int) -> float:
    return _HEAD + lines * _LINE + _FOOT


def _arrow(start: Box, end: Box) -> str:
    x, y = start.x + _WIDTH, start.y + start.height / 2
    return curve(x, y, end.x - 1, end.y + end.height / 2) + _TIP
