"""SASRec: a causal transformer over the history that predicts the next item.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, trained with cross-entropy
over the whole catalogue where that is small, as Klenitskiy and Vasilev, "Turning Dross Into Gold
Loss", RecSys 2023, show to matter; over sampled items with importance correction (Bengio and
Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language
Model", 2008) where it is not. Histories start at position 0 and are padded behind, so
causality alone hides the padding.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, gelu, scaled_dot_product_attention

from evolver.contract import Budget, Choice, Float, Int, Interactions, Params, Users

FAMILY = "sequential"
SERVES_UNSEEN = True
TUNABLES = {
    "length": Int(10, 200, default=100, log=True),
    "width": Int(32, 256, default=64, log=True),
    "layers": Int(1, 4, default=2),
    "heads": Choice([1, 2, 4], default=2),
    "dropout": Float(0.0, 0.6, default=0.2),
    "epochs": Int(3, 200, default=20, log=True),
    "learning_rate": Float(3e-4, 1e-2, default=2e-3, log=True),
    "negatives": Int(128, 4_096, default=512, log=True),
}

FULL_SOFTMAX = 2_000  # largest catalogue that is not sampled from; above, sampling is far cheaper
WARMUP_STEPS = 50
STEPS_PER_EPOCH = 64  # small data gets small batches
LEAST_TOKENS, MOST_TOKENS = 256, 8_192  # interactions in a batch


class Model:
    """Scores = state of the transformer after the last item of the history @ item embeddings."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.net = Net(0, params)
        self.popularity = torch.zeros(0)

    def fit(self, train: Interactions, budget: Budget) -> Iterator[tuple[int, float]]:
        deadline = time.monotonic() + 0.9 * budget.seconds
        torch.set_num_threads(budget.threads)
        torch.manual_seed(budget.seed)  # weights and dropout
        rng = np.random.default_rng(budget.seed)
        self.popularity = torch.from_numpy(train.popularity().astype(np.float32))
        self.net = Net(train.n_items, self.params).to(budget.device)
        optimiser = torch.optim.AdamW(self.net.parameters(), lr=0.0, betas=(0.9, 0.98))
        tokens = min(max(len(train) // STEPS_PER_EPOCH, LEAST_TOKENS), MOST_TOKENS)
        step = 0
        for epoch in range(1, self.params.epochs + 1):
            total, count = 0.0, 0
            peak = self.params.learning_rate * (1 - (epoch - 1) / self.params.epochs)
            self.net.train()
            for items, targets in windows(train, self.params.length, tokens, rng):
                step += 1
                for group in optimiser.param_groups:
                    group["lr"] = peak * min(1.0, step / WARMUP_STEPS)
                states = self.net(items.to(budget.device))[targets >= 0]
                wanted = targets[targets >= 0].to(budget.device)
                loss = self._loss(states, wanted, train, rng)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                total, count = total + loss.item() * len(wanted), count + len(wanted)
                if time.monotonic() > deadline:
                    break
            yield epoch, total / max(count, 1)
            if time.monotonic() > deadline:
                break

    def _loss(
        self, states: Tensor, wanted: Tensor, train: Interactions, rng: np.random.Generator
    ) -> Tensor:
        """Mean cross-entropy of the wanted items, over all items or an unbiased sample of them."""
        table = self.net.items.weight
        if train.n_items <= FULL_SOFTMAX:
            return cross_entropy(states @ table.T, wanted)
        half = self.params.negatives // 2
        popular = train.items[rng.integers(len(train), size=half)]
        anything = rng.integers(train.n_items, size=half)
        drawn = torch.from_numpy(np.concatenate([popular, anything]).astype(np.int64))
        share = self.popularity[drawn] / (2 * len(train)) + 0.5 / train.n_items
        drawn, expected = drawn.to(table.device), (2 * half * share).to(table.device)
        others = states @ table[drawn].T - expected.log()
        others = others.masked_fill(drawn == wanted[:, None], -torch.inf)
        right = (states * table[wanted]).sum(1)
        return (torch.logaddexp(others.logsumexp(1), right) - right).mean()

    @torch.no_grad()
    def score(self, users: Users) -> NDArray[np.float32]:
        self.net.eval()
        device = self.net.items.weight.device
        sizes = np.minimum(np.diff(users.indptr), self.params.length)
        span = np.arange(max(1, sizes.max(initial=0)))
        offsets = np.minimum(span, np.maximum(sizes - 1, 0)[:, None])  # repeats the last as padding
        rows = (users.indptr[1:] - sizes)[:, None] + offsets
        padded = np.concatenate([users.items, [0]])  # an empty history at the end points here
        states = self.net(torch.from_numpy(padded[rows].astype(np.int64)).to(device))
        last = torch.from_numpy(np.maximum(sizes - 1, 0)).to(device)
        final = states[torch.arange(len(users), device=device), last]
        scores: Tensor = (final @ self.net.items.weight.T).cpu()
        scores[torch.from_numpy(sizes == 0)] = self.popularity
        ranked: NDArray[np.float32] = scores.numpy()
        return ranked

    def scorer(self) -> nn.Module:
        return Scorer(self.net, self.popularity, self.params.length)

    def state(self) -> dict[str, Any]:
        return {"popularity": self.popularity} | dict(self.net.state_dict())

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: torch.as_tensor(value) for name, value in state.items()}
        self.popularity = arrays.pop("popularity")
        self.net = Net(len(self.popularity), self.params)
        self.net.load_state_dict(arrays)


class Scorer(nn.Module):
    """`Model.score` as a graph: (b, length) recent items, right-aligned, to scores."""

    popularity: Tensor

    def __init__(self, net: Net, popularity: Tensor, length: int) -> None:
        super().__init__()
        self.net, self.length = net, length
        self.register_buffer("popularity", popularity)

    def forward(self, recent: Tensor) -> Tensor:
        items = self.net.items.weight
        sizes = (recent < len(items)).sum(1, keepdim=True)
        ahead = torch.arange(self.length) + self.length - sizes  # the first item comes first
        rows = recent.gather(1, ahead.clamp(max=self.length - 1)).clamp(max=len(items) - 1)
        states = self.net(rows)
        last = (sizes - 1).clamp(min=0)[:, :, None].expand(-1, 1, states.shape[2])
        scores = states.gather(1, last)[:, 0] @ items.T
        return torch.where(sizes == 0, self.popularity, scores)


class Net(nn.Module):
    """(batch, time) item numbers to (batch, time, width) states; row t has seen items 0 to t."""

    def __init__(self, n_items: int, params: Params) -> None:
        super().__init__()
        # heads must divide the width evenly
        width = params.width - params.width % params.heads
        self.items = nn.Embedding(n_items, width)
        self.positions = nn.Embedding(params.length, width)
        nn.init.normal_(self.items.weight, std=0.05)
        nn.init.normal_(self.positions.weight, std=0.05)
        blocks = (Block(width, params.heads, params.dropout) for _ in range(params.layers))
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(params.dropout)

    def forward(self, items: Tensor) -> Tensor:
        here = torch.arange(items.shape[1], device=items.device)
        embedded = self.dropout(self.items(items) + self.positions(here))
        states: Tensor = self.norm(self.blocks(embedded))
        return states


class Block(nn.Module):
    """Causal self-attention and a feed-forward layer, each added to what comes in."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.before_attention, self.before_forward = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_qkv, self.mix = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        batch, time_, width = states.shape
        qkv = self.to_qkv(self.before_attention(states))
        q, k, v = qkv.view(batch, time_, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        rate = self.rate if self.training else 0.0
        seen = scaled_dot_product_attention(q, k, v, dropout_p=rate, is_causal=True)
        seen = seen.transpose(1, 2).reshape(batch, time_, width)
        states = states + self.dropout(self.mix(seen))
        ahead = self.narrow(gelu(self.widen(self.before_forward(states))))
        mixed: Tensor = states + self.dropout(ahead)
        return mixed


def windows(
    train: Interactions, length: int, tokens: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of batches: items and the items that follow them, (rows, time) int64 each.

    Every step from one item to the next occurs once. Histories are cut into windows at places that
    change from epoch to epoch; windows of like length go together. Padding has target -1.
    """
    indptr = train.indptr()
    first, last = indptr[:-1], indptr[1:] - 1  # the last item of a user has no successor
    pieces = -(-(last - first) // length) + 1
    user = np.repeat(np.arange(train.n_users), pieces)
    number = np.arange(len(user)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = first[user] - rng.integers(length, size=train.n_users)[user] + number * length
    end = np.minimum(begin + length, last[user])
    begin = np.maximum(begin, first[user])
    begin, sizes = begin[end > begin], (end - begin)[end > begin]
    order = rng.permutation(len(sizes))
    order = order[np.argsort(sizes[order], kind="stable")]
    batches = np.split(order, np.flatnonzero(np.diff(np.cumsum(sizes[order]) // tokens)) + 1)
    for which in rng.permutation(len(batches)):
        batch = batches[which]
        offsets = np.arange(sizes[batch].max(initial=0))
        inside = offsets < sizes[batch][:, None]
        rows = np.where(inside, begin[batch][:, None] + offsets, 0)
        following = np.where(inside, train.items[np.minimum(rows + 1, len(train) - 1)], -1)
        items, targets = train.items[rows].astype(np.int64), following.astype(np.int64)
        yield torch.from_numpy(items), torch.from_numpy(targets)
