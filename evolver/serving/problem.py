"""What learners maximise: the off-policy value of a softmax policy on a log, made cautious."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from evolver.errors import DataError
from evolver.serving.context import Encoder, fit_encoder
from evolver.serving.log import BanditLog
from evolver.serving.policy import SoftmaxPolicy, scored
from evolver.serving.rewards import predicted_rewards

Floats = NDArray[np.float64]
LearnerName = Literal["cem", "cmaes", "gradient"]
Goal = Literal["ips", "snips", "dr"]
SIZE = 5.0
"""Weights are kept within this of 0; inputs are standardised, so more is a hard choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to learn. Rewards are measured in their own standard deviations throughout.

    goal: the estimator that is maximised. caution: standard errors of it that are taken off
    (Swaminathan and Joachims, 2015). stay: weight of the divergence from the logging policy,
    KL(logging || policy) up to a constant. entropy: weight of the policy's own entropy (gradient
    only). steps: generations, or gradient steps.
    """

    learner: LearnerName = "gradient"
    goal: Goal = "snips"
    caution: float = 1.0
    stay: float = 0.003
    entropy: float = 0.0
    steps: int = 0
    explore: float = 0.0

    @property
    def contextual(self) -> bool:
        return self.learner == "gradient"


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """A log prepared for learning: `frame` is the policy with all weights 0.

    terms: (n, t) encoded contexts. inputs: (1 or n, K, m). forbidden: (K,). goal: as in `Settings`;
    predicted: (n, K) rewards for "dr", zeros else. unit: standard deviation of rewards. limit: of
    weights while learning.
    """

    log: BanditLog
    frame: SoftmaxPolicy
    terms: Floats
    inputs: Floats
    predicted: Floats
    unit: float
    limit: float

    def policy(self, weights: Floats) -> SoftmaxPolicy:
        """The policy with these (t, m) weights."""
        f = self.frame
        return SoftmaxPolicy(
            names=f.names,
            encoder=f.encoder,
            weights=weights,
            scores=f.scores,
            features=f.features,
            one_hot=f.one_hot,
            allowed=f.allowed,
            explore=f.explore,
        )

    def static_worth(self, weights: Floats, settings: Settings) -> float:
        """The cautious value of a static policy with (m,) weights, in deviations of the reward."""
        log = self.log
        logits = (
            scored(weights[None, :], self.inputs)
            if len(self.inputs) == 1
            else np.asarray(self.inputs @ weights)
        )
        logits = np.where(self.frame.allowed, logits, -np.inf)
        uniform = self.frame.allowed / self.frame.allowed.sum()
        chances = (1 - self.frame.explore) * softmax(logits, axis=1) + self.frame.explore * uniform
        rows = np.arange(len(log)) if len(chances) > 1 else np.zeros(len(log), dtype=np.int64)
        taken = chances[rows, log.actions]
        w = np.minimum(taken / log.propensities, self.limit)
        if settings.goal == "dr":
            own = self.predicted[np.arange(len(log)), log.actions]
            values = (chances * self.predicted).sum(axis=1) + w * (log.rewards - own)
            value = float(values.mean())
        elif settings.goal == "snips":
            below = max(float(w.mean()), 1e-12)
            value = float((w * log.rewards).mean()) / below
            values = value + w * (log.rewards - value) / below
        else:
            values = w * log.rewards
            value = float(values.mean())
        error = float(values.std() / np.sqrt(len(log)))
        away = -float(np.log(np.maximum(taken, 1e-12)).mean())
        return (value - settings.caution * error) / self.unit - settings.stay * away


def prepare(
    log: BanditLog,
    settings: Settings,
    *,
    one_hot: bool | None = None,
    seed: int = 0,
) -> Problem:
    """The problem of learning on this log. Raises `DataError` where rewards are all the same.

    one_hot: a weight for each action besides its scores and features; by default only where the
    log has neither. Actions that were never logged at some position are not allowed.
    """
    spread = float(log.rewards.std())
    if spread == 0:
        raise DataError("all rewards of the log are the same; there is nothing to learn from")
    encoder = fit_encoder(log.context) if settings.contextual else Encoder()
    scores = {name: (float(v.mean()), float(v.std()) or 1.0) for name, v in log.scores.items()}
    features = {
        name: (v - v.mean()) / (float(v.std()) or 1.0)
        for name, v in log.features.items()
        if v.std() > 0
    }
    if one_hot is None:
        one_hot = not scores and not features
    frame = SoftmaxPolicy(
        names=log.names,
        encoder=encoder,
        weights=np.zeros(0),
        scores=scores,
        features=features,
        one_hot=one_hot,
        allowed=np.asarray(log.seen.all(axis=0)),
        explore=settings.explore,
    )
    if not frame.allowed.any():
        raise DataError("no action was logged at every position; merge actions or positions")
    predicted = np.zeros((len(log), len(log.names)))
    if settings.goal == "dr":
        predicted = predicted_rewards(log, seed=seed)
    return Problem(
        log=log,
        frame=frame,
        terms=encoder.encode(log.context, len(log)),
        inputs=frame.inputs(log.scores),
        predicted=predicted,
        unit=spread,
        limit=len(log) ** 0.5,
    )
