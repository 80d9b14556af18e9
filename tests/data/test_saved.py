"""Prepared datasets: the same after saving, mapped, whole or absent, and used as a cache."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evolver.config import DataConfig
from evolver.data import saved
from evolver.data.dataset import Dataset
from evolver.data.formats import load
from evolver.data.sample import sample
from evolver.data.saved import open_saved, save
from evolver.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def shop() -> Dataset:
    return sample(users=50, items=60, rows=900)


def test_a_saved_dataset_opens_equal_and_mapped(tmp_path: Path, shop: Dataset):
    save(shop, tmp_path / "deep" / "shop")
    again = open_saved(tmp_path / "deep" / "shop")
    assert again.fingerprint == shop.fingerprint
    assert (again.name, again.notes, again.ordered) == (shop.name, shop.notes, shop.ordered)
    assert isinstance(again.users, np.memmap)
    assert not again.users.flags.writeable
    assert (again.item_features["category"] != shop.item_features["category"]).nnz == 0
    assert load(DataConfig(path=str(tmp_path / "deep" / "shop"))).fingerprint == shop.fingerprint
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["shop"]


def test_a_prepared_dataset_is_not_read_differently(tmp_path: Path, shop: Dataset):
    save(shop, tmp_path / "shop")
    with pytest.raises(ConfigError, match="is a prepared dataset"):
        load(DataConfig(path=str(tmp_path / "shop"), min_value=3))


def test_saving_twice_to_one_place_leaves_the_first(tmp_path: Path, shop: Dataset):
    save(shop, tmp_path / "shop")
    with pytest.raises(OSError, match="not empty"):
        save(sample(users=50, items=60, rows=900, seed=2), tmp_path / "shop")
    assert open_saved(tmp_path / "shop").fingerprint == shop.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def test_a_damaged_folder_is_named(tmp_path: Path, shop: Dataset):
    save(shop, tmp_path / "shop")
    (tmp_path / "shop" / "items.npy").write_bytes(b"short")
    with pytest.raises(DataError, match="damaged prepared dataset"):
        open_saved(tmp_path / "shop")


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file that is treated as a large one, with a cache of its own."""
    monkeypatch.setattr(saved, "WORTH_CACHING_BYTES", 1)
    monkeypatch.setenv("EVOLVER_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "in" / "a.csv"
    path.parent.mkdir()
    path.write_text("user,item,time\n" + "".join(f"{n % 9},{n % 7},{n}\n" for n in range(99)))
    return path


def entries(path: Path) -> list[Path]:
    return list((path.parents[1] / "cache" / "datasets").iterdir())


def test_the_second_reading_comes_from_the_cache(large: Path):
    first = load(DataConfig(path=str(large)))
    (entry,) = entries(large)
    before = entry.stat().st_mtime_ns
    second = load(DataConfig(path=str(large)))
    assert first.fingerprint == second.fingerprint
    assert isinstance(second.items, np.memmap)
    assert entry.stat().st_mtime_ns == before


def test_another_file_or_another_reading_is_another_entry(large: Path):
    load(DataConfig(path=str(large)))
    load(DataConfig(path=str(large), time="none", format="sequence"))
    assert len(entries(large)) == 2
    large.write_text(large.read_text() + "8,8,200\n")
    assert len(load(DataConfig(path=str(large)))) == 100
    assert len(entries(large)) == 3


def test_a_damaged_entry_is_made_anew(large: Path):
    first = load(DataConfig(path=str(large)))
    (entry,) = entries(large)
    (entry / "users.npy").unlink()
    assert load(DataConfig(path=str(large))).fingerprint == first.fingerprint


def test_a_cache_that_cannot_be_written_costs_only_time(
    large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EVOLVER_CACHE", str(tmp_path / "file"))
    data = load(DataConfig(path=str(large)))
    assert len(data) == 99
    assert any("not cached" in note for note in data.notes)
