"""Faults planted in data files: `evolver evolve` stops before anything is trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from evolver.cli.main import app
from evolver.config import DataConfig, SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.sample import sample
from evolver.data.split import make_fold, make_split
from evolver.errors import ConfigError, LeakAlarm
from evolver.evaluate.canaries import data_canaries

ROOT = Path(__file__).parents[2]


def evolve(data: Path, out: Path, *words: str) -> Result:
    words = ("evolve", str(data), "--out", str(out), "--candidates", "1", *words)
    return CliRunner().invoke(app, words)


def stamps(data: Dataset) -> np.ndarray:  # type: ignore[type-arg]
    assert data.times is not None
    return data.times


def table(folder: Path, times: np.ndarray) -> Path:  # type: ignore[type-arg]
    data = sample()
    rows = zip(data.users.tolist(), data.items.tolist(), times.tolist(), strict=True)
    path = folder / "shop.csv"
    path.write_text("user,item,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    return path


def atomic(folder: Path, side: str, head: str, values: list[str]) -> Path:
    """RecBole files of the sample with one column for each user or item."""
    data = sample()
    place = folder / "shop"
    place.mkdir()
    rows = zip(data.users.tolist(), data.items.tolist(), stamps(data).tolist(), strict=True)
    (place / "shop.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n"
        + "".join(f"u{u}\ti{i}\t{t}\n" for u, i, t in rows)
    )
    (place / f"shop.{side}").write_text(
        f"{side}_id:token\t{head}\n"
        + "".join(f"{side[0]}{n}\t{value}\n" for n, value in enumerate(values))
    )
    return place


def shuffled_times(folder: Path) -> Path:
    return table(folder, np.random.default_rng(0).permutation(stamps(sample())))


def views_over_all_time(folder: Path) -> Path:
    """How often an item is taken, the future included."""
    counts = np.bincount(sample().items, minlength=sample().n_items)
    return atomic(folder, "item", "views:float", [f"{n}" for n in counts])


def next_item_as_segment(folder: Path) -> Path:
    """A user's "segment" is what they take next."""
    data = sample()
    held = np.flatnonzero(make_split(data, SplitConfig(kind="order"), 0).assignment == 1)
    segment = dict(zip(data.users[held].tolist(), data.items[held].tolist(), strict=True))
    return atomic(
        folder, "user", "segment:token", [f"s{segment.get(u, 0)}" for u in range(data.n_users)]
    )


def published(folder: Path, train: np.ndarray, test: np.ndarray) -> Path:  # type: ignore[type-arg]
    """The sample as published parts with these rows."""
    data, place = sample(), folder / "shop"
    place.mkdir()
    for name, rows in (("train", train), ("test", test)):
        columns = (data.users[rows], data.items[rows], stamps(data)[rows])
        lines = (f"{u},{i},{t}\n" for u, i, t in zip(*columns, strict=True))
        (place / f"{name}.csv").write_text("user,item,timestamp\n" + "".join(lines))
    return place


def last_rows() -> np.ndarray:  # type: ignore[type-arg]
    """Marks the last row of each user of the sample."""
    return np.diff(sample().users, append=-1) != 0


def published_twice(folder: Path) -> Path:
    """What was held out lies in the training file, too."""
    return published(folder, np.arange(len(sample())), np.flatnonzero(last_rows()))


@pytest.mark.parametrize(
    ("plant", "split", "canary"),
    [
        (published_twice, "published", "rows in two parts"),
        (shuffled_times, "time", "shuffled time"),
        (views_over_all_time, "time", "label given away by a feature"),
        (next_item_as_segment, "order", "label given away by a feature"),
    ],
)
def test_a_planted_fault_stops_the_run(
    plant: Callable[[Path], Path], split: str, canary: str, tmp_path: Path
) -> None:
    done = evolve(plant(tmp_path), tmp_path / "run", "--split", split)
    fault = done.exception
    assert isinstance(fault, LeakAlarm), done.output
    assert fault.exit_code == 2
    assert canary in str(fault)
    assert "\n" not in str(fault)
    assert f"--accept-alarm {canary.replace(' ', '-')}" in str(fault)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_training_after_the_answers_is_said_and_goes_on(tmp_path: Path) -> None:
    """Each user's second to last row is published as the test: a known flaw of published splits."""
    before_last = np.append(last_rows()[1:], False)
    path = published(tmp_path, np.flatnonzero(~before_last), np.flatnonzero(before_last))
    done = evolve(path, tmp_path / "run", "--split", "published")
    assert done.exit_code == 0, done.output
    told = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--json"])
    said = [found for found in json.loads(told.stdout)["canaries"] if "future" in found["canary"]]
    assert [found["severity"] for found in said] == ["warning"]
    assert "does not keep to time" in said[0]["detail"]


def test_numbers_of_items_cannot_tell_an_order_of_the_file(tmp_path: Path) -> None:
    """Items that are named by how often they will be taken get numbers by a hash of their names, so
    this fault cannot be planted in a file; the canary guards data that is made in other ways."""
    data = sample()
    held = make_split(data, SplitConfig(), 0).assignment > 0
    order = np.argsort(np.argsort(-np.bincount(data.items[held], minlength=data.n_items)))
    rows = zip(data.users.tolist(), order[data.items].tolist(), stamps(data).tolist(), strict=True)
    path = tmp_path / "shop.csv"
    path.write_text("user,item,timestamp\n" + "".join(f"{u},{i},{t}\n" for u, i, t in rows))
    read = load(DataConfig(path=str(path)))
    split = make_split(read, SplitConfig(), 0)
    folds = [make_fold(read, split, part, False) for part in ("search", "promotion", "test")]
    assert data_canaries(read, split, folds) == ()


def test_an_unknown_canary_is_named_with_those_that_exist(tmp_path: Path) -> None:
    path = table(tmp_path, stamps(sample()))
    done = evolve(path, tmp_path / "run", "--accept-alarm", "parrot")
    assert isinstance(done.exception, ConfigError)
    assert "'parrot'" in str(done.exception)
    assert "shuffled-time" in str(done.exception)


@pytest.mark.slow
def test_an_accepted_alarm_is_shown_by_every_report(tmp_path: Path) -> None:
    path = shuffled_times(tmp_path)
    words = ["evolve", str(path), "--out", "run", "--candidates", "2", "--space", "linear"]
    words += ["--accept-alarm", "shuffled-time"]
    done = subprocess.run(
        [sys.executable, "-m", "evolver", *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "EVOLVER_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "accepted alarm, shuffled time: times cluster neither" in done.stderr
    told = CliRunner().invoke(app, ["status", str(tmp_path / "run"), "--json"])
    assert json.loads(told.stdout)["canaries"][0]["canary"] == "shuffled time"
    page = tmp_path / "report.md"
    assert (
        CliRunner().invoke(app, ["report", str(tmp_path / "run"), "-o", str(page)]).exit_code == 0
    )
    assert "accepted alarm, shuffled time" in page.read_text().replace("\\", "")
