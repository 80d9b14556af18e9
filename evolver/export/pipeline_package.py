"""Writes a pipeline as an installable package: every agent that serves, and what lies between."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.agents.document import Document
from evolver.agents.space import RECALLED
from evolver.agents.staged import Learned, Staged
from evolver.core import Candidate, Value
from evolver.data.dataset import Dataset
from evolver.data.split import Fold
from evolver.export.card import CardFacts
from evolver.export.contents import Contents, assemble, code_of, engine, own, shared
from evolver.export.package import Parity, check_values, shown, write_people
from evolver.tasks.popularity import filled
from evolver.tasks.view import feature_arrays, feature_widths

PARITY_USERS = 512
OWN: Mapping[str, str] = {
    "evolver.agents.features": "_features",
    "evolver.agents.lists": "_lists",
    "evolver.agents.merge": "_merge",
    "evolver.metrics.membership": "_membership",
    "evolver.tasks.popularity": "_popularity",
}
"""What runs do between the stages, by its name in a package: the same files, imports apart."""
HELPERS = ("ranking", "prediction", "reordering")


def write_pipeline_package(
    destination: Path,
    name: str,
    *,
    candidate: Candidate,
    outcome: Staged,
    dataset: Dataset,
    fold: Fold,
    card: CardFacts,
    tie_seed: int,
    overwrite: bool = False,
) -> Path:
    """Write the package into `destination` and return that folder, resolved.

    `outcome` is what the sandbox returned for `fold`, with weights; its first lists become the
    parity test. Raises UsageError for a name or destination that cannot be used.
    """
    document = outcome.document
    serving = {agent: document.agents[agent] for agent in document.serving}
    lists, _ = filled(outcome.answers, fold.train, fold.queries, repeats=fold.repeats)
    rows = np.arange(min(PARITY_USERS, len(lists)), dtype=np.int64)
    parity = Parity(rows=rows, lists=lists[rows])
    check_values(dataset, fold, parity)
    values = {agent: document.values(agent) for agent in serving}
    unseen = any(document.facts(agent).serves_unseen for agent in document.graph.recall)
    return assemble(
        destination,
        Contents(
            name=name,
            candidate=candidate,
            values=_flat(values),
            weights={
                f"weights/{agent}.safetensors": outcome.learned.weights[agent] for agent in serving
            },
            programs={f"_agent_{agent}": spec.source for agent, spec in serving.items()},
            code={
                **code_of("runtime"),
                "_engine.py": engine("pipeline"),
                **{f"_{helper}.py": shared(helper) for helper in HELPERS},
                **{f"{there}.py": own(module, OWN) for module, there in OWN.items()},
            },
            card=card,
            facts={
                "repeats": fold.repeats,
                "tie_seed": tie_seed,
                "pipeline": _told(document, fold, values, k=outcome.answers.shape[1]),
            },
            context={
                "task": "pipeline",
                "outline": document.outline,
                "agents": len(serving),
                **shown(dataset, fold, parity, unseen),
            },
        ),
        lambda folder: _write_data(folder, dataset, fold, parity, outcome.learned),
        overwrite=overwrite,
    )


def _told(
    document: Document, fold: Fold, values: Mapping[str, Mapping[str, Value]], *, k: int
) -> dict[str, Any]:
    """What the package must know to run the stages as they were run for lists of k items."""
    graph = document.graph
    return {
        "recall": dict(graph.recall),
        "recalled": max(RECALLED, k),
        "merge": graph.merge.model_dump(mode="json"),
        "ranking": graph.ranking,
        "reranking": graph.reranking,
        "depth": max(graph.depth, k),
        "head": max(graph.head, k),
        "k": k,
        "values": values,
        "n_users": fold.train.n_users,
        "n_items": fold.train.n_items,
        "user_features": feature_widths(fold.train.user_features),
        "item_features": feature_widths(fold.train.item_features),
    }


def _flat(values: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """Settings of all agents in one, the agent's name first."""
    return {f"{agent}.{name}": each[name] for agent, each in values.items() for name in each}


def _write_data(
    folder: Path, dataset: Dataset, fold: Fold, parity: Parity, learned: Learned
) -> None:
    write_people(folder, dataset, fold, parity)
    train = fold.train
    arrays: dict[str, NDArray[Any]] = {
        "users": train.users,
        "items": train.items,
        **({} if train.times is None else {"times": train.times}),
        **({} if learned.odds is None else {"odds": learned.odds}),
        **feature_arrays("user_feature", train.user_features),
        **feature_arrays("item_feature", train.item_features),
    }
    if learned.scale is not None:
        arrays |= {"mean": learned.scale.mean, "spread": learned.scale.spread}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
