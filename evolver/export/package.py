"""Writes a candidate as an installable package that needs numpy, often torch, and never evolver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.core import Candidate, Value
from evolver.data.dataset import Dataset
from evolver.data.split import Fold
from evolver.export.card import CardFacts
from evolver.export.contents import Contents, assemble, code_of, engine, shared, write_json
from evolver.export.graph import Graph


@dataclass(frozen=True, kw_only=True, eq=False)
class Parity:
    """What the sandbox recommended at export: rows of the fold's queries, and their lists.

    rows: (n,) int64, ascending. lists: (n, k) int32. Give the first rows that were asked for,
    256 or more where there are so many, so that they are scored in the same blocks again.
    """

    rows: NDArray[np.int64]
    lists: NDArray[np.int32]


def write_package(
    destination: Path,
    name: str,
    *,
    candidate: Candidate,
    values: Mapping[str, Value],
    weights: bytes,
    dataset: Dataset,
    fold: Fold,
    card: CardFacts,
    parity: Parity,
    tie_seed: int,
    serves_unseen: bool,
    graph: Graph | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the package into `destination` and return that folder, resolved.

    `values` are all tunables of the candidate, defaults included. `weights` are what the sandbox
    returned for the fold that `parity` was computed on, with `tie_seed` breaking ties. `graph`, if
    there is one, becomes scorer.onnx, for programs in any language. All is
    written beside the destination first and renamed at the end, so no half package is ever there.
    Raises UsageError for a name or destination that cannot be used.
    """
    check_values(dataset, fold, parity)
    return assemble(
        destination,
        Contents(
            name=name,
            candidate=candidate,
            values=values,
            weights={"weights.safetensors": weights},
            programs={"_candidate": candidate.source},
            code={
                **code_of("runtime"),
                "_engine.py": engine("single"),
                "_ranking.py": shared("ranking"),
            },
            card=card,
            facts={"repeats": fold.repeats, "tie_seed": tie_seed},
            context={"task": "retrieval", **shown(dataset, fold, parity, serves_unseen)},
            graph=graph,
        ),
        lambda folder: write_people(folder, dataset, fold, parity),
        overwrite=overwrite,
    )


def check_values(dataset: Dataset, fold: Fold, parity: Parity) -> None:
    """These are faults of the caller; say so before a package that cannot work is written."""
    if fold.train.n_users != dataset.n_users or fold.train.n_items != dataset.n_items:
        raise ValueError("the fold was not made from this dataset")
    if parity.lists.ndim != 2 or len(parity.rows) != len(parity.lists) or not len(parity.rows):
        raise ValueError("parity needs at least one list, and one row number for each")
    if parity.rows.min() < 0 or parity.rows.max() >= len(fold.queries):
        raise ValueError("parity rows must be rows of the fold's queries")


def shown(dataset: Dataset, fold: Fold, parity: Parity, serves_unseen: bool) -> dict[str, Any]:
    """What the texts of a recommender show."""
    return {
        "users": dataset.n_users,
        "items": dataset.n_items,
        "repeats": fold.repeats,
        "serves_unseen": serves_unseen,
        "parity_users": len(parity.rows),
        "parity_k": parity.lists.shape[1],
    }


def write_people(folder: Path, dataset: Dataset, fold: Fold, parity: Parity) -> None:
    """Write who there is, what they had, what is popular, and what was recommended to whom."""
    write_json(folder / "user_ids.json", dataset.user_ids.tolist())
    write_json(folder / "item_ids.json", dataset.item_ids.tolist())
    for name, array in histories(fold).items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    np.save(folder / "popularity.npy", fold.train.popularity(), allow_pickle=False)
    users = fold.queries.ids[parity.rows].astype(np.int64)
    np.save(folder / "parity_users.npy", users, allow_pickle=False)
    np.save(folder / "parity_lists.npy", parity.lists.astype(np.int32), allow_pickle=False)


def histories(fold: Fold) -> dict[str, NDArray[Any]]:
    """What is known of every user at recommending time, as CSR over user numbers.

    A user who is among the queries has the query's history, any other the training rows.
    """
    train, queries = fold.train, fold.queries
    indptr = train.indptr()
    start = indptr[:-1].copy()
    size = np.diff(indptr)
    known = size > 0
    start[queries.ids] = len(train) + queries.indptr[:-1]
    size[queries.ids] = np.diff(queries.indptr)
    known[queries.ids] = queries.known
    out_indptr = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    rows = np.arange(out_indptr[-1]) + np.repeat(start - out_indptr[:-1], size)
    result = {
        "history_indptr": out_indptr,
        "history_items": np.concatenate([train.items, queries.items])[rows].astype(np.int32),
        "known": known,
    }
    if train.times is not None and queries.times is not None:
        result["history_times"] = np.concatenate([train.times, queries.times])[rows]
    return result
