"""BPR-MF: matrix factorisation that learns to rank what was taken above what was not.

Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009. Each positive
meets the hardest of a few random items, which needs far fewer epochs: Zhang et al., "Optimizing
Top-N Collaborative Filtering via Dynamic Negative Item Sampling", SIGIR 2013; one random item is
the original. Users who were not in training have no factors and cannot be served.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding, softplus

from evolver.contract import Budget, Float, Int, Interactions, Params, Users

FAMILY = "matrix factorisation"
SERVES_UNSEEN = False
TUNABLES = {
    "factors": Int(16, 256, default=64, log=True),
    "epochs": Int(5, 200, default=30, log=True),
    "learning_rate": Float(1e-3, 0.1, default=0.004, log=True),
    "l2": Float(1e-5, 1e-1, default=5e-3, log=True),
    "negatives": Int(1, 32, default=4, log=True),
}

STEPS_PER_EPOCH = 64  # large batches keep the processor busy, small data still gets its steps
LEAST_BATCH, MOST_BATCH = 256, 16_384


class Model:
    """Scores = user factors @ item factors + item bias."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.users = torch.zeros((0, params.factors))
        self.items = torch.zeros((0, params.factors))
        self.bias = torch.zeros(0)
        self.popularity = torch.zeros(0)

    def fit(self, train: Interactions, budget: Budget) -> Iterator[tuple[int, float]]:
        deadline = time.monotonic() + 0.9 * budget.seconds
        torch.set_num_threads(budget.threads)
        device = torch.device(budget.device)
        random = torch.Generator().manual_seed(budget.seed)
        shapes = [(train.n_users, self.params.factors), (train.n_items, self.params.factors)]
        weights = [torch.randn(shape, generator=random) * 0.1 for shape in shapes]
        weights = [weight.to(device) for weight in [*weights, torch.zeros(train.n_items)]]
        self.users, self.items, self.bias = (weight.requires_grad_() for weight in weights)
        self.popularity = torch.from_numpy(train.popularity().astype(np.float32))
        optimiser = torch.optim.Adam([self.users, self.items, self.bias], self.params.learning_rate)
        pairs = torch.from_numpy(np.stack([train.users, train.items], axis=1).astype(np.int64))
        batch = min(max(len(pairs) // STEPS_PER_EPOCH, LEAST_BATCH), MOST_BATCH)
        for epoch in range(1, self.params.epochs + 1):
            total, seen = 0.0, 0
            for rows in torch.randperm(len(pairs), generator=random).split(batch):
                drawn = torch.randint(
                    train.n_items, (len(rows), self.params.negatives), generator=random
                )
                loss = self._loss(pairs[rows].to(device), drawn.to(device))
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total, seen = total + loss.item() * len(rows), seen + len(rows)
                if time.monotonic() > deadline:
                    break
            yield epoch, total / max(seen, 1)
            if time.monotonic() > deadline:
                break

    def _loss(self, pairs: Tensor, drawn: Tensor) -> Tensor:
        """Mean over pairs of -log sigmoid(taken - hardest drawn), plus the regulariser."""
        users, items = pairs[:, 0], pairs[:, 1]
        rivals = self._hardest(users, items, drawn)
        user, taken = embedding(users, self.users), embedding(items, self.items)
        rival = embedding(rivals, self.items)
        margin = (user * (taken - rival)).sum(1) + self.bias[items] - self.bias[rivals]
        size = (user**2).sum(1) + (taken**2).sum(1) + (rival**2).sum(1)
        loss: Tensor = softplus(-margin).mean() + self.params.l2 * size.mean()
        return loss

    @torch.no_grad()
    def _hardest(self, users: Tensor, items: Tensor, drawn: Tensor) -> Tensor:
        """(n,) the drawn item that each user scores highest, the positive itself left out."""
        scores = (self.items[drawn] @ self.users[users][:, :, None]).squeeze(2) + self.bias[drawn]
        scores[drawn == items[:, None]] = -torch.inf
        return drawn.gather(1, scores.argmax(dim=1, keepdim=True)).squeeze(1)

    @torch.no_grad()
    def score(self, users: Users) -> NDArray[np.float32]:
        ids = torch.from_numpy(users.ids).to(self.users.device)
        scores = (self.users[ids] @ self.items.T + self.bias).cpu()
        served = users.known & (np.diff(users.indptr) > 0)
        scores[torch.from_numpy(~served)] = self.popularity
        return scores.numpy()

    def scorer(self) -> torch.nn.Module:
        return Scorer(self.state())

    def state(self) -> dict[str, Any]:
        return {
            "users": self.users.detach(),
            "items": self.items.detach(),
            "bias": self.bias.detach(),
            "popularity": self.popularity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: torch.as_tensor(value) for name, value in state.items()}
        self.users, self.items, self.bias = arrays["users"], arrays["items"], arrays["bias"]
        self.popularity = arrays["popularity"]


class Scorer(torch.nn.Module):
    """`Model.score` as a graph: (b,) users to scores."""

    users: Tensor
    items: Tensor
    bias: Tensor
    popularity: Tensor

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name, value)

    def forward(self, user: Tensor) -> Tensor:
        scores = self.users[user.clamp(min=0)] @ self.items.T + self.bias
        return torch.where(user[:, None] >= 0, scores, self.popularity)
