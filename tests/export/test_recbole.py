"""Atomic files hold the same interactions and the same split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evolver.config import DataConfig, SplitConfig
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.sample import sample
from evolver.data.split import make_split
from evolver.errors import DataError, UsageError
from evolver.export.recbole import write_recbole


@pytest.fixture(scope="module")
def data() -> Dataset:
    return sample(users=60, items=40, rows=900)


def rows(dataset: Dataset) -> list[tuple[str, str, int]]:
    times = dataset.times if dataset.times is not None else np.zeros(len(dataset))
    users, items = dataset.user_ids[dataset.users], dataset.item_ids[dataset.items]
    return sorted(zip(users.tolist(), items.tolist(), times.tolist(), strict=True))


def test_what_is_written_is_read_again(tmp_path: Path, data: Dataset) -> None:
    files = write_recbole(tmp_path, "shop", data)
    assert [file.name for file in files] == ["shop.inter", "shop.item"]
    again = load(DataConfig(path=str(tmp_path)))
    assert rows(again) == rows(data)
    header = files[0].read_text().splitlines()[0]
    assert header.split("\t")[:2] == ["user_id:token", "item_id:token"]
    assert set(again.item_features) == set(data.item_features)


def test_a_split_becomes_three_parts(tmp_path: Path, data: Dataset) -> None:
    split = make_split(data, SplitConfig(), seed=0)
    write_recbole(tmp_path, "shop", data, split)
    again = load(DataConfig(path=str(tmp_path)))
    assert again.published is not None
    assert rows(again) == rows(data)
    expected = np.array([0, 1, 1, 2])[split.assignment]
    assert np.bincount(again.published).tolist() == np.bincount(expected).tolist()


def test_ids_that_cannot_be_carried_are_refused(tmp_path: Path, data: Dataset) -> None:
    ids = data.user_ids.astype("U40")
    ids[3] = "a\tb"
    with pytest.raises(DataError, match="tab"):
        write_recbole(tmp_path, "shop", replace(data, user_ids=ids))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["", "../x", ".hidden"])
def test_names_that_leave_the_folder_are_refused(tmp_path: Path, data: Dataset, name: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        write_recbole(tmp_path, name, data)


def test_nothing_is_overwritten(tmp_path: Path, data: Dataset) -> None:
    (tmp_path / "shop.item").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        write_recbole(tmp_path, "shop", data)
    assert (tmp_path / "shop.item").read_text() == "mine"
    assert not (tmp_path / "shop.inter").exists()
