"""The verdict claims what was measured and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from evolver.report.data import Contest, Figure, ReportData
from evolver.report.verdict import shrinkage, verdict

Make = Callable[..., ReportData]


def contest(part: str, difference: Figure | None, **more: int | bool) -> Contest:
    readings, forced = int(more.get("readings", 1)), bool(more.get("forced", False))
    return Contest(
        part=part,
        users=100,
        winner=Figure(value=0.32),
        baseline=Figure(value=0.30),
        difference=difference,
        readings=readings,
        forced=forced,
    )


UP = Figure(value=0.02, low=0.01, high=0.03)
FLAT = Figure(value=0.02, low=-0.01, high=0.05)
DOWN = Figure(value=-0.02, low=-0.03, high=-0.01)


@pytest.mark.parametrize(
    ("difference", "tone", "says"),
    [
        (UP, "better", "beats the best tuned baseline"),
        (FLAT, "unsure", "is not shown to be better"),
        (DOWN, "worse", "is worse than"),
        (Figure(value=0.02), "unsure", "is not shown to be better"),
        (None, "unsure", "no baseline was measured there"),
    ],
)
def test_the_interval_decides(
    make_run: Make, difference: Figure | None, tone: str, says: str
) -> None:
    judged = verdict(replace(make_run(20), contests=(contest("promotion", difference),)))
    assert judged.tone == tone
    assert says in judged.headline


def test_the_strictest_part_decides(make_run: Make) -> None:
    parts = (contest("search", UP), contest("test", DOWN), contest("promotion", UP))
    judged = verdict(replace(make_run(20), contests=parts))
    assert judged.tone == "worse"
    assert "sealed test part" in judged.headline
    assert [part for part, _ in shrinkage(replace(make_run(20), contests=parts))] == [
        "search",
        "promotion",
        "test",
    ]


def test_search_alone_is_said_to_flatter(make_run: Make) -> None:
    judged = verdict(replace(make_run(20), contests=(contest("search", UP),)))
    assert "expect less on new ones" in " ".join(judged.detail)


def test_a_second_reading_of_the_sealed_part_is_said(make_run: Make) -> None:
    judged = verdict(replace(make_run(20), contests=(contest("test", UP, readings=2),)))
    assert "read 2 times" in " ".join(judged.detail)


def test_a_difference_inside_the_noise_is_said(make_run: Make) -> None:
    judged = verdict(replace(make_run(20), contests=(contest("test", UP),), noise=0.05))
    assert "more than this difference" in " ".join(judged.detail)


def test_a_baseline_that_wins_is_called_that(make_run: Make) -> None:
    data = make_run(20)
    judged = verdict(replace(data, winner=data.baseline, challenger=20))
    assert "Nothing beat the tuned baseline" in judged.headline
    assert "Recency-weighted graph filter (#20), stays" in judged.detail[0]


def test_only_failures(make_run: Make) -> None:
    data = make_run(20)
    judged = verdict(replace(data, entries=data.failed, winner=None, baseline=None))
    assert judged.headline == "No candidate could be scored."
