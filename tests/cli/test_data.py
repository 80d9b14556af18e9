"""`evolver data inspect` as a user sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evolver.cli.main import app
from evolver.cli.options import data_flags
from evolver.config import DataConfig
from evolver.errors import DataError


def inspect(*words: str) -> Result:
    return CliRunner().invoke(app, ["data", "inspect", *words])


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.csv"
    rows = "".join(f"{n % 40},{n * n % 1009},{n % 3 + 1},{10**9 + n * 999}\n" for n in range(2_000))
    path.write_text("who,what,stars,moment\n" + rows)
    return path


def test_the_sample_needs_no_arguments():
    result = inspect()
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("sample (read in ")
    assert lines[-1] == "Next: evolver evolve"
    assert max(map(len, lines)) <= 100
    for word in ("rows a user", "long tail", "drift", "search", "promotion", "category (16)"):
        assert word in result.stdout


def test_flags_map_columns_and_come_back_in_the_next_step(shop: Path):
    words = [str(shop), "--user", "who", "--item", "what", "--time", "moment", "--min-value", "2"]
    result = inspect(*words)
    assert result.exit_code == 0
    assert "1,333 rows, 40 users" in result.stdout
    assert "667 rows with a value under 2 left out" in result.stdout
    assert result.stdout.splitlines()[-1] == f"Next: evolver evolve {' '.join(words)}"


def test_json_is_json_and_nothing_else(shop: Path):
    result = inspect(str(shop), "--user", "who", "--item", "what", "--json")
    assert isinstance(result.exception, DataError)  # 'moment' is no time to us: no split
    report = json.loads(result.stdout)
    assert report["rows"] > 0
    assert "--split random" in report["error"]
    words = ["--user", "who", "--item", "what", "--split", "random", "--json"]
    report = json.loads(inspect(str(shop), *words).stdout)
    assert report["split"]["kind"] == "random"
    assert report["error"] is None
    assert report["parts"]["test"]["queries"] > 0


def test_what_can_be_seen_is_shown_before_a_split_fails(shop: Path):
    result = inspect(str(shop), "--user", "who", "--item", "what")
    assert "rows a user" in result.stdout
    assert "Next:" not in result.stdout
    assert isinstance(result.exception, DataError)


def test_faults_are_one_line_on_stderr_and_exit_code_2(tmp_path: Path):
    (tmp_path / "empty.csv").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "evolver", "data", "inspect", str(tmp_path / "empty.csv")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "evolver: empty.csv is empty; give a file with a user and an item in each row\n"
    )


def test_an_unknown_split_is_bad_usage():
    result = inspect("--split", "sideways")
    assert result.exit_code == 2
    assert "sideways" in result.output


def test_flags_of_a_configuration():
    assert data_flags(DataConfig()) == []
    config = DataConfig(path="x", format="csv", user="u", min_value=3.5)
    assert data_flags(config, "order") == [
        *("x", "--format", "csv", "--user", "u", "--min-value", "3.5", "--split", "order")
    ]
