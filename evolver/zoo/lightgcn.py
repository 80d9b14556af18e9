"""LightGCN: embeddings that are smoothed over the user-item graph, and nothing else.

He et al., "LightGCN: Simplifying and Powering Graph Convolution Network for Recommendation",
SIGIR 2020, trained with a sampled softmax over cosines instead of BPR, as Wu et al. propose in "On
the Effectiveness of Sampled Softmax Loss for Item Recommendation", TOIS 2024: a few hundred steps
suffice. Half of the negatives are drawn as often as they are taken: the loss then asks what this
user takes that others do not. A user who was not in training is represented by the smoothed items
of the history.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import block_array, csr_matrix, diags
from torch import Tensor
from torch.nn.functional import normalize

from evolver.contract import Budget, Float, Int, Interactions, Params, Users

FAMILY = "graph neural network"
SERVES_UNSEEN = True
TUNABLES = {
    "factors": Int(16, 256, default=64, log=True),
    "layers": Int(1, 4, default=3),
    "epochs": Int(4, 60, default=20, log=True),
    "learning_rate": Float(1e-3, 0.1, default=0.02, log=True),
    "temperature": Float(0.03, 0.5, default=0.1, log=True),
    "negatives": Int(128, 4_096, default=512, log=True),
    # how much the length of an item's embedding counts in its rank, 0 for cosines
    "length": Float(0.0, 1.0, default=0.75),
}

STEPS_PER_EPOCH = 48  # each step smooths the whole graph, so batches are large
LEAST_BATCH = 512
CHUNK = 8_192  # pairs whose logits are in memory at a time


class Model:
    """Scores = users @ items after smoothing, items shortened to length ** `length`.

    Only the training loss looks at cosines. What smoothing does to the length of an item's
    embedding tells how many users reach it; cosines would throw that away, products trust it whole.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self.users = torch.zeros((0, params.factors))
        self.items = torch.zeros((0, params.factors))
        self.carried = torch.zeros((0, params.factors))
        self.popularity = torch.zeros(0)

    def fit(self, train: Interactions, budget: Budget) -> Iterator[tuple[int, float]]:
        deadline = time.monotonic() + 0.85 * budget.seconds
        torch.set_num_threads(budget.threads)
        random = torch.Generator().manual_seed(budget.seed)
        graph = Graph(train, budget.device)
        nodes = train.n_users + train.n_items
        base = torch.randn((nodes, self.params.factors), generator=random) * 0.1
        base = base.to(budget.device)
        optimiser = torch.optim.Adam([base], lr=self.params.learning_rate)
        users = torch.from_numpy(train.users.astype(np.int64))
        items = torch.from_numpy(train.items.astype(np.int64)) + train.n_users
        pairs = torch.stack([users, items], dim=1)
        batch = max(len(pairs) // STEPS_PER_EPOCH, LEAST_BATCH)
        for epoch in range(1, self.params.epochs + 1):
            losses = []
            for group in optimiser.param_groups:  # down to nothing, so that the end is calm
                group["lr"] = self.params.learning_rate * (1 - (epoch - 1) / self.params.epochs)
            for rows in torch.randperm(len(pairs), generator=random).split(batch):
                drawn = self._negatives(items, train, random)
                smooth = graph.smooth(base, self.params.layers).requires_grad_()
                loss, gradient = self._loss(smooth, pairs[rows], drawn.to(base.device))
                # smoothing is linear and symmetric, so its gradient is smoothing again
                base.grad = graph.smooth(gradient, self.params.layers)
                optimiser.step()
                losses.append(loss)
                if time.monotonic() > deadline:
                    break
            self._keep(graph, base, train)
            yield epoch, float(np.mean(losses))
            if time.monotonic() > deadline:
                break

    def _negatives(self, items: Tensor, train: Interactions, random: torch.Generator) -> Tensor:
        """Different items, half of them as often as they are taken, half of them any."""
        half = -(-self.params.negatives // 2)
        popular = items[torch.randint(len(items), (half,), generator=random)]
        anything = torch.randint(train.n_items, (half,), generator=random) + train.n_users
        different: Tensor = torch.unique(torch.cat([popular, anything]))
        return different

    def _loss(self, smooth: Tensor, pairs: Tensor, drawn: Tensor) -> tuple[float, Tensor]:
        """Sampled softmax: the mean loss of these pairs and its gradient by `smooth`."""
        total, gradient = 0.0, torch.zeros_like(smooth)
        place = torch.full((len(smooth),), -1, device=smooth.device)
        place[drawn] = torch.arange(len(drawn), device=smooth.device)
        for chunk in pairs.to(smooth.device).split(CHUNK):
            users = normalize(smooth[chunk[:, 0]], dim=1) / self.params.temperature
            taken = (users * normalize(smooth[chunk[:, 1]], dim=1)).sum(1)
            others = users @ normalize(smooth[drawn], dim=1).T
            # a positive that was drawn by chance is no negative
            at = place[chunk[:, 1]]
            rows = torch.nonzero(at >= 0).squeeze(1)
            others[rows, at[rows]] = -torch.inf
            partition = torch.logaddexp(others.logsumexp(1), taken)
            loss = (partition - taken).sum() / len(pairs)
            gradient += torch.autograd.grad(loss, smooth)[0]
            total += loss.item()
        return total, gradient

    def _keep(self, graph: Graph, base: Tensor, train: Interactions) -> None:
        layers = self.params.layers
        smooth = graph.smooth(base, layers)
        self.users = smooth[: train.n_users].cpu()
        self.items = smooth[train.n_users :].cpu()
        size = self.items.norm(dim=1, keepdim=True).clamp(min=1e-12)
        self.items = self.items * size ** (self.params.length - 1)
        # what an item hands to its users: all its layers but the last, scaled for its degree
        degree = np.maximum(np.bincount(train.items, minlength=train.n_items), 1)
        handed = graph.smooth(base, layers - 1)[train.n_users :].cpu() * (layers / (layers + 1))
        self.carried = handed / torch.from_numpy(degree.astype(np.float32)).sqrt()[:, None]
        self.popularity = torch.from_numpy(train.popularity().astype(np.float32))

    def score(self, users: Users) -> NDArray[np.float32]:
        taken = users.matrix()
        sizes = np.maximum(np.diff(taken.indptr), 1).astype(np.float32)
        history = torch.from_numpy(taken @ self.carried.numpy() / np.sqrt(sizes)[:, None])
        known = torch.from_numpy(users.known)[:, None]
        ids = torch.from_numpy(np.where(users.known, users.ids, 0))
        scores = torch.where(known, self.users[ids], history) @ self.items.T
        scores[torch.from_numpy(np.diff(users.indptr) == 0)] = self.popularity
        return scores.numpy()

    def scorer(self) -> torch.nn.Module:
        return Scorer(self.state())

    def state(self) -> dict[str, Any]:
        return {
            "users": self.users,
            "items": self.items,
            "carried": self.carried,
            "popularity": self.popularity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: torch.as_tensor(value) for name, value in state.items()}
        self.users, self.items = arrays["users"], arrays["items"]
        self.carried, self.popularity = arrays["carried"], arrays["popularity"]


class Scorer(torch.nn.Module):
    """`Model.score` as a graph: (b, n_items) histories and (b,) users to scores."""

    users: Tensor
    items: Tensor
    carried: Tensor
    popularity: Tensor

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, value in state.items():
            self.register_buffer(name, value)

    def forward(self, history: Tensor, user: Tensor) -> Tensor:
        size = history.sum(1, keepdim=True)
        folded = history @ self.carried / size.clamp(min=1.0).sqrt()
        place = torch.where(user[:, None] >= 0, self.users[user.clamp(min=0)], folded)
        return torch.where(size == 0, self.popularity, place @ self.items.T)


class Graph:
    """The symmetrically normalised user-item graph: users first, then items."""

    def __init__(self, train: Interactions, device: str) -> None:
        taken = train.matrix()
        by_user = diags(np.maximum(taken.sum(axis=1).A1, 1) ** -0.5)
        by_item = diags(np.maximum(taken.sum(axis=0).A1, 1) ** -0.5)
        taken = by_user @ taken @ by_item
        self.on_cpu = csr_matrix(block_array([[None, taken], [taken.T, None]]), dtype=np.float32)
        self.on_device = None if device == "cpu" else to_torch(self.on_cpu).to(device)

    def smooth(self, nodes: Tensor, layers: int) -> Tensor:
        """Mean of the nodes after 0, 1, ... layers of averaging over neighbours."""
        total = nodes = nodes.detach()
        for _ in range(layers):
            if self.on_device is None:  # scipy is twice as fast as torch here
                nodes = torch.from_numpy(self.on_cpu @ nodes.numpy())
            else:
                nodes = self.on_device @ nodes
            total = total + nodes
        return total / (layers + 1)


def to_torch(matrix: csr_matrix) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data),
            matrix.shape,
            check_invariants=False,
        )
