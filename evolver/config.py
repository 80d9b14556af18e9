"""What a run is told to do. Frozen groups, one for each component; unknown keys are refused.

A flag beats the file, the file beats the default. This is the only module that reads the
environment, and only for secrets and places, never for a setting that changes a result.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[float, Field(gt=0)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class DataConfig(_Group):
    """Where interactions come from. Empty `path` means the bundled sample."""

    path: str = ""
    format: str = "auto"
    user: str | None = None
    item: str | None = None
    time: str | None = None
    value: str | None = None
    min_value: float | None = None
    """Rows with a smaller value are not interactions (for example ratings under 4)."""


class SplitConfig(_Group):
    """How the four parts are made. "auto": published, else time, else order."""

    kind: Literal["auto", "time", "order", "published", "random"] = "auto"
    search: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    promotion: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    repeats: bool = False
    """Whether an item that the user already had may be recommended and counts when taken again."""


class BudgetConfig(_Group):
    """Hard limits of the whole run, baselines included. None: no limit of that kind."""

    candidates: Annotated[int, Field(ge=1)] = 30
    seconds: Positive | None = None
    usd: Positive | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None


class EvaluateConfig(_Group):
    """The metric that candidates are compared by, and what is shown beside it."""

    metric: str = "ndcg@10"
    also: tuple[str, ...] = ("recall@20", "ndcg@20", "hit@10", "mrr@10", "map@10")


class ExecuteConfig(_Group):
    """What one candidate may use and how many run side by side. 0: decided from the machine."""

    sandbox: Literal["auto", "bubblewrap", "docker", "unconfined"] = "auto"
    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    seconds: Positive | None = None
    """For fitting and scoring one candidate. None: from the size of the data."""
    memory_gib: Positive = 4.0
    device: str = "auto"
    docker_base: str | None = None
    """The image that the Docker sandbox is built on; by default the official image of the Python
    that runs evolver. Where it already holds torch and the rest, nothing is downloaded."""


Feature = Literal["lessons", "diagnostics", "directions", "crossover"]
"""Parts of the prompts that can be left out, to measure what they are worth."""


class ProposeConfig(_Group):
    """Who proposes. "auto": an LLM when `models` names one, else the typed search."""

    proposer: str = "auto"
    models: tuple[str, ...] = ()
    api_base: str | None = None
    spaces: tuple[str, ...] = ()
    """Names or files of search spaces; empty means all bundled ones."""
    prompts: str | None = None
    reveal_names: bool = False
    request_timeout_seconds: Positive = 120.0
    replay: str | None = None
    """The record that `proposer="replay"` repeats: a run's folder or a .jsonl file."""
    experience: tuple[str, ...] = ()
    """Earlier runs, or folders of runs, that a typed search by `rl` or `ppo` learns from first."""
    trade: tuple[Literal["latency", "parameters"], ...] = ()
    """What `nsga2` keeps low beside the metric. Latency is measured, so a run that trades it does
    not repeat itself exactly."""
    without: tuple[Feature, ...] = ()
    max_output_tokens: Annotated[int, Field(ge=256)] = 16384
    """The longest reply to ask a model for, its reasoning included; lowered where a model's own
    limit is known to be lower."""


class PromoteConfig(_Group):
    """What a challenger must show to replace the incumbent.

    `level` bounds the chance that a run promotes anything that is no better, over all readings of
    the promotion part together. Ratios and drops are against the incumbent.
    """

    level: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    seeds: Annotated[int, Field(ge=3)] = 3
    most_seeds: Annotated[int, Field(ge=3)] = 9
    minimum_gain: Annotated[float, Field(ge=0)] = 0.005
    """Relative to the incumbent; the noise floor counts where it is higher."""
    latency_ratio: Annotated[float, Field(ge=1)] = 3.0
    memory_ratio: Annotated[float, Field(ge=1)] = 3.0
    coverage_drop: Annotated[float, Field(ge=0, le=1)] = 0.3
    popularity_rise: Annotated[float, Field(ge=0, le=1)] = 0.15


class RunConfig(_Group):
    """One run. `seed` decides every random choice that evolver itself makes."""

    task: Literal["retrieval"] = "retrieval"
    seed: int = 0
    baseline_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The part of the candidates that tunes baselines; half is equal terms."""
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    budget: BudgetConfig = BudgetConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    execute: ExecuteConfig = ExecuteConfig()
    propose: ProposeConfig = ProposeConfig()
    promote: PromoteConfig = PromoteConfig()


def runs_folder() -> Path:
    """Where runs are kept: $EVOLVER_RUNS, else ./runs."""
    return Path(os.environ.get("EVOLVER_RUNS") or "runs")


def cache_folder() -> Path:
    """Where downloads and prepared data are kept: $EVOLVER_CACHE, else the user's cache folder."""
    given = os.environ.get("EVOLVER_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evolver"
