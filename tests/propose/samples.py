"""Candidates, entries and briefs for the proposers' tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evolver.core import Brief, Candidate, Entry, Evaluation, Failed, Limits, Scored, Value

METRIC = "ndcg@10"

SOURCE = '''\
"""Popular items first."""

import numpy as np

from evolver.contract import Budget, Float, Int, Interactions, Params, Users

FAMILY = "popularity"
SERVES_UNSEEN = True
TUNABLES = {
    "power": Float(0.1, 2.0, default=1.0),
    "extra": Int(1, 9, default=3),
}


class Model:
    def __init__(self, params: Params) -> None:
        self.power = params.power

    def fit(self, train: Interactions, budget: Budget) -> None:
        self.weight = train.popularity().astype(np.float32) ** self.power

    def score(self, users: Users) -> np.ndarray:
        return np.tile(self.weight, (len(users), 1))

    def state(self) -> dict[str, np.ndarray]:
        return {"weight": self.weight}

    def load(self, state: dict[str, np.ndarray]) -> None:
        self.weight = state["weight"]
'''


def good_reply(source: str = SOURCE, idea: str = "count what is taken") -> str:
    return f"IDEA: {idea}\nEXPECT: a little more\n\n```python\n{source}```\n"


def edit_reply(search: str, replace: str, idea: str = "change a line") -> str:
    return (
        f"IDEA: {idea}\nEXPECT: more\n\n"
        f"<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"
    )


def scored(value: float, users: int = 50, seed: int = 0, seconds: float = 2.0) -> Scored:
    noise = np.random.default_rng(seed).normal(0, 0.05, users)
    per_user = (value + noise - noise.mean()).astype(np.float32)
    return Scored(
        metrics={METRIC: value, "recall@20": min(2 * value, 1.0)},
        per_user={METRIC: per_user},
        fit_seconds=seconds,
        score_seconds=0.1,
        latency_ms_p50=1.0,
        latency_ms_p99=2.0,
        parameters=10,
        peak_bytes=1 << 20,
    )


def entry(
    number: int,
    evaluation: Evaluation | float,
    *,
    source: str = "",
    parents: tuple[str, ...] = (),
    direction: str = "",
    operator: str = "draft",
    family: str = "popularity",
    idea: str = "",
    expect: str = "",
    values: Mapping[str, Value] | None = None,
    model: str = "",
    prompt_hash: str | None = None,
    proposer: str = "llm",
) -> Entry:
    return Entry(
        number=number,
        candidate=Candidate(
            source=source or SOURCE + f"\n# variant {number}\n",
            values=values or {},
            parents=parents,
            idea=idea,
            expect=expect,
            family=family,
            proposer=proposer,
            operator=operator,
            direction=direction,
            model=model,
            prompt_hash=prompt_hash,
        ),
        evaluation=scored(evaluation, seed=number) if isinstance(evaluation, float) else evaluation,
        seconds=3.0,
    )


def crashed(reason: str = "TypeError: no") -> Failed:
    return Failed(kind="crash", reason=reason)


def brief(
    history: Sequence[Entry] = (),
    parents: Sequence[Entry] = (),
    *,
    number: int = 7,
    seed: int = 0,
    profile: Mapping[str, Any] | None = None,
    usd_left: float | None = None,
    tokens_left: int | None = None,
    seconds_left: float = 600.0,
) -> Brief:
    return Brief(
        number=number,
        seed=seed,
        task="retrieval",
        metric=METRIC,
        profile=profile or {"users": 50, "items": 80},
        history=history,
        parents=parents,
        limits=Limits(seconds=60.0),
        candidates_left=12,
        seconds_left=seconds_left,
        usd_left=usd_left,
        tokens_left=tokens_left,
    )
