"""Prepared datasets as folders of .npy and JSON: written whole or not at all, memory-mapped."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evolver.config import DataConfig, cache_folder
from evolver.data.dataset import Dataset
from evolver.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

READER_VERSION = 2
"""Raise it when the same file would be read differently: old cache entries are then left alone."""
WORTH_CACHING_BYTES = 50 << 20
_META = "dataset.json"
_ARRAYS = ("users", "items", "user_ids", "item_ids", "times", "values", "published")


def save(dataset: Dataset, folder: Path) -> None:
    """Write `dataset` to a new folder, which appears only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
    try:
        arrays = {name: getattr(dataset, name) for name in _ARRAYS}
        for name, array in arrays.items():
            if array is not None:
                np.save(draft / f"{name}.npy", array, allow_pickle=False)
        meta = {
            "reader": READER_VERSION,
            "name": dataset.name,
            "ordered": dataset.ordered,
            "notes": list(dataset.notes),
            "merged_rows": dataset.merged_rows,
            "arrays": [name for name, array in arrays.items() if array is not None],
            "user_features": _save_features(draft, "user", dataset.user_features),
            "item_features": _save_features(draft, "item", dataset.item_features),
        }
        (draft / _META).write_text(json.dumps(meta), encoding="utf-8")
        draft.chmod(0o755)
        draft.rename(folder)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def is_saved(folder: Path) -> bool:
    """Whether `save` wrote this folder."""
    return (folder / _META).is_file()


def open_saved(folder: Path) -> Dataset:
    """The dataset in `folder`, its arrays read-only and memory-mapped. Raises `DataError`."""
    try:
        meta: dict[str, Any] = json.loads((folder / _META).read_text(encoding="utf-8"))
        arrays = {name: _array(folder, name) for name in meta["arrays"]}
        return Dataset(
            name=meta["name"],
            ordered=meta["ordered"],
            notes=tuple(meta["notes"]),
            merged_rows=meta["merged_rows"],
            user_features=_open_features(folder, "user", meta["user_features"]),
            item_features=_open_features(folder, "item", meta["item_features"]),
            **arrays,
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is a damaged prepared dataset ({error}); delete it and read the source again"
        ) from None


def cached(
    inputs: Sequence[tuple[Path, os.stat_result]],
    config: DataConfig,
    build: Callable[[], Dataset],
) -> Dataset:
    """What `build` returns; from the cache where the same files were read the same way before.

    Small inputs are never cached. A cache that cannot be written costs time, not the result.
    """
    if sum(stat.st_size for _, stat in inputs) < WORTH_CACHING_BYTES:
        return build()
    facts = [[str(path.resolve()), stat.st_size, stat.st_mtime_ns] for path, stat in inputs]
    key = json.dumps([READER_VERSION, facts, config.model_dump(mode="json")])
    digest = hashlib.sha256(key.encode()).hexdigest()[:20]
    folder = cache_folder() / "datasets" / f"{inputs[0][0].resolve().parent.name}-{digest}"
    if is_saved(folder):
        try:
            return open_saved(folder)
        except DataError:
            shutil.rmtree(folder, ignore_errors=True)
    dataset = build()
    try:
        save(dataset, folder)
    except OSError as error:
        if not is_saved(folder):  # else another process was faster
            reason = error.strerror or str(error)
            return replace(dataset, notes=(*dataset.notes, f"not cached: {reason}"))
    return open_saved(folder)


def _array(folder: Path, name: str) -> Any:
    return np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def _save_features(
    folder: Path, side: str, features: Mapping[str, csr_matrix]
) -> list[dict[str, Any]]:
    described = []
    for number, (name, matrix) in enumerate(features.items()):
        for part in ("data", "indices", "indptr"):
            np.save(folder / f"{side}_{number}_{part}.npy", getattr(matrix, part))
        described.append({"name": name, "shape": [int(size) for size in matrix.shape]})
    return described


def _open_features(
    folder: Path, side: str, described: Sequence[Mapping[str, Any]]
) -> dict[str, csr_matrix]:
    from scipy.sparse import csr_matrix

    return {
        entry["name"]: csr_matrix(
            tuple(
                _array(folder, f"{side}_{number}_{part}") for part in ("data", "indices", "indptr")
            ),
            shape=tuple(entry["shape"]),
        )
        for number, entry in enumerate(described)
    }
