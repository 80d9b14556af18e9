"""Two towers: one network for what is known of the item, one for all else, and a product of both.

Huang et al., "Learning Deep Structured Semantic Models for Web Search using Clickthrough Data",
CIKM 2013; Covington, Adams and Sargin, "Deep Neural Networks for YouTube Recommendations", RecSys
2016. What user and item have in common is seen at the end only, so items can be computed ahead;
that is what it costs, measured.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from evolver.contract import Budget, Float, Int, Params, Table

FAMILY = "two towers"
TUNABLES = {
    "dim": Int(4, 64, default=10, log=True),
    "width": Int(16, 512, default=128, log=True),
    "depth": Int(1, 4, default=2),
    "dropout": Float(0.0, 0.6, default=0.1),
    "epochs": Int(1, 60, default=15, log=True),
    "learning_rate": Float(1e-4, 3e-2, default=0.002, log=True),
    "l2": Float(1e-8, 1.0, default=1e-5, log=True),
}

BATCH = 4096
STEPS = 32  # small data still gets so many in an epoch
LONGEST = 20  # of a feature of several values, the last so many count
SPREAD = 0.01  # standard deviation of vectors before training


class Fields(nn.Module):
    """A vector for each feature of a row: of its value, the mean of its values, or its number times
    a vector of its own."""

    def __init__(self, codes: int, numbers: int, dim: int) -> None:
        super().__init__()
        self.nothing = codes
        self.code = nn.Embedding(codes + 1, dim, padding_idx=codes)
        self.number = nn.Parameter(torch.randn(numbers, dim) * SPREAD)
        nn.init.normal_(self.code.weight, std=SPREAD)
        with torch.no_grad():
            self.code.weight[codes] = 0.0

    def forward(self, codes: Tensor, numbers: Tensor, lists: Tensor) -> Tensor:
        """(rows, fields, dim) from (rows, c), (rows, m) and (rows, l, longest)."""
        several = lists.ne(self.nothing).sum(dim=2, keepdim=True).clamp(min=1)
        return torch.cat(
            [
                self.code(codes),
                numbers[:, :, None] * self.number,
                self.code(lists).sum(dim=2) / several,
            ],
            dim=1,
        )

    def penalty(self) -> Tensor:
        """Half the squared length of all vectors, those that no row of a batch has included."""
        return 0.5 * ((self.code.weight**2).sum() + (self.number**2).sum())


class Network(nn.Module):
    """The logit: a bias, weights of values, and the product of what the two towers say."""

    item: Tensor

    def __init__(self, codes: int, numbers: int, item: Tensor, p: Params) -> None:
        super().__init__()
        self.weights = Fields(codes, numbers, 1)
        self.vectors = Fields(codes, numbers, p.dim)
        self.register_buffer("item", item)
        of_item = int(item.sum())
        self.left = tower((len(item) - of_item) * p.dim, p.width, p.depth, p.dropout)
        self.right = tower(of_item * p.dim, p.width, p.depth, p.dropout)
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, codes: Tensor, numbers: Tensor, lists: Tensor) -> Tensor:
        linear = self.weights(codes, numbers, lists).sum(dim=(1, 2))
        vectors = self.vectors(codes, numbers, lists)
        left = self.left(vectors[:, ~self.item].flatten(1))
        right = self.right(vectors[:, self.item].flatten(1))
        logits: Tensor = self.bias + linear + (left * right).sum(dim=1)
        return logits

    def penalty(self) -> Tensor:
        return self.weights.penalty() + self.vectors.penalty()

    def start(self, share: float) -> None:
        """Begin from the share of positives, which is what is known before any feature."""
        with torch.no_grad():
            self.bias.fill_(float(np.log(share / (1 - share))))


def tower(inputs: int, width: int, depth: int, dropout: float) -> nn.Sequential:
    """`depth` layers of `width`, standardised, rectified and partly left out in training, and a
    linear one."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, width))


class Model:
    """Trained on log loss by Adam with a step that shrinks to nothing."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.starts = np.zeros(0, dtype=np.int64)
        self.network: Network | None = None

    def fit(self, train: Table, budget: Budget) -> Iterator[tuple[int, float]]:
        began = time.monotonic()
        torch.manual_seed(budget.seed)
        torch.set_num_threads(budget.threads)
        device, p = torch.device(budget.device), self.params
        random = torch.Generator().manual_seed(budget.seed)
        self.starts = starts_of(train)
        inputs = self._inputs(train)
        labels = torch.from_numpy(np.array(train.labels, dtype=np.float32))
        network = Network(int(self.starts[-1]), train.numbers.shape[1], item_side(train), p)
        network.to(device)
        network.start(float(labels.mean()))
        self.network = network
        optimiser = torch.optim.Adam(network.parameters(), p.learning_rate)
        size = min(BATCH, max(len(labels) // STEPS, 32))
        epochs, epoch, warm = p.epochs, 0, began
        while epoch < epochs:
            total = 0.0
            order = torch.randperm(len(labels), generator=random)
            batches = [rows for rows in order.split(size) if len(rows) > 1]
            for number, rows in enumerate(batches):
                progress = (epoch + number / len(batches)) / epochs
                optimiser.param_groups[0]["lr"] = p.learning_rate * (1 - progress)
                logits = network(*(each[rows].to(device) for each in inputs))
                loss = binary_cross_entropy_with_logits(logits, labels[rows].to(device))
                optimiser.zero_grad()
                (loss + p.l2 * network.penalty()).backward()
                optimiser.step()
                total += loss.item() * len(rows)
                if time.monotonic() - began > 0.9 * budget.seconds:
                    epochs = 0
                    break
            epoch += 1
            yield epoch, total / len(labels)
            now = time.monotonic()
            if epoch == 1:  # it holds what a cold start takes, so it tells nothing of the others
                warm = now
                continue
            left = 0.85 * budget.seconds - (now - began)
            epochs = min(epochs, epoch + max(0, int(left * (epoch - 1) / (now - warm))))

    def _inputs(self, table: Table) -> tuple[Tensor, Tensor, Tensor]:
        """Codes in one numbering, numbers, and lists padded with the code that stands for nothing:
        (n, c) int64, (n, m) float32, (n, l, longest) int64."""
        columns, nothing = len(table.sizes), int(self.starts[-1])
        codes = table.codes + self.starts[:columns]
        lists = np.zeros((len(table), len(table.lists), LONGEST), dtype=np.int64)
        for place, each in enumerate(table.lists):
            padded = each.last(LONGEST, pad=-1)
            lists[:, place] = np.where(padded < 0, nothing, padded + self.starts[columns + place])
        numbers = np.array(table.numbers, dtype=np.float32)
        return torch.from_numpy(codes), torch.from_numpy(numbers), torch.from_numpy(lists)

    @torch.no_grad()
    def predict(self, table: Table) -> NDArray[np.float64]:
        if self.network is None:
            raise RuntimeError("neither fitted nor loaded")
        device = next(self.network.parameters()).device
        self.network.eval()
        logits = self.network(*(each.to(device) for each in self._inputs(table)))
        return torch.sigmoid(logits.double()).cpu().numpy()

    def state(self) -> dict[str, Any]:
        if self.network is None:
            raise RuntimeError("nothing is fitted")
        return {"starts": self.starts, **self.network.state_dict()}

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: torch.as_tensor(value) for name, value in state.items()}
        self.starts = arrays.pop("starts").numpy()
        network = Network(
            len(arrays["vectors.code.weight"]) - 1,
            len(arrays["vectors.number"]),
            arrays["item"].bool(),
            self.params,
        )
        network.load_state_dict(arrays)
        self.network = network


def starts_of(table: Table) -> NDArray[np.int64]:
    """(c + l + 1,) where the codes of each column and list begin in one numbering; its end at last.
    A list of the values of a column shares that column's."""
    starts = [int(start) for start in table.offsets()]
    end = sum(table.sizes)
    for each in table.lists:
        starts.append(end if each.column is None else starts[each.column])
        end += each.size if each.column is None else 0
    return np.array([*starts, end], dtype=np.int64)


def item_side(table: Table) -> Tensor:
    """(c + m + l,) which features belong to the item: those that never differ between two rows of
    the same item. Where nobody says which column the item is, the second half of them all."""
    lists = [each.last(LONGEST, pad=-1) for each in table.lists]
    columns = [*table.codes.T, *table.numbers.T, *lists]
    if table.item is None:
        return torch.arange(len(columns)) >= len(columns) / 2
    items = table.codes[:, table.item]
    order = np.argsort(items, kind="stable")
    same = np.diff(items[order]) == 0
    fixed = []
    for column in columns:
        ordered = column[order].reshape(len(items), -1)
        fixed.append(bool((ordered[1:] == ordered[:-1])[same].all()))
    fixed[table.item] = True
    return torch.tensor(fixed)
