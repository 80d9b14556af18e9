"""A controller that decides a point decision by decision, trained by policy gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.core import Observation, Parameter, Value
from evolver.tune.critic import Critic
from evolver.tune.encoding import Decisions
from evolver.tune.experience import Experience
from evolver.tune.sampling import Point, Rule, random_point, seeded, unlike_observed

_CLOSED = -1e9
Rewards = Callable[[NDArray[np.float32]], NDArray[np.float64]]


@dataclass
class Reinforce:
    """REINFORCE with a baseline and an entropy bonus, as the controller of ENAS (Pham et al. 2018).

    Trials are far too few to learn from them alone, so the episodes that a policy is trained on
    are imagined, and rewarded by a critic that has seen every trial. Each call draws its critic
    anew from the posterior (randomised value functions, Osband et al. 2016) and trains a fresh
    policy for it, so exploration goes where there is doubt and calls side by side differ. A pure
    function of its arguments.

    `experience` holds earlier runs on other data; the critic shares effects with each as far as
    its data regime is like `regime`. With it, the first suggestion is already an informed one. An
    action that breaks one of the `rules` is masked.
    """

    name: str = "rl"
    startup: int = 1
    """Random points before the policy takes over, unless there is experience."""
    updates: int = 30
    """Policy-gradient steps, of `episodes` imagined episodes each."""
    episodes: int = 32
    learning_rate: float = 0.3
    entropy: float = 0.05
    doubt: float = 1.0
    experience: Sequence[Experience] = ()
    regime: tuple[float, ...] = ()
    rules: Sequence[Rule] = ()

    def within(self, rules: Sequence[Rule]) -> Reinforce:
        """The same, for a space with these rules."""
        return replace(self, rules=tuple(rules))

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        earlier = [run for told in self.experience if (run := told.of(space)).observed]
        if len(observed) < self.startup and not earlier:
            return unlike_observed(
                space, observed, seed, lambda s: random_point(space, seeded(s), self.rules)
            )
        decisions = Decisions(tuple(space))
        runs = [*earlier, Experience(observed=tuple(observed), regime=self.regime)]
        critic = Critic(decisions, runs, seeded(seed, "critic"), doubt=self.doubt)
        policy = Policy(decisions, self.rules)
        self._train(policy, critic, seed)

        def ask(derived: int) -> Point:
            generator = torch.Generator().manual_seed(derived)
            actions = policy.play(1, generator).actions[:, 0].tolist()
            return policy.point(actions, seeded(derived))

        return unlike_observed(space, observed, seed, ask)

    def _train(self, policy: Policy, rewards: Rewards, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.Adam(
            [
                {"params": [policy.bias], "lr": self.learning_rate},
                {"params": [policy.weight], "lr": self.learning_rate / 2},
            ]
        )
        for _ in range(self.updates):
            episodes = policy.play(self.episodes, generator)
            reward = rewards(episodes.rows.numpy())
            # The mean reward is the baseline; in units of their spread steps fit any rewards.
            advantage = torch.tensor((reward - reward.mean()) / (reward.std() + 1e-6)).float()
            log_probability, entropy = policy.judge(episodes)
            loss = -(advantage * log_probability + self.entropy * entropy).mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()


@dataclass(frozen=True, slots=True)
class Episodes:
    """n points, decision by decision. actions: (steps, n) int64, -1 where a decision does not
    exist. closed: (steps, n, most actions), 0 for an action that was open, else very low. seen:
    (steps, n, width), the features of what was decided before. rows: (n, width), of the whole
    points."""

    actions: torch.Tensor
    closed: torch.Tensor
    seen: torch.Tensor
    rows: torch.Tensor


class Policy:
    """The distribution of each decision, log-linear in the decisions before it. Untrained, all
    actions are alike. What does not exist is skipped; what is no action, or breaks a rule, is
    masked."""

    def __init__(self, decisions: Decisions, rules: Sequence[Rule] = ()) -> None:
        self.decisions = decisions
        self.rules = tuple(rules)
        ruled = {name for rule in rules for name in rule.names()}
        self._ruled = [p.name in ruled for p in decisions.space]
        steps, most, width = decisions.features.shape
        self._features = torch.tensor(decisions.features)
        self._opened = torch.tensor(decisions.opened)
        known = torch.arange(most)[None, :] < torch.tensor(decisions.sizes)[:, None]
        self._mask = torch.where(known, 0.0, _CLOSED)
        self.bias = torch.zeros(steps, most, requires_grad=True)
        self.weight = torch.zeros(steps, width, most, requires_grad=True)

    @torch.no_grad()
    def play(self, n: int, generator: torch.Generator) -> Episodes:
        """Play n episodes side by side."""
        steps, _, width = self._features.shape
        luck = torch.rand(steps, n, 1, generator=generator)
        rows, seen, closed = torch.zeros(n, width), [], []
        actions = torch.full((steps, n), -1)
        for step, parent in enumerate(self.decisions.parents.tolist()):
            seen.append(rows)
            closed.append(self._mask[step] + self._against_rules(step, actions))
            logits = torch.addmm(self.bias[step] + closed[-1], rows, self.weight[step])
            below = torch.softmax(logits, dim=1).cumsum(dim=1) < luck[step]
            action = below.sum(dim=1).clamp_max(int(self.decisions.sizes[step]) - 1)
            features = self._features[step][action]
            if parent >= 0:
                above = actions[parent]
                exists = (above >= 0) & self._opened[step][above.clamp_min(0)]
                action = torch.where(exists, action, -1)
                features = features * exists[:, None]
            actions[step] = action
            rows = rows + features
        return Episodes(actions, torch.stack(closed), torch.stack(seen), rows)

    def _against_rules(self, step: int, actions: torch.Tensor) -> torch.Tensor:
        """(n, most actions): very low for what breaks a rule, given the (steps, n) actions so far;
        numbers are taken at the middle of their part."""
        found = torch.zeros(actions.shape[1], self._mask.shape[1])
        if self._ruled[step]:
            decided = [self.decisions.space[s].name for s in range(step)]
            for episode, chosen in enumerate(actions[:step].T.tolist()):
                point = {
                    name: self.decisions.value(s, action)
                    for s, (name, action) in enumerate(zip(decided, chosen, strict=True))
                    if action >= 0
                }
                lawful = torch.tensor(self.decisions.lawful(step, point, self.rules))
                found[episode, : len(lawful)] = torch.where(lawful, 0.0, _CLOSED)
        return found

    def judge(self, episodes: Episodes) -> tuple[torch.Tensor, torch.Tensor]:
        """(n,) log-probability and (n,) entropy, summed over the decisions that exist."""
        closed = self.bias[:, None, :] + episodes.closed
        logits = torch.baddbmm(closed, episodes.seen, self.weight)
        logs = torch.log_softmax(logits, dim=2)
        exists = (episodes.actions >= 0).float()
        picked = logs.gather(2, episodes.actions.clamp_min(0)[..., None])[..., 0]
        entropy = -(logs.exp() * logs).sum(dim=2)
        return (exists * picked).sum(dim=0), (exists * entropy).sum(dim=0)

    def point(self, actions: Sequence[int], rng: np.random.Generator) -> Point:
        """The point that these actions decide; a number lies anywhere in its part where no rule is
        broken."""
        point: Point = {}
        for step, (p, action) in enumerate(zip(self.decisions.space, actions, strict=True)):
            if action >= 0:
                mine = [rule for rule in self.rules if p.name in rule.names()]
                for place in (float(rng.random()), 0.5, 0.0, 1.0):
                    point[p.name] = self.decisions.value(step, action, place)
                    if not any(rule.broken_by(point) for rule in mine):
                        break
        return point
