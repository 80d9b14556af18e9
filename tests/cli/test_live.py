"""What a terminal shows while a search runs."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from evolver import run as runs
from evolver.cli.live import Watcher
from evolver.config import BudgetConfig, DataConfig, ProposeConfig, RunConfig
from evolver.core import Exchange
from tests.test_evolve import write_data


def shown(run: runs.Run, width: int = 80) -> list[str]:
    """The lines of the panel as it stands when the search ends."""
    out = StringIO()
    with Watcher(run, Console(file=out, force_terminal=True, width=width, color_system=None)):
        pass
    panel = out.getvalue().rpartition("candidates")[2]
    return [line.rstrip() for line in re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", panel).split("\n")]


def make(place: Path, **budget: float) -> runs.Run:
    config = RunConfig(
        data=DataConfig(path=str(write_data(place))),
        budget=BudgetConfig(candidates=20, **budget),  # type: ignore[arg-type]
        propose=ProposeConfig(models=("openai/scripted",)),
    )
    run = runs.create(config, place / "run")
    priced = Exchange(
        request_hash="a",
        number=9,
        model="openai/scripted",
        request="{}",
        reply="hello",
        tokens_in=12_000,
        tokens_out=345,
        usd=1.234,
    )
    run.archive.record(priced)
    return run


@pytest.mark.parametrize(
    ("budget", "money", "tokens"),
    [
        ({}, "$1.23", "12,345"),
        ({"usd": 5.0}, "$1.23 of $5.00, $3.77 left", "12,345"),
        ({"tokens": 20_000}, "$1.23", "12,345 of 20,000, 7,655 left"),
        ({"usd": 1.0, "tokens": 9}, "$1.23 of $1.00, $0.00 left", "12,345 of 9, 0 left"),
    ],
)
def test_the_panel_says_what_is_left_of_dollars_and_tokens(
    tmp_path: Path, budget: dict[str, float], money: str, tokens: str
) -> None:
    lines = shown(make(tmp_path, **budget))
    assert f"     money  {money}" in lines
    assert f"    tokens  {tokens}" in lines


def test_the_panel_fits_eighty_columns(tmp_path: Path) -> None:
    run = make(tmp_path, usd=1000.0, tokens=100_000_000, seconds=86_400)
    lines = shown(run)
    assert all(len(line) <= 80 for line in lines)
    labels = {line.split()[0] for line in lines if line.strip() and line.startswith("  ")}
    assert labels >= {"time", "money", "tokens"}  # nothing wraps into a line of its own
