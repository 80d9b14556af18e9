"""Writes a candidate as an installable package that needs numpy, often torch, and never evolver."""

from __future__ import annotations

import importlib.metadata
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from evolver import resources
from evolver.core import Candidate, Value
from evolver.data.dataset import Dataset
from evolver.data.split import Fold
from evolver.errors import UsageError
from evolver.export.card import CardFacts
from evolver.export.graph import Graph
from evolver.export.names import KEYWORD, MARKER, check_destination, check_name
from evolver.export.rewrite import imported_roots, needs_shim, vendored
from evolver.text import code_span, fenced, plain_markdown

FORMAT = 1
CANDIDATE = "candidate.json"
"""The candidate as it was proposed, beside the data: what a refit starts from."""
TEXTS = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "MODEL_CARD.md": "MODEL_CARD.md",
    "Dockerfile": "Dockerfile",
    "tests/test_parity.py": "test_parity.py",
}
"""The template of each text, by its place in the package."""
_HERE = Path(__file__).resolve().parent
_DISTRIBUTIONS = {"numpy": "numpy", "scipy": "scipy", "torch": "torch", "sklearn": "scikit-learn"}


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
    _check_values(dataset, fold, parity)
    return assemble(
        destination,
        Contents(
            name=name,
            candidate=candidate,
            values=values,
            weights=weights,
            card=card,
            runtime="runtime",
            helper="ranking.py",
            facts={"repeats": fold.repeats, "tie_seed": tie_seed},
            texts=TEXTS,
            context={
                "task": "retrieval",
                "users": dataset.n_users,
                "items": dataset.n_items,
                "repeats": fold.repeats,
                "serves_unseen": serves_unseen,
                "parity_users": len(parity.rows),
                "parity_k": parity.lists.shape[1],
            },
            graph=graph,
        ),
        lambda folder: _write_data(folder, dataset, fold, parity),
        overwrite=overwrite,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """What is in every package, whatever its candidate does.

    runtime: the folder of its own code, beside this file; helper: what it shares with the sandbox.
    facts: what that code must know beside who the candidate is. texts: template by place; context:
    what they show beside what all of them do.
    """

    name: str
    candidate: Candidate
    values: Mapping[str, Value]
    weights: bytes
    card: CardFacts
    runtime: str
    helper: str
    facts: Mapping[str, Any]
    texts: Mapping[str, str]
    context: Mapping[str, Any]
    graph: Graph | None = None


def assemble(
    destination: Path,
    contents: Contents,
    write_data: Callable[[Path], None],
    *,
    overwrite: bool,
) -> Path:
    """Write a package into `destination`: code, weights, what `write_data` puts into a folder, and
    texts. Returns the folder, resolved. See `write_package`."""
    destination = destination.expanduser().resolve()
    name, candidate = contents.name, contents.candidate
    check_name(name)
    check_destination(destination, overwrite=overwrite)
    source = vendored(candidate.source)
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.parent / f".{destination.name}.{secrets.token_hex(4)}.partial"
    try:
        module = partial / name
        (module / "data").mkdir(parents=True)
        _write_code(module, source, contents.runtime, contents.helper)
        (module / "weights.safetensors").write_bytes(contents.weights)
        if contents.graph is not None:
            (module / "scorer.onnx").write_bytes(contents.graph.model)
        write_data(module / "data")
        write_json(module / "data" / "facts.json", _facts(contents))
        write_json(module / "data" / CANDIDATE, _as_json(candidate))
        write_json(partial / MARKER, {"format": FORMAT, "name": name, "candidate": candidate.id})
        context = {
            "name": name,
            "distribution": name.lower().replace("_", "-"),
            "version_tag": f"g{candidate.id}",
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "keyword": KEYWORD,
            "requirements": requirements(source),
            "torch": "torch" in imported_roots(source),
            "candidate": candidate,
            "proposer": plain_markdown(candidate.proposer) or "an unnamed proposer",
            "facts": contents.card,
            "values": contents.values,
            "weights_bytes": len(contents.weights),
            "graph": contents.graph,
            **contents.context,
        }
        _write_texts(partial, contents.texts, context)
        _swap(partial, destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return destination


def requirements(source: str) -> list[str]:
    """Pinned requirements of a candidate's source: what it imports, at the versions in use."""
    wanted = {"numpy", "scipy"} | (imported_roots(source) & set(_DISTRIBUTIONS))
    names = sorted({_DISTRIBUTIONS[root] for root in wanted} | {"safetensors"})
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in names]


def _check_values(dataset: Dataset, fold: Fold, parity: Parity) -> None:
    """These are faults of the caller; say so before a package that cannot work is written."""
    if fold.train.n_users != dataset.n_users or fold.train.n_items != dataset.n_items:
        raise ValueError("the fold was not made from this dataset")
    if parity.lists.ndim != 2 or len(parity.rows) != len(parity.lists) or not len(parity.rows):
        raise ValueError("parity needs at least one list, and one row number for each")
    if parity.rows.min() < 0 or parity.rows.max() >= len(fold.queries):
        raise ValueError("parity rows must be rows of the fold's queries")


def _write_code(module: Path, source: str, runtime: str, helper: str) -> None:
    for file in sorted((_HERE / runtime).glob("*.py")):
        shutil.copyfile(file, module / file.name)
    shutil.copyfile(_HERE.parent / "contract.py", module / "_contract.py")
    shutil.copyfile(resources.folder("sandbox") / helper, module / f"_{helper}")
    (module / "_candidate.py").write_bytes(source.encode("utf-8"))
    if needs_shim(source):
        (module / "_evolver.py").write_text("from . import _contract as contract\n", "utf-8")
    (module / "py.typed").touch()


def _write_data(folder: Path, dataset: Dataset, fold: Fold, parity: Parity) -> None:
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


def _as_json(candidate: Candidate) -> dict[str, Any]:
    values = {f.name: getattr(candidate, f.name) for f in fields(candidate)}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _facts(contents: Contents) -> dict[str, Any]:
    """What the package knows of itself at run time."""
    candidate, card = contents.candidate, contents.card
    return {
        "name": contents.name,
        "candidate": candidate.id,
        "candidate_name": candidate.name,
        "family": candidate.family,
        "idea": candidate.idea,
        "values": dict(contents.values),
        **contents.facts,
        "data": {"name": card.data_name, "fingerprint": card.data_fingerprint},
        "evolver": card.evolver_version,
        "created": card.created,
        "measured": {
            comparison.part: {m.metric: m.value for m in comparison.module}
            for comparison in card.comparisons
        },
    }


def _write_texts(folder: Path, texts: Mapping[str, str], context: Mapping[str, Any]) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "code": lambda text: code_span(str(text)),
        "cell": lambda text: code_span(str(text), cell=True),
        "plain": lambda text: plain_markdown(str(text)),
        "fenced": lambda text: fenced(str(text)),
        "size": _size,
    }
    for place, template in texts.items():
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(environment.get_template(f"{template}.j2").render(context), "utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON that any reader takes."""
    path.write_text(json.dumps(value, allow_nan=False), "ascii")


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _swap(partial: Path, destination: Path) -> None:
    """Put the finished folder in place; an earlier export goes only once the new one is there."""
    try:
        if destination.exists() and any(destination.iterdir()):
            old = partial.with_suffix(".old")
            destination.rename(old)
            partial.rename(destination)
            shutil.rmtree(old)
        else:
            partial.rename(destination)
    except OSError as error:
        raise UsageError(f"{destination} cannot be written: {error.strerror}") from error
