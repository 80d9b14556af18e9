"""A controller that decides a point parameter by parameter, trained by policy gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from evolver.core import Observation, Parameter, Value
from evolver.tune.encoding import Encoding, centred_ranks
from evolver.tune.sampling import Point, filled, from_unit, seeded, to_unit, unlike_observed

HIDDEN = 32


@dataclass
class Reinforce:
    """REINFORCE with a baseline and an entropy bonus, after the controller of ENAS (Pham et al.
    2018), with imitation of its own best points (Oh et al. 2018), since trials are few.

    Every call trains the controller anew by replaying the observations in their order, a few at a
    time, so it is a pure function. Rewards are ranks among what had been observed by then.
    `experience` holds the observations of earlier runs on other data, oldest first in each: they
    are replayed before, each run with its own ranks. `context` describes the data regime to the
    controller (any numbers of order one); `contexts` does so for each run of the experience.
    """

    name: str = "rl"
    startup: int = 4
    chunk: int = 4
    updates: int = 8
    """Gradient steps for every chunk of observations."""
    elite: int = 4
    imitation: float = 1.0
    learning_rate: float = 0.05
    entropy: float = 0.02
    explore: float = 0.1
    """Share of the suggestions that come from the untrained controller."""
    experience: Sequence[Sequence[Observation]] = ()
    context: tuple[float, ...] = ()
    contexts: Sequence[tuple[float, ...]] = ()

    def suggest(
        self, space: Sequence[Parameter], observed: Sequence[Observation], seed: int
    ) -> Mapping[str, Value]:
        encoding = Encoding(tuple(space))
        fresh = Policy(encoding, len(self.context))
        trained = Policy(encoding, len(self.context))
        contexts = self.contexts or [self.context] * len(self.experience)
        for run, context in zip(self.experience, contexts, strict=True):
            self._replay(trained, run, context)
        self._replay(trained, observed, self.context)
        untrained = len(observed) < self.startup and not self.experience

        def ask(derived: int) -> Point:
            rng = seeded(derived)
            use = fresh if untrained or rng.random() < self.explore else trained
            return use.sample(rng, self.context)

        return unlike_observed(space, observed, seed, ask)

    def _replay(
        self, policy: Policy, observed: Sequence[Observation], context: tuple[float, ...]
    ) -> None:
        """Train on one run, as if it were happening again."""
        if not observed:
            return
        scores = [score for _, score in filled(observed)]
        rows = policy.encoding.rows([o.point for o in observed])
        optimiser = torch.optim.Adam(policy.parameters, lr=self.learning_rate)
        for end in range(self.chunk, len(observed) + self.chunk, self.chunk):
            seen = centred_ranks(scores[:end])
            best = np.argsort(-seen, kind="stable")[: max(self.elite, len(seen) // 8)]
            latest = np.arange(max(end - self.chunk, 0), min(end, len(observed)))
            batch = np.concatenate([latest, best])
            # The mean rank of all that was seen is zero: it is the baseline. Imitation is of
            # what was better than that, so its advantage is never negative.
            weight = seen[batch] / len(latest)
            weight[len(latest) :] = self.imitation * np.maximum(seen[best], 0.0) / len(best)
            advantage = torch.tensor(weight)
            for _ in range(self.updates):
                log_probability, entropy = policy.evaluate(rows[batch], context)
                loss = -(advantage * log_probability).sum() - self.entropy * entropy.mean()
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(policy.parameters, 1.0)
                optimiser.step()


class Policy:
    """The distribution of each decision, given the data regime and all decisions before it.

    A choice is categorical; a number is normal around a place between its bounds. Untrained,
    choices are uniform and numbers wide around their default.
    """

    def __init__(self, encoding: Encoding, context: int) -> None:
        self.encoding = encoding
        generator = torch.Generator().manual_seed(0)
        steps, outputs = len(encoding.space), max([2, *(len(p.choices) for p in encoding.space)])
        width = encoding.width + context
        self.inward = torch.randn(width, HIDDEN, generator=generator) / width**0.5
        self.step = torch.randn(steps, HIDDEN, generator=generator)
        self.outward = torch.zeros(steps, HIDDEN, outputs)
        self.offset = torch.zeros(steps, outputs)
        for index, p in enumerate(encoding.space):
            if p.kind != "choice":
                self.offset[index, 0] = 0.5 if p.default is None else to_unit(p, p.default)
                self.offset[index, 1] = float(np.log(0.3))
        self.parameters = [self.inward, self.step, self.outward, self.offset]
        for tensor in self.parameters:
            tensor.requires_grad_(True)
        self.numeric = torch.tensor([p.kind != "choice" for p in encoding.space])
        sizes = torch.tensor([len(p.choices) or outputs for p in encoding.space])
        self.impossible = torch.arange(outputs)[None, :] >= sizes[:, None]

    def outputs(self, rows: torch.Tensor, context: tuple[float, ...]) -> torch.Tensor:
        """(n, steps, outputs) from (n, width) rows: each step sees what comes before it."""
        seen = rows[:, None, :] * torch.tensor(self.encoding.prefixes)
        regime = torch.tensor(context, dtype=torch.float32).expand(*seen.shape[:2], -1)
        hidden = torch.tanh(torch.cat([seen, regime], dim=2) @ self.inward + self.step)
        return torch.einsum("nsh,sho->nso", hidden, self.outward) + self.offset

    def evaluate(
        self, rows: NDArray[np.float32], context: tuple[float, ...]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(n,) log-probability and (n,) entropy of the decisions that these points made."""
        told = torch.tensor(rows)
        out = self.outputs(told, context)
        starts = torch.tensor(self.encoding.starts[:-1])
        columns = (starts[:, None] + torch.arange(out.shape[2])).clamp_max(self.encoding.width - 1)
        own = told[:, columns]  # (n, steps, outputs): what was decided at each step
        logits = out.masked_fill(self.impossible, -1e9)
        logs = torch.log_softmax(logits, dim=2)
        picked = (own.masked_fill(self.impossible, 0.0) * logs).sum(dim=2)
        choice_entropy = -(logs.exp() * logs).sum(dim=2)
        spread = out[..., 1].clamp(-4.0, 0.0)
        number = -0.5 * ((own[..., 1] - out[..., 0]) / spread.exp()) ** 2 - spread
        decided = own.masked_fill(self.impossible, 0.0).amax(dim=2) > 0
        active = torch.where(self.numeric, own[..., 0] > 0, decided)
        zero = torch.zeros(())
        log_probability = torch.where(active, torch.where(self.numeric, number, picked), zero)
        entropy = torch.where(active, torch.where(self.numeric, spread, choice_entropy), zero)
        return log_probability.sum(dim=1), entropy.sum(dim=1)

    @torch.no_grad()
    def sample(self, rng: np.random.Generator, context: tuple[float, ...]) -> Point:
        """One point, decision by decision."""
        space = self.encoding.space
        point: Point = {}
        index = self.encoding.next_open(point, 0)
        while index < len(space):
            p = space[index]
            row = torch.tensor(self.encoding.row(point))[None]
            out = self.outputs(row, context)[0, index].numpy().astype(np.float64)
            if p.kind == "choice":
                weights = np.exp(out[: len(p.choices)] - out[: len(p.choices)].max())
                chosen = rng.choice(len(p.choices), p=weights / weights.sum())
                point[p.name] = p.choices[int(chosen)]
            else:
                spread = np.exp(np.clip(out[1], -4.0, 0.0))
                point[p.name] = from_unit(p, float(rng.normal(out[0], spread)))
            index = self.encoding.next_open(point, index + 1)
        return point
