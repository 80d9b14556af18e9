"""Runs a zoo candidate inside this process: for tests of our own files only.

Nothing protects this process from the candidate, so never give it a file that somebody else
wrote: that is what the sandbox is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from inspect import isgenerator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.contract import Budget, Interactions, Params, Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A trained model, and the fresh one that was given its state, which is what gets judged."""

    trained: Any
    model: Any
    state: Mapping[str, NDArray[Any]]
    progress: list[tuple[int, float]] = field(default_factory=list)


def candidate(name: str, source: str) -> ModuleType:
    """The candidate's file as a module, made from its text as the sandbox does."""
    module = ModuleType(f"candidate_{name}")
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


def params(module: ModuleType, **values: Any) -> Params:
    """The declared defaults, with the given values instead where named."""
    declared = getattr(module, "TUNABLES", {})
    unknown = values.keys() - declared.keys()
    if unknown:
        raise ValueError(f"{module.__name__} declares no tunable {', '.join(sorted(unknown))}")
    return Params({name: spec.default for name, spec in declared.items()} | values)


def fit(
    module: ModuleType,
    train: Interactions,
    budget: Budget,
    stop_after: int | None = None,
    **values: Any,
) -> Fitted:
    """Train, take the state, and load it into a fresh model.

    `stop_after` closes the generator after so many reports, as the sandbox does when told to stop.
    """
    chosen = params(module, **values)
    trained = module.Model(chosen)
    progress: list[tuple[int, float]] = []
    running = trained.fit(train, budget)
    if isgenerator(running):
        for step, loss in running:
            progress.append((step, loss))
            if len(progress) == stop_after:
                running.close()
                break
    state = {name: as_numpy(value).copy() for name, value in trained.state().items()}
    fresh = module.Model(chosen)
    fresh.load({name: array.copy() for name, array in state.items()})
    return Fitted(trained=trained, model=fresh, state=state, progress=progress)


def as_numpy(value: Any) -> NDArray[Any]:
    """A state's value as it comes back from disk."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def users_of(train: Interactions, ids: NDArray[np.int64]) -> Users:
    """These users with their training interactions as history; known where they have any."""
    indptr = train.indptr()
    sizes = indptr[ids + 1] - indptr[ids]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    rows = np.arange(starts[-1]) + np.repeat(indptr[ids] - starts[:-1], sizes)
    return Users(
        ids=ids.astype(np.int64),
        known=sizes > 0,
        indptr=starts.astype(np.int64),
        items=train.items[rows],
        n_items=train.n_items,
    )


def blocks(users: Users, rows: int = 1024) -> Iterator[Users]:
    """The users in consecutive groups."""
    for start in range(0, len(users), rows):
        yield users[start : start + rows]


def top_k(model: Any, users: Users, k: int) -> NDArray[np.int64]:
    """(len(users), k): the best items that are not in the user's history, best first."""
    lists = []
    for block in blocks(users):
        scores = torch.as_tensor(model.score(block))
        rows = np.repeat(np.arange(len(block)), np.diff(block.indptr))
        scores[torch.from_numpy(rows), torch.from_numpy(block.items.astype(np.int64))] = -torch.inf
        lists.append(torch.topk(scores, k, dim=1).indices.numpy())
    return np.concatenate(lists)


def recall(lists: NDArray[np.int64], held_out: list[NDArray[np.int32]]) -> float:
    """Mean over users of the share of held-out items that are on the list."""
    pairs = zip(lists, held_out, strict=True)
    return float(np.mean([np.isin(truth, row).mean() for row, truth in pairs]))
