"""Contextual weights by policy gradient on logged data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evolver.serving.problem import SIZE, Problem, Settings

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
STEPS = 200
_RATE = 0.05
_DECAY = 1e-3


def policy_gradient(problem: Problem, settings: Settings, seed: int) -> Floats:
    """(t, m) weights by off-policy REINFORCE (Williams, 1992), on the whole log at each step.

    The gradient of the estimate is the mean of w (r - b) grad log policy(a|x): for "ips" the
    baseline b is the mean reward, for "snips" the ratio's own value (its gradient has that form),
    for "dr" the predicted reward, with the gradient of the model's part added. Adam, from zero
    weights; a small decay keeps what the log says nothing about at zero. `seed` plays no part.
    """
    import torch

    del seed
    log = problem.log
    terms = torch.from_numpy(problem.terms)
    inputs = torch.from_numpy(np.ascontiguousarray(problem.inputs))
    actions = torch.from_numpy(log.actions)[:, None]
    propensities = torch.from_numpy(log.propensities)
    rewards = torch.from_numpy(log.rewards)
    predicted = torch.from_numpy(problem.predicted)
    own = predicted.gather(1, actions)[:, 0]
    forbidden = torch.from_numpy(~problem.frame.allowed)
    explore = problem.frame.explore
    uniform = (~forbidden).double() / (~forbidden).sum()
    baseline = rewards.mean()
    weights = torch.zeros((terms.shape[1], inputs.shape[2]), dtype=torch.float64)
    weights.requires_grad_(True)
    optimiser = torch.optim.Adam([weights], lr=_RATE)

    def values(w: torch.Tensor, chances: torch.Tensor) -> torch.Tensor:
        """(n,) whose mean is the estimate and whose spread is the estimate's."""
        if settings.goal == "dr":
            return (chances * predicted).sum(dim=1) + w * (rewards - own)
        if settings.goal == "ips":
            return baseline + w * (rewards - baseline)
        below = w.mean().clamp_min(1e-12)
        value = (w * rewards).mean() / below
        return value + w * (rewards - value) / below

    for _ in range(settings.steps or STEPS):
        theta = terms @ weights
        logits = (
            theta @ inputs[0].T if len(inputs) == 1 else torch.einsum("nm,nkm->nk", theta, inputs)
        )
        logits = logits.masked_fill(forbidden, -torch.inf)
        chances = (1 - explore) * torch.softmax(logits, dim=1) + explore * uniform
        taken = chances.gather(1, actions)[:, 0].clamp_min(1e-12)
        v = values((taken / propensities).clamp_max(problem.limit), chances)
        worth = (v.mean() - settings.caution * v.std() / len(log) ** 0.5) / problem.unit
        worth = worth + settings.stay * taken.log().mean()
        if settings.entropy:
            surprise = chances * chances.clamp_min(1e-12).log()
            worth = worth - settings.entropy * surprise.sum(dim=1).mean()
        loss = -worth + _DECAY * (weights**2).sum()
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        with torch.no_grad():
            weights.clamp_(-SIZE, SIZE)
    return np.asarray(weights.detach().numpy())
