"""The benchmark's tables are whole, and its lookup lands on the table."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import searchers
from evolver.tune.sampling import random_point, seeded
from evolver.tune.space import load_space

TABLES = sorted((searchers.HERE / "tables").glob("*.json"))


def test_every_grid_point_is_valid_and_its_own_nearest() -> None:
    space = load_space("linear")
    for point in searchers.grid():
        space.validate(space.complete(point))
        assert searchers.nearest(point) == searchers.key(point)


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_a_table_holds_whatever_a_searcher_may_ask(path) -> None:  # type: ignore[no-untyped-def]
    table = json.loads(path.read_text())
    assert set(table) == {searchers.key(point) for point in searchers.grid()}
    assert all(0 < score < 1 for score in table.values())
    for seed in range(50):
        assert searchers.nearest(random_point(searchers.grid_space(), seeded(seed))) in table
    best = searchers.curve(("random", table, 12, 0))
    assert len(best) == 12
    assert best == sorted(best)


def test_the_report_names_the_best_first_and_says_how_sure_it_is() -> None:
    rng = np.random.default_rng(0)
    low = np.sort(rng.uniform(0.1, 0.2, (8, 10)), axis=1)
    text = searchers.report("toy", {"a": 0.1, "b": 0.3}, {"random": low, "clever": low + 0.1})
    rows = [line for line in text.splitlines() if line.startswith("| ") and "after" not in line]
    assert [row.split(" | ")[0] for row in rows[1:]] == ["| clever", "| random"]
    assert float(rows[1].rstrip("| ").split("| ")[-1]) < 0.01
