"""iALS: matrix factorisation for implicit feedback by alternating least squares.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets", ICDM 2008, with
the objective and the frequency-scaled regularisation of Rendle et al., "Revisiting the Performance
of iALS on Item Recommendation Benchmarks", RecSys 2022:

    sum over observed (w_u . h_i - 1)^2  +  alpha * sum over all pairs (w_u . h_i)^2
      + l2 * sum over rows (taken + alpha * other side's size)^exponent * |row|^2

Users have no stored factors: whoever asks is folded in from the history, by the same exact solve
that training uses.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from torch import Tensor

from evolver.contract import Budget, Float, Int, Interactions, Params, Users

FAMILY = "matrix factorisation"
SERVES_UNSEEN = True
TUNABLES = {
    "factors": Int(16, 512, default=128, log=True),
    "sweeps": Int(4, 24, default=10, log=True),
    # what an unobserved pair weighs, in units of the square root of the data's density: the best
    # value then hardly moves from sparse data to dense
    "weight": Float(0.1, 10.0, default=1.2, log=True),
    "l2": Float(3e-4, 0.1, default=0.005, log=True),
    "exponent": Float(0.0, 1.0, default=1.0),
}

BLOCK_FLOATS = 8_000_000  # size of the largest temporary array


class Side:
    """One side's factors, turned into the basis in which their Gram matrix is diagonal."""

    def __init__(self, factors: Tensor, spectrum: Tensor) -> None:
        zero = factors.new_zeros((1, factors.shape[1]))
        self.padded = torch.cat([factors, zero])  # row -1 pads short lists
        self.spectrum = spectrum

    @classmethod
    def of(cls, factors: Tensor) -> Side:
        spectrum, basis = torch.linalg.eigh(factors.T @ factors)
        return cls(factors @ basis, spectrum.clamp(min=0.0))

    @property
    def factors(self) -> Tensor:
        return self.padded[:-1]


class Model:
    """Scores = folded-in user factors @ item factors."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.items = Side(torch.zeros((0, params.factors)), torch.zeros(params.factors))
        self.popularity = torch.zeros(0)
        self.alpha = 0.0

    def fit(self, train: Interactions, budget: Budget) -> Iterator[tuple[int, float]]:
        start = time.monotonic()
        torch.set_num_threads(budget.threads)
        taken = train.matrix()
        takers = taken.T.tocsr()
        density = max(taken.nnz, 1) / (train.n_users * train.n_items)
        self.alpha = float(np.float32(self.params.weight * density**0.5))
        generator = torch.Generator().manual_seed(budget.seed)
        factors = torch.randn((train.n_items, self.params.factors), generator=generator)
        self.items = Side.of((factors * 0.1 / self.params.factors**0.5).to(budget.device))
        self.popularity = torch.from_numpy(train.popularity().astype(np.float32))
        for sweep in range(1, self.params.sweeps + 1):
            began = time.monotonic()
            users = Side.of(self._solve(taken, self.items))
            self.items = Side.of(self._solve(takers, users))
            yield sweep, self._loss(takers, users)
            now = time.monotonic()
            if now - start + 1.5 * (now - began) > 0.9 * budget.seconds:
                break

    def _solve(self, rows: csr_matrix, other: Side) -> Tensor:
        """(len(rows), factors): the least-squares factors of each row against the other side.

        For one row with the observed factors Y (m, d) the normal equations are
        (Y'Y + D) w = Y'1 with D diagonal, as the basis diagonalises the Gram matrix. For short
        rows the equal m-by-m system (Y D^-1 Y' + I) z = 1, w = D^-1 Y'z is much smaller.
        """
        alpha, width = self.alpha, self.params.factors
        sizes = np.diff(rows.indptr)
        ridge = self.params.l2 * (sizes + alpha * rows.shape[1]) ** self.params.exponent
        ridges = torch.from_numpy(ridge.astype(np.float32)).to(other.padded.device)
        solved = other.padded.new_zeros((len(sizes), width))
        for block, length in batches(sizes, width):
            lists = padded_lists(rows, block, length).to(solved.device)
            Y = other.padded[lists]
            index = torch.from_numpy(block).to(solved.device)
            D = alpha * other.spectrum + ridges[index, None]
            if length < width:
                scaled = Y / D[:, None, :]
                kernel = scaled @ Y.mT
                kernel.diagonal(dim1=1, dim2=2).add_(1.0)
                ones = torch.ones((len(block), length, 1), device=Y.device)
                z = torch.cholesky_solve(ones, torch.linalg.cholesky(kernel))
                solved[index] = (scaled.mT @ z)[..., 0]
            else:
                normal = Y.mT @ Y
                normal.diagonal(dim1=1, dim2=2).add_(D)
                right = Y.sum(dim=1)[..., None]
                solved[index] = torch.cholesky_solve(right, torch.linalg.cholesky(normal))[..., 0]
        return solved

    def _loss(self, takers: csr_matrix, users: Side) -> float:
        """Mean squared error on the observed pairs, of a sample of items that is the same always.

        Of the objective, this is the part that tells whether the sweeps still change anything.
        """
        picked = np.arange(0, takers.shape[0], max(1, takers.shape[0] // 256))
        error, count = 0.0, 0
        factors = self._solve(takers[picked], users)
        for row, item in enumerate(picked):
            who = takers.indices[takers.indptr[item] : takers.indptr[item + 1]]
            error += float(((users.padded[who.astype(np.int64)] @ factors[row] - 1) ** 2).sum())
            count += len(who)
        return error / max(count, 1)

    def score(self, users: Users) -> NDArray[np.float32]:
        folded = self._solve(users.matrix(), self.items)
        scores = (folded @ self.items.factors.T).cpu()
        scores[torch.from_numpy(np.diff(users.indptr) == 0)] = self.popularity
        return scores.numpy()

    def state(self) -> dict[str, Any]:
        return {
            "item_factors": self.items.factors,
            "spectrum": self.items.spectrum,
            "alpha": np.float32(self.alpha),
            "popularity": self.popularity,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        arrays = {name: torch.as_tensor(value) for name, value in state.items()}
        self.items = Side(arrays["item_factors"], arrays["spectrum"])
        self.popularity, self.alpha = arrays["popularity"], float(arrays["alpha"])


def batches(sizes: NDArray[np.int64], width: int) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Row numbers in groups of like length, and the longest length in each; empty rows left out."""
    order = np.argsort(sizes, kind="stable")
    order = order[sizes[order] > 0]
    while len(order):
        # grow the group from its shortest row until the padded block would be too large
        lengths = sizes[order]
        floats = np.arange(1, len(order) + 1) * lengths * np.maximum(width, lengths)
        wide = (lengths > 1.25 * lengths[0] + 4) | (floats > BLOCK_FLOATS)
        stop = max(1, int(np.argmax(wide)) if wide.any() else len(order))
        yield order[:stop], int(lengths[stop - 1])
        order = order[stop:]


def padded_lists(rows: csr_matrix, block: NDArray[np.int64], length: int) -> Tensor:
    """(len(block), length) int64: the columns of each row, padded with -1."""
    offsets = rows.indptr[block][:, None] + np.arange(length)
    inside = offsets < rows.indptr[block + 1][:, None]
    columns = rows.indices[np.where(inside, offsets, 0)]
    return torch.from_numpy(np.where(inside, columns, -1).astype(np.int64))
