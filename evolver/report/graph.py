"""Who came from whom, as a drawing: ancestors left of their descendants."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from evolver.report.data import ReportData
from evolver.text import one_line

NODES = 120
"""So many are drawn at most."""
LEADERS = 30
"""Of a run with more candidates, so many of the best are drawn with their ancestors."""
_WIDTH, _HEIGHT, _COLUMN, _ROW, _EDGE = 170.0, 40.0, 220.0, 54.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One candidate. x, y: its upper left corner; kind: a CSS class of ours."""

    number: int
    x: float
    y: float
    kind: str
    title: str
    name: str
    score: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """edges: SVG path data with a CSS class. left_out: relatives that found no room."""

    nodes: list[Node]
    edges: list[tuple[str, str]]
    width: float
    height: float
    left_out: int
    box: tuple[float, float] = (_WIDTH, _HEIGHT)


class Family:
    """Parents and children of a run by number. A parent is the earliest candidate of its id, and
    earlier than its child: so there is no circle."""

    def __init__(self, data: ReportData) -> None:
        self._data = data
        self.parents: dict[int, list[int]] = {}
        self.children: dict[int, list[int]] = defaultdict(list)
        for number, entry in data.by_number.items():
            parents = entry.candidate.parents
            known = [data.by_id[each].number for each in parents if each in data.by_id]
            self.parents[number] = [each for each in dict.fromkeys(known) if each < number]
            for each in self.parents[number]:
                self.children[each].append(number)

    def around(self, number: int) -> tuple[list[int], int]:
        """A candidate with its nearest ancestors and descendants, and how many more there are."""
        above = _spread([number], self.parents)
        below = _spread([number], self.children)
        room = max(NODES // 2, NODES - len(below))
        kept = above[:room]
        kept += below[1 : 1 + NODES - len(kept)]
        return kept, len(above) + len(below) - 1 - len(kept)

    def leaders(self) -> tuple[list[int], int]:
        """Everybody, or the best with their ancestors; and how many are left out."""
        numbers = list(self._data.by_number)
        if len(numbers) <= NODES:
            return numbers, 0
        kept = _spread([e.number for e in self._data.ranked[:LEADERS]], self.parents)[:NODES]
        return kept, len(numbers) - len(kept)


def _spread(start: Sequence[int], edges: Mapping[int, Iterable[int]]) -> list[int]:
    """All that is reached, the nearest first."""
    seen = dict.fromkeys(start)
    queue = deque(seen)
    while queue:
        for each in edges.get(queue.popleft(), ()):
            if each not in seen:
                seen[each] = None
                queue.append(each)
    return list(seen)


def family_tree(data: ReportData) -> Graph | None:
    """The lineage of a run: everybody, or the leaders with their ancestors. None where nobody
    descends from anybody."""
    family = Family(data)
    numbers, left_out = family.leaders()
    graph = draw(data, family, numbers, data.winner, left_out)
    return graph if graph.edges else None


def draw(
    data: ReportData, family: Family, numbers: Sequence[int], focus: int | None, left_out: int
) -> Graph:
    """Columns by generation among those drawn; in a column near one's parents."""
    shown = set(numbers)
    parents = {n: [p for p in family.parents[n] if p in shown] for n in sorted(shown)}
    column: dict[int, int] = {}
    for number, above in parents.items():  # a parent's number is lower
        column[number] = 1 + max((column[p] for p in above), default=-1)
    rows = _rows(parents, column)
    line = set(_spread([focus], parents)) if focus is not None else set()
    nodes = [
        _node(data, number, _EDGE + column[number] * _COLUMN, _EDGE + rows[number] * _ROW, focus)
        for number in parents
    ]
    at = {node.number: node for node in nodes}
    edges = [
        (_edge(at[parent], at[number]), "line-edge" if {parent, number} <= line else "edge")
        for number, above in parents.items()
        for parent in above
    ]
    return Graph(
        nodes=nodes,
        edges=sorted(edges, key=lambda edge: edge[1]),
        width=2 * _EDGE + _WIDTH + _COLUMN * max(column.values(), default=0),
        height=2 * _EDGE + _HEIGHT + _ROW * max(rows.values(), default=0),
        left_out=left_out,
    )


def _rows(parents: Mapping[int, Sequence[int]], column: Mapping[int, int]) -> dict[int, int]:
    """By number: its row; a column is filled in the order of the mean rows of parents."""
    members: dict[int, list[int]] = defaultdict(list)
    for number, place in column.items():
        members[place].append(number)
    rows: dict[int, int] = {}
    for place in sorted(members):
        wanted = {
            n: sum(rows[p] for p in parents[n]) / len(parents[n]) if parents[n] else 0.0
            for n in members[place]
        }
        free = 0
        for number in sorted(members[place], key=lambda n: (wanted[n], n)):
            rows[number] = max(free, round(wanted[number]))
            free = rows[number] + 1
    return rows


def _node(data: ReportData, number: int, x: float, y: float, focus: int | None) -> Node:
    entry = data.by_number[number]
    score = entry.score(data.metric)
    marks = (
        (number == focus, "focus"),
        (number == data.winner, "winning"),
        (number in data.baselines, "base"),
        (score is None, "lost"),
    )
    name = one_line(entry.candidate.name or entry.candidate.family, 60)
    shown = "no score" if score is None else f"{score:.4f}"
    return Node(
        number=number,
        x=x,
        y=y,
        kind=" ".join(mark for holds, mark in marks if holds) or "plain-node",
        title=f"#{number} {name}, {shown}",
        name=one_line(name, 19),
        score=shown,
    )


def _edge(parent: Node, child: Node) -> str:
    return curve(parent.x + _WIDTH, parent.y + _HEIGHT / 2, child.x, child.y + _HEIGHT / 2)


def curve(x: float, y: float, end_x: float, end_y: float) -> str:
    """SVG path data from one place to one right of it, level at both ends."""
    middle = (x + end_x) / 2
    return f"M{x} {y}C{middle} {y} {middle} {end_y} {end_x} {end_y}"
