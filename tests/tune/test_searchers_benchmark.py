"""The benchmark's tables are whole, its lookup lands on them, its statistics are right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import searcher_tables, searchers
from benchmarks.searcher_tables import Table
from evolver.core import Observation, Parameter
from evolver.tune.registry import tuner
from evolver.tune.sampling import random_point, seeded

TABLES = searcher_tables.read_tables()
PATHS = sorted(searcher_tables.FOLDER.glob("*.json"))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_holds_whatever_a_searcher_may_ask(table: Table) -> None:
    assert 100 <= len(table.points) <= 400
    assert len(table.scores) == len(table.points)
    assert all(0 <= score < 1 for score in table.scores)
    assert len(set(table.scores)) > len(table.scores) / 3
    for row, point in enumerate(table.points):
        assert table.row(point) == row
    for seed in range(50):
        point = random_point(table.parameters, seeded(seed))
        assert table.observe(point).score in table.scores


def test_tables_come_in_pairs_of_data_sets_and_are_small() -> None:
    spaces = {table.space for table in TABLES}
    assert {table.name for table in TABLES} == {
        f"{space}-{data}" for space in spaces for data in ("ml-100k", "sample")
    }
    assert spaces <= set(searcher_tables.GRIDS)
    assert all(path.stat().st_size < 50_000 for path in PATHS)


@pytest.mark.parametrize("setting", searchers.SETTINGS)
def test_all_searchers_of_a_repeat_start_alike(setting: str) -> None:
    for table in TABLES:
        first = searchers.start(table, setting, 3)
        assert first == searchers.start(table, setting, 3)
        assert len(first) == {"blind": searchers.GIVEN, "told": 1, "moved": 0}[setting]
    assert all(p.default is None for p in searchers.blind(TABLES[0].parameters))


def test_experience_is_of_other_data_only() -> None:
    for table in TABLES:
        warm = searchers.searcher("rl+", table, TABLES, 0)
        (told,) = warm.experience  # type: ignore[attr-defined]
        (other,) = [t for t in TABLES if t.space == table.space and t.data != table.data]
        assert {o.score for o in told.observed} <= set(other.scores)
        assert told.regime != warm.regime  # type: ignore[attr-defined]


def test_a_search_is_a_curve_that_never_falls() -> None:
    job = searchers.Job(setting="told", table=TABLES[0].name, searcher="random", repeat=0)
    done = searchers.search(job)
    assert len(done.best) == searchers.TRIALS
    assert list(done.best) == sorted(done.best)
    assert done.best == replace(searchers.search(job), seconds=0.0).best


def test_signs_are_flipped_exactly_where_pairs_are_few() -> None:
    assert searchers.chance_of(np.array([1.0, 1.0, 1.0])) == 1 / 8
    assert searchers.chance_of(np.array([1.0, 1.0, -1.0])) == 4 / 8
    assert searchers.chance_of(np.array([-1.0, -1.0])) == 1.0
    many = np.random.default_rng(0).normal(0.0, 1.0, 60)
    assert searchers.chance_of(many - many.mean()) == pytest.approx(0.5, abs=0.02)
    assert searchers.chance_of(many + 1.0) < 0.001


def toy() -> Table:
    """One number that matters, one choice that does too, one that does not."""
    parameters = (
        Parameter(name="kind", kind="choice", choices=("a", "b", "c", "d")),
        Parameter(name="idle", kind="choice", choices=("u", "v", "w")),
        Parameter(name="rate", kind="float", low=0.001, high=1.0, log=True),
        Parameter(name="deep", kind="choice", choices=(1, 2, 3), when=("kind", ("c", "d"))),
    )
    levels = {"rate": (0.001, 0.01, 0.1, 1.0)}
    points = searcher_tables.points_of(parameters, levels)
    good = {"a": 0.0, "b": 0.1, "c": 0.2, "d": 0.15}
    scores = [
        0.2
        + good[str(p["kind"])]
        + 0.05 * float(p.get("deep", 0))
        - 0.05 * abs(levels["rate"].index(float(p["rate"])) - 2)
        for p in points
    ]
    return Table(
        space="toy",
        data="made",
        revision="",
        profile={},
        fixed={},
        levels=levels,
        parameters=parameters,
        scores=tuple(scores),
    )


def test_the_controller_beats_random_search_on_a_table() -> None:
    table, gains = toy(), []
    for repeat in range(8):
        area = {}
        for name in ("rl", "random"):
            observed: list[Observation] = searchers.start(table, "blind", repeat)
            for number in range(len(observed), 20):
                point = tuner(name).suggest(table.parameters, observed, repeat * 1000 + number)
                observed.append(table.observe(point))
            best = np.maximum.accumulate([o.score for o in observed if o.score is not None])
            area[name] = float(best.mean())
        gains.append(area["rl"] - area["random"])
    assert searchers.chance_of(np.array(gains)) < 0.05


def test_the_report_names_the_best_first_and_says_how_sure_it_is() -> None:
    table = toy()
    low = np.sort(np.random.default_rng(0).uniform(0.2, 0.3, (8, searchers.TRIALS)), axis=1)
    found = [
        searchers.Done(
            job=searchers.Job(setting="blind", table=table.name, searcher=name, repeat=repeat),
            best=tuple((low[repeat] + more).tolist()),
            seconds=0.1,
        )
        for name, more in (("random", 0.0), ("clever", 0.1))
        for repeat in range(8)
    ]
    text = searchers.overview(
        searchers.curves(found, "blind", [table]), {"random": 0.1, "clever": 0.1}
    )
    rows = [row.strip("| ").split(" | ") for row in text.splitlines()[2:]]
    assert [row[0] for row in rows] == ["clever", "random"]
    assert float(rows[0][-2]) == pytest.approx(1 / 256, rel=0.05)
    assert "| clever | 8 |" in searchers.anytime(table, found)
