"""What a sandbox may read of a fold, as plain files. Never a label."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evolver.data.split import Fold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def write_view(fold: Fold, folder: Path) -> None:
    """Write the training rows and the queries of `fold` as .npy files and view.json."""
    written(folder, _arrays(fold), _facts(fold))


def written(
    folder: Path, arrays: Mapping[str, NDArray[np.generic]], facts: Mapping[str, object]
) -> None:
    """Write a view of these arrays and facts.

    The folder appears whole or not at all, so a run that was killed here leaves nothing to trip
    over; what was at `folder` before is replaced. Sandboxes map the arrays, they share pages.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        draft.chmod(0o755)  # the sandbox may read as another user
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        (draft / "view.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def feature_widths(features: Mapping[str, csr_matrix]) -> list[dict[str, object]]:
    """Names and widths of features, as view.json tells them."""
    return [{"name": name, "width": int(m.shape[1])} for name, m in features.items()]


def feature_arrays(side: str, features: Mapping[str, csr_matrix]) -> dict[str, NDArray[np.generic]]:
    """Features as arrays by name, `side` first."""
    return {
        f"{side}_{number}.{part}": np.asarray(getattr(matrix, part))
        for number, matrix in enumerate(features.values())
        for part in ("indptr", "indices", "data")
    }


def _facts(fold: Fold) -> dict[str, object]:
    return {
        "task": "retrieval",
        "n_users": fold.train.n_users,
        "n_items": fold.train.n_items,
        "repeats": fold.repeats,
        "user_features": feature_widths(fold.train.user_features),
        "item_features": feature_widths(fold.train.item_features),
    }


def _arrays(fold: Fold) -> dict[str, NDArray[np.generic]]:
    """Named one by one: a field that is added to a fold does not reach a sandbox by itself."""
    train, queries = fold.train, fold.queries
    arrays: dict[str, NDArray[np.generic]] = {
        "users": train.users.astype(np.int32, copy=False),
        "items": train.items.astype(np.int32, copy=False),
        "query_ids": queries.ids.astype(np.int64, copy=False),
        "query_known": queries.known.astype(np.bool_, copy=False),
        "query_indptr": queries.indptr.astype(np.int64, copy=False),
        "query_items": queries.items.astype(np.int32, copy=False),
    }
    if train.times is not None:
        arrays["times"] = train.times.astype(np.int64, copy=False)
    if train.values is not None:
        arrays["values"] = train.values.astype(np.float32, copy=False)
    if queries.times is not None:
        arrays["query_times"] = queries.times.astype(np.int64, copy=False)
    return (
        arrays
        | feature_arrays("user_feature", train.user_features)
        | feature_arrays("item_feature", train.item_features)
    )
