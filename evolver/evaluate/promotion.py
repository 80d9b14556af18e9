"""May a challenger replace the incumbent? The gate that keeps luck out.

A challenger is promoted when all of these hold on the promotion part, where nothing was selected:

1. both sides were trained with at least three seeds;
2. it is better: users are paired, seeds are drawn anew, and the p-value is at most what this
   reading of the part may spend;
3. the gain is at least the minimum effect: a relative minimum, or what luck can do if that is
   more, be it luck in training (the noise floor over seeds) or in which users were drawn;
4. no guardrail broke.

Correction: alpha spending. The j-th reading of the part may spend level / (j (j + 1)); over any
number of readings that sums to `level`. So it need not be known how many challengers will come,
and asking again with more seeds is one more reading that is paid for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from evolver.config import PromoteConfig
from evolver.core import Scored
from evolver.evaluate.effect import (
    Effect,
    Floats,
    NoiseFloor,
    beyond_users,
    bootstrap_effect,
    conclude,
    effect,
    noise_floor,
)
from evolver.evaluate.guardrails import Guardrail, guardrails, slice_guardrails

Decision = Literal["promote", "extend", "reject"]
_INTERVAL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a verdict rests on. `low` and `high` bound the difference, 95%, uncorrected."""

    metric: str
    challenger: float
    incumbent: float
    difference: float
    low: float
    high: float
    p_value: float
    allowed: float
    reading: int
    minimum_effect: float
    floor: NoiseFloor
    users: int
    seeds: tuple[int, int]
    """Of the challenger and of the incumbent."""
    seeds_share: float
    """Of the squared standard error, how much more seeds could take away."""
    guardrails: tuple[Guardrail, ...]
    accepted: tuple[str, ...] = ()
    """Guardrails that broke and that somebody has accepted."""

    @property
    def broken(self) -> tuple[Guardrail, ...]:
        """Guardrails that broke and that nobody has accepted."""
        return tuple(r for r in self.guardrails if not r.held and r.name not in self.accepted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`seeds`: how many to judge with next time, where the decision is to extend."""

    decision: Decision
    reason: str
    evidence: Evidence | None
    seeds: int = 0

    def as_data(self) -> dict[str, Any]:
        """The verdict as JSON-able data."""
        return asdict(self)

    def __str__(self) -> str:
        return paragraph(self)


def spend(level: float, reading: int) -> float:
    """The p-value that the j-th reading (from 1) may accept. Sums to `level` over all j."""
    if reading < 1:
        raise ValueError(f"readings are counted from 1, not {reading}")
    return level / (reading * (reading + 1))


def minimum_effect(floor: NoiseFloor, paired_error: float, config: PromoteConfig) -> float:
    """The least gain over the incumbent, whose floor this is, that is worth believing.

    `paired_error`: standard error over users of challenger less incumbent. An incumbent that trains
    alike with every seed has no floor over seeds, and still meets only so many users.
    """
    return max(config.minimum_gain * floor.mean, floor.difference, beyond_users(paired_error))


def judge(
    challenger: Sequence[Scored],
    incumbent: Sequence[Scored],
    *,
    metric: str,
    reading: int,
    config: PromoteConfig,
    slices: Mapping[str, NDArray[np.bool_]] | None = None,
    seed: int = 0,
    resamples: int = 10_000,
    guarded: bool = True,
) -> Verdict:
    """The verdict on one challenger, each side measured once per seed on the promotion part.

    `reading` counts every earlier judgement on this part and this one, whoever was judged.
    `slices` are groups of users that must not lose. Without `guarded` no other guardrail is
    looked at: the metric is not of what is served. Equal arguments give an equal verdict.
    """
    have = min(len(challenger), len(incumbent))
    if have < config.seeds:
        reason = f"{have} of {config.seeds} seeds are there; luck in training cannot be told yet"
        return Verdict(decision="extend", reason=reason, evidence=None, seeds=config.seeds)
    new, old = _stack(challenger, metric), _stack(incumbent, metric)
    found = effect(new, old)
    draws = bootstrap_effect(new, old, seed=seed, resamples=resamples)
    floor = noise_floor(old)
    stretch = student.ppf(0.5 + _INTERVAL / 2, found.freedom) / norm.ppf(0.5 + _INTERVAL / 2)
    tails = np.quantile(draws, [0.5 - _INTERVAL / 2, 0.5 + _INTERVAL / 2])
    difference = float(found.difference)
    low, high = difference + (tails - difference) * float(stretch)
    rails = [
        *(guardrails(challenger, incumbent, metric, config) if guarded else ()),
        *slice_guardrails(new, old, slices or {}),
    ]
    evidence = Evidence(
        metric=metric,
        challenger=float(new.mean()),
        incumbent=float(old.mean()),
        difference=difference,
        low=float(low),
        high=float(high),
        p_value=max(float(found.p_value), float((draws <= 0).mean())),
        allowed=spend(config.level, reading),
        reading=reading,
        minimum_effect=minimum_effect(floor, float(np.sqrt(found.users_variance)), config),
        floor=floor,
        users=new.shape[1],
        seeds=(len(new), len(old)),
        seeds_share=_share(found),
        guardrails=tuple(rails),
        accepted=tuple(r.name for r in rails if not r.held and _accepted(r.name, config)),
    )
    return _decide(evidence, found, config)


def _accepted(name: str, config: PromoteConfig) -> bool:
    return any(_plain(name).startswith(_plain(text)) for text in config.accept)


def _plain(name: str) -> str:
    return " ".join(name.lower().replace("-", " ").split())


def _decide(evidence: Evidence, found: Effect, config: PromoteConfig) -> Verdict:
    broken = [rail.name for rail in evidence.broken]
    if broken:
        reason = f"it pays with {', '.join(broken)}"
        return Verdict(decision="reject", reason=reason, evidence=evidence)
    better = evidence.p_value <= evidence.allowed
    enough = evidence.difference >= evidence.minimum_effect
    if better and enough:
        reason = "better beyond luck and beyond the minimum effect"
        return Verdict(decision="promote", reason=reason, evidence=evidence)
    seeds = _seeds_that_would_do(evidence, found, config)
    if seeds:
        could = "tell it from luck" if enough else "bring the noise floor below it"
        reason = f"promising, and {seeds} seeds could {could}"
        return Verdict(decision="extend", reason=reason, evidence=evidence, seeds=seeds)
    if evidence.difference <= 0:
        reason = "it is not better"
    elif better:
        reason = "better, but by less than the minimum effect"
    else:
        reason = "the gain may be luck, and more seeds would not settle it"
    return Verdict(decision="reject", reason=reason, evidence=evidence)


def _seeds_that_would_do(evidence: Evidence, found: Effect, config: PromoteConfig) -> int:
    """The fewest seeds that would promote if the difference stayed as it is; 0 if none would."""
    have = min(evidence.seeds)
    allowed = spend(config.level, evidence.reading + 1)
    over_users = beyond_users(float(np.sqrt(found.users_variance)))
    relative = max(config.minimum_gain * evidence.incumbent, over_users)
    for seeds in range(have + 2, config.most_seeds + 1, 2):
        floor = float(student.ppf(0.975, seeds - 1)) * evidence.floor.seed_deviation
        if evidence.difference < max(relative, floor * float(np.sqrt(2 / seeds))):
            continue
        over_seeds = found.seeds_variance * have / seeds
        spread = found.users_variance**2 / (evidence.users - 1) + over_seeds**2 / (seeds - 1)
        later = conclude(found.difference, found.users_variance, over_seeds, spread)
        if float(later.p_value) <= allowed:
            return seeds
    return 0


def paragraph(verdict: Verdict) -> str:
    """The verdict for people, in one paragraph."""
    evidence = verdict.evidence
    if evidence is None:
        return f"{verdict.decision.capitalize()}: {verdict.reason}."
    e = evidence
    relative = f" ({e.difference / e.incumbent:+.1%})" if e.incumbent > 0 else ""
    broken = e.broken
    accepted = f" Accepted although broken: {', '.join(e.accepted)}." if e.accepted else ""
    rails = (
        "; ".join(
            f"{r.name} {r.challenger:.4g} against {r.incumbent:.4g}, limit {r.limit:.4g}"
            for r in broken
        )
        or f"{'all' if not e.accepted else 'the other'} {len(e.guardrails) - len(e.accepted)} held"
    )
    return (
        f"{verdict.decision.capitalize()}: {verdict.reason}. {e.metric} {e.incumbent:.4f} → "
        f"{e.challenger:.4f}, {e.difference:+.4f}{relative}, 95% interval {e.low:+.4f} to "
        f"{e.high:+.4f}, over {e.users} users and {e.seeds[0]} against {e.seeds[1]} seeds. "
        f"p = {e.p_value:.2g}, where reading {e.reading} of this part may spend {e.allowed:.2g}. "
        f"Minimum effect {e.minimum_effect:.4f}; noise floor over seeds {e.floor.difference:.4f}. "
        f"Guardrails: {rails}.{accepted}"
    )


def _share(found: Effect) -> float:
    total = float(found.users_variance + found.seeds_variance)
    return float(found.seeds_variance) / total if total > 0 else 0.0


def _stack(side: Sequence[Scored], metric: str) -> Floats:
    """(seeds, users) float64. Raises ValueError where runs were not judged on the same users."""
    values = [scored.per_user[metric] for scored in side]
    if len({len(each) for each in values}) > 1:
        raise ValueError("runs of one candidate were judged on different users")
    return np.stack(values).astype(np.float64)
