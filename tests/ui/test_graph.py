"""Lineage is drawn so that it can be followed; charts leave out only what lies under other dots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.core import Candidate, Entry, Scored
from evolver.report.charts import Dot, progress_chart, thinned
from evolver.report.data import ReportData
from evolver.report.graph import NODES, Family, Graph, draw
from evolver.ui.charts import histogram


def entry(number: int, parents: tuple[str, ...] = (), source: str | None = None) -> Entry:
    scored = Scored(
        metrics={"ndcg@10": 0.2 + number % 7 / 100},
        per_user={},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=1.0,
        latency_ms_p99=2.0,
        parameters=1,
        peak_bytes=1,
    )
    made = Candidate(source=f"# {number}" if source is None else source, parents=parents)
    return Entry(number=number, candidate=made, evaluation=scored)


def data_of(entries: list[Entry], winner: int | None = None) -> ReportData:
    return ReportData(
        run="r",
        metric="ndcg@10",
        created="now",
        evolver_version="0",
        entries=entries,
        winner=winner,
    )


def family_of(parents: list[list[int]]) -> ReportData:
    """A run in which candidate n has these parents by number; others than earlier ones are odd."""
    ids = [Candidate(source=f"# {n}").id for n in range(len(parents))]
    rows = [tuple(ids[p % len(ids)] for p in each) for each in parents]
    names = [Candidate(source=f"# {n}", parents=each) for n, each in enumerate(rows)]
    return data_of([entry(n, each.parents) for n, each in enumerate(names)], winner=0)


def drawn(data: ReportData, of: int | None = None) -> Graph:
    family = Family(data)
    numbers, left_out = family.leaders() if of is None else family.around(of)
    return draw(data, family, numbers, data.winner if of is None else of, left_out)


def test_a_child_of_two_stands_right_of_both() -> None:
    graph = drawn(family_of([[], [], [0], [2, 1]]), of=3)
    at = {node.number: (node.x, node.y) for node in graph.nodes}
    assert at == {0: (10, 10), 1: (10, 64), 2: (230, 10), 3: (450, 10)}
    assert [kind for _, kind in graph.edges] == ["line-edge"] * 3
    assert graph.edges[0][0] == "M180.0 30.0C205.0 30.0 205.0 30.0 230.0 30.0"
    assert (graph.width, graph.height, graph.left_out) == (630, 114, 0)
    assert next(n.kind for n in graph.nodes if n.number == 3) == "focus"


def test_somebody_else_s_relatives_are_not_drawn() -> None:
    assert sorted(n.number for n in drawn(family_of([[], [], [0], [1]]), of=2).nodes) == [0, 2]


def test_a_repeated_program_hangs_on_its_first_trial() -> None:
    first = entry(0, source="same")
    again = entry(1, source="same", parents=(first.candidate.id,))
    child = entry(2, parents=(first.candidate.id,))
    family = Family(data_of([first, again, child]))
    assert family.parents == {0: [], 1: [0], 2: [0]}


@given(
    st.lists(st.lists(st.integers(0, 400), max_size=3), min_size=1, max_size=300),
    st.integers(0, 299),
)
def test_whatever_the_family_the_drawing_is_sound(parents: list[list[int]], of: int) -> None:
    data = family_of(parents)
    family = Family(data)
    for focus in (None, of % len(parents)):
        graph = drawn(data, focus)
        places = {(node.x, node.y) for node in graph.nodes}
        assert len(places) == len(graph.nodes) <= NODES
        assert focus is None or focus in {node.number for node in graph.nodes}
        column = {node.number: node.x for node in graph.nodes}
        for number, x in column.items():
            assert all(column.get(parent, -1) < x for parent in family.parents[number])


def test_a_long_line_keeps_what_is_near() -> None:
    graph = drawn(family_of([[], *([n] for n in range(400))]), of=200)
    numbers = sorted(node.number for node in graph.nodes)
    assert len(numbers) == NODES
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] < 200 < numbers[-1]
    assert graph.left_out == 401 - NODES


def test_thinning_keeps_the_winner_and_the_outline() -> None:
    data = data_of([entry(n) for n in range(3000)], winner=2997)
    whole, few = progress_chart(data), progress_chart(data, 500)
    assert whole is not None
    assert few is not None
    assert len(few.dots) <= 500 < len(whole.dots) == 3000
    assert [dot.number for dot in few.dots if dot.kind == "winner"] == [2997]
    assert set(few.dots) <= set(whole.dots)
    assert {dot.y for dot in few.dots} == {dot.y for dot in whole.dots}
    assert f"{3000 - len(few.dots):,} dots" in few.note
    assert "left out" not in whole.note


def test_thinning_takes_the_first_of_a_kind_in_a_cell() -> None:
    dots = [Dot(10, 10, "scored", "", 0), Dot(10.1, 10, "scored", "", 1), Dot(10, 10, "winner", "")]
    assert thinned(dots, 2) == [dots[0], dots[2]]
    assert thinned(dots, 3) == thinned(dots, None) == dots


def test_a_histogram_counts_who_gains_and_who_loses() -> None:
    chart = histogram(np.array([0.0, 0.0, 1.0, 1.0, 0.5, -1.0]), "title")
    assert chart is not None
    bars = [stroke.kind for stroke in chart.strokes if stroke.kind.endswith("bar")]
    assert (bars.count("better-bar"), bars.count("worse-bar")) == (2, 1)
    assert chart.note.endswith("2 for whom nothing changes are left out.")
    highest = max(float(tick.label) for tick in chart.y_ticks)
    assert highest == 2


@pytest.mark.parametrize("count", [0, 5])
def test_a_histogram_of_nothing_is_none(count: int) -> None:
    assert histogram(np.zeros(count), "title") is None
