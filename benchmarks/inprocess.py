"""Runs a zoo candidate inside this process: for benchmarks and tests of our own files only.

Nothing protects this process from the candidate, so never give it a file that somebody else
wrote: that is what the sandbox is for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from inspect import isgenerator
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.contract import Budget, Interactions, Params, Users

Watch = Callable[[int, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A fresh model that was given the state of a trained one, as the evaluator would have it."""

    model: Any
    state: Mapping[str, NDArray[Any]]
    fit_seconds: float
    progress: list[tuple[int, float]] = field(default_factory=list)

    @property
    def steps(self) -> int:
        """The number of the last step that was reported; 0 for a model that fits in one go."""
        return self.progress[-1][0] if self.progress else 0


def candidate(name: str, source: str) -> ModuleType:
    """The candidate's file as a module, made from its text as the sandbox does."""
    module = ModuleType(f"candidate_{name}")
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


def params(module: ModuleType, **values: Any) -> Params:
    """The declared defaults, with the given values instead where named."""
    unknown = values.keys() - module.TUNABLES.keys()
    if unknown:
        raise ValueError(f"{module.__name__} declares no tunable {', '.join(sorted(unknown))}")
    return Params({name: spec.default for name, spec in module.TUNABLES.items()} | values)


def fit(
    module: ModuleType,
    train: Interactions,
    budget: Budget,
    watch: Watch | None = None,
    **values: Any,
) -> Fitted:
    """Train, take the state, and load it into a fresh model."""
    chosen = params(module, **values)
    trained = module.Model(chosen)
    progress: list[tuple[int, float]] = []
    start = time.perf_counter()
    running = trained.fit(train, budget)
    if isgenerator(running):
        for step, loss in running:
            progress.append((int(step), float(loss)))
            if watch is not None:
                watch(int(step), float(loss))
    seconds = time.perf_counter() - start
    state = {name: as_numpy(value) for name, value in trained.state().items()}
    fresh = module.Model(chosen)
    fresh.load(state)
    return Fitted(model=fresh, state=state, fit_seconds=seconds, progress=progress)


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


def ranking_metrics(
    lists: NDArray[np.int64], held_out: list[NDArray[np.int32]]
) -> dict[str, float]:
    """Recall, hit rate and binary NDCG (ideal cut at min(|held out|, k)), means over users."""
    k = lists.shape[1]
    discount = 1.0 / np.log2(np.arange(2, k + 2))
    ideal = np.concatenate([[0.0], np.cumsum(discount)])
    recall, hit, ndcg = [], [], []
    for row, truth in zip(lists, held_out, strict=True):
        found = np.isin(row, truth)
        recall.append(found.sum() / len(truth))
        hit.append(float(found.any()))
        ndcg.append((found * discount).sum() / ideal[min(len(truth), k)])
    return {
        f"recall@{k}": float(np.mean(recall)),
        f"hit@{k}": float(np.mean(hit)),
        f"ndcg@{k}": float(np.mean(ndcg)),
    }
