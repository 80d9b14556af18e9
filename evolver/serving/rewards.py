"""A model of the reward, cross-fitted: each row is predicted by a model that never saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from evolver.serving.context import fit_encoder
from evolver.serving.log import BanditLog

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ROWS_A_WEIGHT = 10
"""Context-by-action weights are fitted when there are this many rows for each."""


@dataclass(frozen=True, kw_only=True)
class _Design:
    """Sparse columns of a linear model: context, action, position, scores, context by action."""

    terms: Floats
    crossed: bool
    log: BanditLog

    def matrix(self, rows: Ints) -> csr_matrix:
        log, n = self.log, len(rows)
        ones, at = np.ones(n), np.arange(n)
        shape = (n, len(log.names))
        actions = csr_matrix((ones, (at, log.actions[rows])), shape=shape)
        places = csr_matrix((ones, (at, log.positions[rows])), shape=(n, len(log.position_names)))
        context = self.terms[rows, 1:]
        own = [values[rows, log.actions[rows]][:, None] for values in log.scores.values()]
        parts = [csr_matrix(context), actions, places, *map(csr_matrix, own)]
        if self.crossed:
            width = context.shape[1]
            columns = log.actions[rows][:, None] * width + np.arange(width)
            parts.append(
                csr_matrix(
                    (context.ravel(), (np.repeat(at, width), columns.ravel())),
                    shape=(n, len(log.names) * width),
                )
            )
        return csr_matrix(hstack(parts))

    def every(self, weights: Floats, intercept: float, rows: Ints) -> Floats:
        """(rows, K) linear predictions for every action."""
        log, width = self.log, self.terms.shape[1] - 1
        count, places = len(log.names), len(log.position_names)
        cuts = np.cumsum([width, count, places, len(log.scores)])
        of_context, of_action, of_place, of_score, of_both = np.split(weights, cuts)
        context = self.terms[rows, 1:]
        base = intercept + context @ of_context + of_place[log.positions[rows]]
        found = base[:, None] + of_action
        for weight, values in zip(of_score, log.scores.values(), strict=True):
            found = found + weight * values[rows]
        if self.crossed:
            found = found + context @ of_both.reshape(count, width).T
        return np.asarray(found)


def predicted_rewards(log: BanditLog, *, folds: int = 3, seed: int = 0) -> Floats:
    """(n, K) expected rewards of every action in every row's context, in [0, most_reward].

    Cross-fitted over `folds` (groups stay together), so the model's error in a row is independent
    of that row's luck (Chernozhukov et al., 2018). Logistic regression for 0/1 rewards, ridge
    regression else, on context, action, position, scores, and context by action where rows
    suffice. Where a fold's training rows hold one reward only, that reward is the prediction.
    """
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(log.units) % folds)[
        log.groups if log.groups is not None else slice(None)
    ]
    terms = fit_encoder(log.context).encode(log.context, len(log))
    crossed = len(log) >= ROWS_A_WEIGHT * len(log.names) * (terms.shape[1] - 1)
    design = _Design(terms=terms, crossed=crossed and terms.shape[1] > 1, log=log)
    found = np.empty((len(log), len(log.names)))
    for held in range(folds):
        train, rest = np.flatnonzero(fold != held), np.flatnonzero(fold == held)
        if not len(rest):
            continue
        rewards = log.rewards[train]
        if not len(train) or rewards.min() == rewards.max():
            found[rest] = rewards[0] if len(train) else log.most_reward / 2
            continue
        if log.is_binary:
            model = LogisticRegression(C=1.0, max_iter=200, tol=1e-3).fit(
                design.matrix(train), rewards
            )
            linear = design.every(model.coef_[0], float(model.intercept_[0]), rest)
            found[rest] = expit(linear)
        else:
            ridge = Ridge(alpha=1.0).fit(design.matrix(train), rewards)
            linear = design.every(ridge.coef_, float(ridge.intercept_), rest)
            found[rest] = np.clip(linear, 0.0, log.most_reward)
    return found
