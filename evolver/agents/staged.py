"""What a pipeline's run brings: the lists, and what each agent took and handed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from evolver.agents.document import Document, Stage
from evolver.agents.features import Scale
from evolver.agents.lists import Listed
from evolver.agents.merge import Merged
from evolver.core import Completed

QUANTILES = 101

Lists = NDArray[np.int32]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one agent took when it ran, `cached` or now. latency_ms: (QUANTILES,) of one user's
    request, from the fastest to the slowest."""

    agent: str
    stage: Stage
    seconds: float
    latency_ms: NDArray[np.float64]
    cached: bool


@dataclass(slots=True, kw_only=True, eq=False)
class Learned:
    """What serving needs of a run beside its programs. weights: as safetensors, by the agent that
    serves, where the job asked. odds: of a learned merge. scale: of what ranking reads."""

    weights: dict[str, bytes] = field(default_factory=dict)
    odds: NDArray[np.float64] | None = None
    scale: Scale | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Staged(Completed):
    """A pipeline that ran to its end, with what each agent handed on.

    recalled: (q, quota) by recall agent. probabilities: (q, depth) of the merged items, NaN where
    there is no item; None where nobody ranks.
    """

    document: Document
    stages: tuple[StageCost, ...]
    recalled: Mapping[str, Lists]
    merged: Merged
    learned: Learned
    probabilities: Floats | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ordered:
    """What the stages before re-ranking brought. found: the lists to re-rank; given: those to learn
    re-ranking from, None where nobody learns; the others as in `Staged`."""

    recalled: Mapping[str, Lists]
    merged: Merged
    found: Listed
    given: Listed | None = None
    probabilities: Floats | None = None


def joined(costs: list[StageCost]) -> tuple[StageCost, ...]:
    """One cost an agent: what its trainings took together, and the latency of the one that is
    judged, which ran first."""
    found: dict[str, StageCost] = {}
    for each in costs:
        before = found.get(each.agent)
        found[each.agent] = (
            each
            if before is None
            else replace(
                before,
                seconds=before.seconds + each.seconds,
                cached=before.cached and each.cached,
            )
        )
    return tuple(found.values())


def probed(answers: Lists, probe: NDArray[np.int64], odd: Bools) -> Lists:
    """What came when the probe was asked again: the same lists, but where an agent answered
    otherwise, which is told by a list turned round."""
    found = answers[probe].copy()
    found[odd[probe]] = found[odd[probe]][:, ::-1]
    return found
