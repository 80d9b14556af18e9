"""May a learned policy replace what serves now? Only if a log that it never saw says so.

Adopted when, on held-out rows: nothing that it chooses was never logged, the rows are worth enough
observations of it, importance weights average 1 but for luck, and the lower bound of its value less
the incumbent's lies above the least gain. Then a policy that is no better is adopted with chance
`level` at most: exactly so for the betting bound, in large logs for Student's.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evolver.errors import UsageError
from evolver.serving.estimators import Rows, rows_of, terms_of, weights_of
from evolver.serving.intervals import betting_bound, student
from evolver.serving.log import BanditLog
from evolver.serving.offpolicy import FEW_EFFECTIVE, MOST_UNSUPPORTED, Support, support_of
from evolver.serving.rewards import predicted_rewards

Floats = NDArray[np.float64]
Bound = Literal["betting", "student"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptEvidence:
    """What a verdict rests on, all from held-out rows.

    policy, incumbent, gain: values by `estimator`. lower: the lower bound of the gain that is
    missed with chance `miss` at most. least_gain: what it had to exceed.
    """

    estimator: str
    policy: float
    incumbent: float
    gain: float
    lower: float
    bound: Bound
    miss: float
    least_gain: float
    incumbent_name: str
    support: Support


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptVerdict:
    """Whether to adopt, why, and on what evidence."""

    decision: Literal["adopt", "keep"]
    reason: str
    evidence: AdoptEvidence

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    log: BanditLog,
    chances: Floats,
    incumbent: Floats | None = None,
    *,
    level: float = 0.05,
    tests: int = 1,
    least_gain: float = 0.0,
    bound: Bound = "betting",
    incumbent_name: str = "the logging policy",
    seed: int = 0,
) -> AdoptVerdict:
    """Judge a policy with (n, K) chances against an incumbent's, on rows that neither learned from.

    incumbent: None for the logging policy, whose value is the mean reward. tests: how many
    policies are judged on this log in all; the level is divided among them.
    bound: "betting" rests on IPS and holds for any log; "student" rests on DR and is sharper where
    the reward model is good. Raises `UsageError` on a level that is none.
    """
    if not 0 < level < 1 or tests < 1:
        raise UsageError(f"level {level:g} must lie between 0 and 1, tests {tests} be 1 or more")
    miss, support = level / tests, support_of(log, chances)
    old = weights_of(log, incumbent) if incumbent is not None else np.ones(len(log))
    if bound == "betting":
        new_rows = Rows(top=log.per_unit(weights_of(log, chances) * log.rewards))
        old_rows = Rows(top=log.per_unit(old * log.rewards))
        lower = _betting(log, weights_of(log, chances), old, miss)
    else:
        predicted = predicted_rewards(log, seed=seed)
        new_rows = rows_of("dr", terms_of(log, chances, predicted), log)
        old_rows = (
            Rows(top=log.per_unit(log.rewards))
            if incumbent is None
            else rows_of("dr", terms_of(log, incumbent, predicted), log)
        )
        lower = student(new_rows.influence - old_rows.influence, 1 - 2 * miss).low
    evidence = AdoptEvidence(
        estimator="ips" if bound == "betting" else "dr",
        policy=new_rows.value,
        incumbent=old_rows.value,
        gain=new_rows.value - old_rows.value,
        lower=lower,
        bound=bound,
        miss=miss,
        least_gain=least_gain,
        incumbent_name=incumbent_name,
        support=support,
    )
    reasons = _against(evidence, None if incumbent is None else support_of(log, incumbent))
    if reasons:
        return AdoptVerdict(decision="keep", reason=reasons[0], evidence=evidence)
    return AdoptVerdict(decision="adopt", reason="better beyond luck", evidence=evidence)


def _betting(log: BanditLog, new: Floats, old: Floats, miss: float) -> float:
    """new r + old (most - r) - most is at least -most, and its mean is the gain in value, since
    weights average 1. Half of the reward's range is a rough guess at its spread."""
    most = log.most_reward
    rows = new * log.rewards + old * (most - log.rewards) - most
    units = log.per_unit(rows)
    return betting_bound(units, -most, miss, most)


def _against(e: AdoptEvidence, incumbent: Support | None) -> list[str]:
    found = []
    for who, support in (("it", e.support), (e.incumbent_name, incumbent)):
        if support is None:
            continue
        if support.unsupported > MOST_UNSUPPORTED:
            share = support.unsupported
            found.append(f"{share:.1%} of what {who} chooses was never logged")
        if support.effective < FEW_EFFECTIVE:
            worth = support.effective
            found.append(f"the log is worth {worth:.0f} observations of {who}; that is too few")
        if abs(support.mean_weight - 1) > 4 * max(support.weight_error, 1e-12):
            found.append(f"the log's propensities do not fit {who}")
    if not found and not e.lower > e.least_gain:
        if e.gain <= 0:
            found.append("it is not better")
        elif e.lower > 0:
            found.append("better, but perhaps by less than the least gain")
        else:
            found.append("the gain may be luck")
    return found


def paragraph(verdict: AdoptVerdict) -> str:
    """The verdict for people, in one paragraph."""
    e = verdict.evidence
    s = e.support
    relative = f" ({e.gain / e.incumbent:+.1%})" if e.incumbent > 0 else ""
    groups = f" in {s.units} groups" if s.units != s.rows else ""
    word = "Adopt" if verdict.decision == "adopt" else f"Keep {e.incumbent_name}"
    return (
        f"{word}: {verdict.reason}. Value {e.incumbent:.5g} → {e.policy:.5g}, {e.gain:+.4g}"
        f"{relative} by {e.estimator.upper()} on {s.rows} held-out rows{groups}; the gain is at "
        f"least {e.lower:+.4g} with confidence {1 - e.miss:.1%} ({e.bound} bound), and had to "
        f"exceed {e.least_gain:g}. Those rows are worth {s.effective:.0f} observations of the "
        f"policy, the largest weight is {s.largest_weight:.3g}, and {s.rewarded} rewards are "
        f"above 0."
    )
