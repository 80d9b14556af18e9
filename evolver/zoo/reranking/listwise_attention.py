"""Listwise attention: what an item is worth depends on the items that it is listed with.

Pei et al., "Personalized Re-ranking for Recommendation" (PRM), RecSys 2019, small: one block of
self-attention over the list, trained by the cross-entropy of a softmax over its items (Cao et al.,
"Learning to Rank: From Pairwise Approach to Listwise Approach", ICML 2007). What it finds is added
to the upstream score, so it starts as identity.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags
from torch import Tensor, nn

from evolver.contract import Budget, Float, Int, Params, Ranked

FAMILY = "listwise attention"
TUNABLES = {
    "width": Int(8, 64, default=16, log=True),
    "epochs": Int(1, 40, default=10, log=True),
    "learning_rate": Float(1e-4, 3e-2, default=3e-3, log=True),
    "l2": Float(1e-6, 0.1, default=1e-3, log=True),
}

BATCH = 256
INPUTS = 4
NEVER = -1e9


class Network(nn.Module):
    """(b, m) what to add to each item's score, from (b, m, INPUTS) and which places are empty."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.enter = nn.Linear(INPUTS, width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.leave = nn.Linear(width, 1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, inputs: Tensor, empty: Tensor) -> Tensor:
        x = torch.relu(self.enter(inputs))
        logits = self.query(x) @ self.key(x).mT / x.shape[-1] ** 0.5
        weights = torch.softmax(logits.masked_fill(empty[:, None, :], NEVER), dim=-1)
        found: Tensor = self.leave(torch.relu(x + weights @ self.value(x)))[..., 0]
        return found


class Model:
    """Upstream score, as a logit within its list, plus the network's addition."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.network = Network(params.width)

    def fit(self, train: Ranked, budget: Budget) -> Iterator[tuple[int, float]]:
        torch.set_num_threads(budget.threads)
        torch.manual_seed(budget.seed)
        began = time.monotonic()
        self.network = Network(self.params.width)
        labels = torch.from_numpy(np.array(train.labels, dtype=np.float32))
        inputs, empty = seen(train)
        useful = torch.nonzero(labels.sum(dim=1) > 0)[:, 0]
        optimiser = torch.optim.Adam(
            self.network.parameters(), self.params.learning_rate, weight_decay=self.params.l2
        )
        for epoch in range(1, self.params.epochs + 1):
            total = 0.0
            for rows in useful[torch.randperm(len(useful))].split(BATCH):
                scores = self._scores(inputs[rows], empty[rows])
                share = labels[rows] / labels[rows].sum(dim=1, keepdim=True)
                loss = -(share * torch.log_softmax(scores, dim=1)).sum(dim=1).mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total += loss.item() * len(rows)
            yield epoch, total / max(len(useful), 1)
            if time.monotonic() - began > 0.8 * budget.seconds * epoch / (epoch + 1):
                break

    def _scores(self, inputs: Tensor, empty: Tensor) -> Tensor:
        found: Tensor = inputs[..., 0] + self.network(inputs, empty)
        return found.masked_fill(empty, NEVER)

    def rerank(self, lists: Ranked, k: int) -> NDArray[np.int32]:
        with torch.no_grad():
            scores = self._scores(*seen(lists)).numpy()
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(lists.items, order, axis=1)[:, :k]

    def state(self) -> dict[str, Any]:
        return dict(self.network.state_dict())

    def load(self, state: Mapping[str, Any]) -> None:
        self.network.load_state_dict({n: torch.as_tensor(v) for n, v in state.items()})


def seen(lists: Ranked) -> tuple[Tensor, Tensor]:
    """(b, m, INPUTS) upstream score, place, popularity, and likeness to the user's history, each of
    a scale about 1; and (b, m) which places are empty."""
    empty = lists.items < 0
    items = np.maximum(lists.items, 0)
    scores = lists.scores.astype(np.float64)
    filled = np.where(empty, np.nan, scores)
    with np.errstate(invalid="ignore"):
        low, high = (f(np.nan_to_num(filled, nan=n), axis=1, keepdims=True)
                     for f, n in ((np.min, np.inf), (np.max, -np.inf)))  # fmt: skip
    spread = np.where(high > low, high - low, 1.0)
    parts = [
        4 * (scores - np.where(np.isfinite(low), low, 0.0)) / spread,
        np.broadcast_to(-np.log1p(np.arange(items.shape[1])) / 3, items.shape),
        np.log1p(lists.popularity)[items] / np.log1p(lists.popularity.max(initial=1)),
        likeness(lists, items),
    ]
    inputs = np.where(empty[..., None], 0.0, np.stack(parts, axis=-1)).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(empty)


def likeness(lists: Ranked, items: NDArray[np.int32]) -> NDArray[np.float64]:
    """(b, m) cosine between an item's features and the mean of those in the user's history."""
    features = lists.features()
    if features is None:
        return np.zeros(items.shape)
    features = unit(features)
    tastes = unit(csr_matrix(lists.users.matrix() @ features))
    rows = np.repeat(np.arange(len(items)), items.shape[1])
    product = tastes[rows].multiply(features[items.ravel()]).sum(axis=1)
    return np.asarray(product, dtype=np.float64).reshape(items.shape)


def unit(matrix: csr_matrix) -> csr_matrix:
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1), dtype=np.float64)).ravel()
    return csr_matrix(diags(1.0 / np.where(norms > 0, norms, 1.0)) @ matrix)
