"""What a run is told to do. Frozen groups, one for each component; unknown keys are refused.

A flag beats the file, the file beats the default. This is the only module that reads the
environment, and only for secrets and places, never for a setting that changes a result.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from evolver.core import TaskName

Positive = Annotated[float, Field(gt=0)]
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")


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
    label: str | None = None
    """For ranking: the column of 0 and 1 to predict."""
    columns: Mapping[str, str] = {}
    """For ranking: what a column holds where it is not seen at once: categorical, numeric, multi
    (a set of values), sequence, sequence:OTHER (of the values of another column), or ignore."""


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


Objective = Literal["relevance", "diversity", "novelty", "coverage", "latency", "cost"]


class RewardConfig(_Group):
    """The outer reward of a pipeline, written out in docs/agents-and-rewards.md.

    Relevance, diversity, novelty and coverage lie between 0 and 1 and are good; latency and cost
    are in units of their scales and are subtracted. "weighted": the sum by `weights`.
    "constraints": the sum, less what `constraints` are broken by. "pareto": the sum decides who
    leads, and the composition is searched for a front of the objectives that have a weight.
    """

    mode: Literal["weighted", "constraints", "pareto"] = "weighted"
    relevance: str = "ndcg@10"
    weights: Mapping[Objective, Annotated[float, Field(ge=0)]] = {
        "relevance": 1.0,
        "diversity": 0.02,
        "novelty": 0.02,
        "coverage": 0.05,
    }
    """Latency and cost are measured: a run that weighs them does not repeat itself exactly."""
    latency_scale_ms: Positive = 100.0
    cost_scale_seconds: Positive = 60.0
    constraints: Mapping[Objective, float] = {}
    """Bounds: the least for what is good, the most for latency (ms) and cost (seconds)."""
    penalty: Positive = 1.0
    """What a bound that is broken by 100% costs."""
    inner_weight: Annotated[float, Field(ge=0)] = 0.1
    """What an agent's own objective weighs in its layered reward."""


class EvaluateConfig(_Group):
    """The metric that candidates are compared by, and what is shown beside it."""

    metric: str = "ndcg@10"
    also: tuple[str, ...] = ("recall@20", "ndcg@20", "hit@10", "mrr@10", "map@10")
    reward: RewardConfig = RewardConfig()
    """For pipelines and re-rankers: what "reward@10" as the metric means."""
    upstream: str | None = None
    """For re-rankers: the document of the pipeline that makes their lists, as YAML, its programs
    written out. None: one that suits the data, which a run's own settings then hold."""
    accept_alarms: tuple[str, ...] = ()
    """Canaries whose alarm does not stop the run; every report says so."""


class ExecuteConfig(_Group):
    """What one candidate may use and how many run side by side. 0: decided from the machine."""

    sandbox: Literal["auto", "bubblewrap", "docker", "unconfined"] = "auto"
    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    in_flight: Annotated[int, Field(ge=0)] = 0
    """How many candidates may be proposed and not yet judged; proposal n sees what was judged up to
    n - `in_flight`."""
    seconds: Positive | None = None
    """For fitting and scoring one candidate. None: from the size of the data."""
    memory_gib: Positive = 4.0
    device: str = "auto"
    docker_base: str | None = None
    """The image that the Docker sandbox is built on; by default the official image of the Python
    that runs evolver. Where it already holds torch and the rest, nothing is downloaded."""
    docker_index: str | None = None
    """A package index to prefer when that image is built; by default PyTorch's of CPU builds where
    candidates train on the CPU."""


Feature = Literal["lessons", "diagnostics", "directions", "crossover", "inspirations"]
"""Parts of the prompts that can be left out, to measure what they are worth."""


class ProposeConfig(_Group):
    """Who proposes. "auto": an LLM when `models` names one, else the typed search."""

    proposer: str = "auto"
    models: tuple[str, ...] = ()
    api_base: str | None = None
    pipeline: str | None = None
    """The document of the pipeline that a search for pipelines starts from, as YAML, its programs
    written out, so that a run that was moved or handed on needs no file beside it; None: the
    default pipeline."""
    spaces: tuple[str, ...] = ()
    """Names or files of search spaces; empty means all bundled ones."""
    prompts: str | None = None
    reveal_names: bool = False
    request_timeout_seconds: Positive = 120.0
    replay: str | None = None
    """The record that `proposer="replay"` repeats: a run's folder or a .jsonl file."""
    replay_baselines_on: str | None = None
    """The fingerprint of the data on which the record's trials of baselines are repeated, too. On
    other data they are tuned anew, for nothing else would be equal terms."""
    experience: tuple[str, ...] = ()
    """Earlier runs, or folders of runs, that a typed search by `rl` or `ppo` learns from first."""
    trade: tuple[Literal["latency", "parameters"], ...] = ()
    """What `nsga2` keeps low beside the metric. Latency is measured, so a run that trades it does
    not repeat itself exactly."""
    stream: bool = True
    """Read replies as they are written, so that no proxy cuts a long silence."""
    requests_per_minute: Positive | None = None
    """To each model. None: as fast as the models allow, waiting when one asks for it."""
    without: tuple[Feature, ...] = ()
    author: Annotated[str, Field(max_length=80)] = ""
    """Who answers a mailbox, as they call themselves; recorded with each candidate, unless its
    answer names somebody else."""
    archive: bool = True
    """Whether requests to a model show what was tried. Without it each one is a draft that knows
    of no other: best of n, the arm that says what the archive is worth."""
    reviewer: str | None = None
    """A model that looks at each candidate once more before it is trained."""
    similarity: Annotated[float, Field(gt=0, le=1)] = 0.9
    """From this Jaccard index on, a draft is a repetition of another program, and a change one of
    another change to the same parent. 1: only what is equal is."""
    ahead: Annotated[int, Field(ge=1, le=32)] = 4
    """Candidates in flight for each worker where a model, an agent or a person is asked: one that
    trains and three that are written, or wait. Workers are to stay busy while a reply takes up to
    two trainings. Fewer: fresher prompts; more: slower models hidden."""
    context_tokens: Annotated[int, Field(ge=4096)] = 16_000
    """The longest prompt, by an estimate that is rather high; what matters least is left out."""
    max_output_tokens: Annotated[int, Field(ge=256)] = 16384
    """The longest reply to ask a model for, its reasoning included; lowered where a model's own
    limit is known to be lower."""


class SelectConfig(_Group):
    """Which recorded entries become parents (`evolver.archive.select`).

    islands: populations side by side whose best wander; map-elites: the best of every kind;
    pareto: quality against latency and size; tournament and power-law: one pool for all.
    """

    selector: Literal["islands", "map-elites", "pareto", "tournament", "power-law"] = "islands"
    islands: Annotated[int, Field(ge=1, le=64)] = 3
    migrate_every: Annotated[int, Field(ge=1)] = 8
    """Candidates between two migrations."""
    tournament: Annotated[int, Field(ge=1, le=64)] = 4
    """How many are drawn for one parent, of which the best is taken."""
    power: Annotated[float, Field(ge=0, le=10)] = 1.0


class CascadeConfig(_Group):
    """The rungs that a candidate climbs before its whole training, each dearer than the last.

    "halving": a training on less data first, and only the best `1/eta` of the candidates so far get
    the whole one. "full": everybody does. "auto": halving where the data is large.
    """

    fidelity: Literal["auto", "full", "halving"] = "auto"
    smoke: bool | None = None
    """A run of seconds on a sliver, for each new program. None: where trainings take longer than
    that, or a language model writes the programs."""
    eta: Annotated[int, Field(ge=2)] = 3
    users: Annotated[float, Field(gt=0, le=1)] = 0.25
    """Low fidelity: the share of the users who are trained on and asked for."""
    history: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Low fidelity: the share of each user's training rows, the latest ones."""
    early_stopping: bool = False
    """Whether a trial that trains worse than earlier ones of its program is stopped. Off: a loss
    depends on the settings, and nobody has measured yet what this costs in good trials."""


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
    log_loss_rise: Annotated[float, Field(ge=0)] = 0.02
    """For ranking: by how much, relatively, log loss may rise when AUC or GAUC is what counts."""
    accept: tuple[str, ...] = ()
    """Guardrails and slices, by the beginning of their names, that may break; verdicts say so."""
    finalists: Annotated[int, Field(ge=0)] = 3
    """How many of the best challengers are judged when the search ends; 0: none."""
    time_share: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Of a run's time limit, what may be kept for judging them; less where less will do."""


RANKING_METRICS: Mapping[str, Any] = {"metric": "auc", "also": ("gauc", "rig")}
RANKING_PROMOTION: Mapping[str, Any] = {"minimum_gain": 0.001}
PIPELINE_PROMOTION: Mapping[str, Any] = {"latency_ratio": 25.0, "memory_ratio": 6.0}
"""Several stages take longer than one; what that may cost is the outer reward's affair."""
PIPELINE_PROPOSALS: Mapping[str, Any] = {"ahead": 2}
"""Pipelines train longer than single models, and each is to build on the one before it."""
DEFAULTS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "ranking": {"evaluate": RANKING_METRICS, "promote": RANKING_PROMOTION},
    "reranking": {"promote": PIPELINE_PROMOTION},
    "pipeline": {"promote": PIPELINE_PROMOTION, "propose": PIPELINE_PROPOSALS},
}
STAGED: Collection[TaskName] = ("reranking", "pipeline")
"""Tasks whose candidates are judged as pipelines: by the outer reward, stage after stage."""


class RunConfig(_Group):
    """One run. `seed` decides every random choice that evolver itself makes."""

    task: TaskName = "retrieval"
    seed: int = 0
    baseline_share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """The part of the candidates that tunes baselines; half is equal terms. Of the rest, half at
    most gives the survivors of the search as many trials as the most tuned baseline had."""
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    budget: BudgetConfig = BudgetConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    execute: ExecuteConfig = ExecuteConfig()
    propose: ProposeConfig = ProposeConfig()
    select: SelectConfig = SelectConfig()
    cascade: CascadeConfig = CascadeConfig()
    promote: PromoteConfig = PromoteConfig()

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_task(cls, given: Any) -> Any:
        """What is not said of metrics and of the gate is what suits the task."""
        if not isinstance(given, dict) or given.get("task") not in DEFAULTS:
            return given
        if given["task"] in STAGED:
            given = {**given, "evaluate": _as_relevance(given.get("evaluate", {}))}
        groups = DEFAULTS[given["task"]]
        said = {name: given.get(name, {}) for name in groups}
        return given | {
            name: {**groups[name], **said[name]} if isinstance(said[name], dict) else said[name]
            for name in groups
        }


def _as_relevance(evaluate: Any) -> Any:
    """What is judged as a pipeline is compared by its outer reward: the metric that is asked for is
    the relevance in it."""
    if not isinstance(evaluate, dict):
        return evaluate
    reward = evaluate.get("reward", {})
    metric = str(evaluate.get("metric", "ndcg@10"))
    if not isinstance(reward, dict):
        return evaluate
    if not metric.startswith("reward@"):
        reward = {"relevance": metric, **reward}
    cut = str(reward.get("relevance", "ndcg@10")).partition("@")[2]
    return {**evaluate, "metric": f"reward@{cut}", "reward": reward}


def cuda_visible_devices() -> str | None:
    """Which GPUs the user or a scheduler left to this process; None: all."""
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def library_path() -> list[Path]:
    """Where else the loader looks for libraries, such as those of a GPU's driver."""
    return [Path(one) for one in os.environ.get("LD_LIBRARY_PATH", "").split(":") if one]


def has_secret(name: str) -> bool:
    """Whether the environment holds a key of that name."""
    return bool(os.environ.get(name))


def secrets() -> tuple[str, ...]:
    """Values of the environment whose names say that they are secret: never to be written down."""
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name))
    return tuple(value for value in named if len(value) >= 8)


def tell_library(name: str, value: str) -> None:
    """Set a variable that a library reads, unless the user has set it."""
    os.environ.setdefault(name, value)


def runs_folder() -> Path:
    """Where runs are kept: $EVOLVER_RUNS, else ./runs."""
    return Path(os.environ.get("EVOLVER_RUNS") or "runs")


def ui_password() -> str | None:
    """What opens the pages of `evolver ui` beside its token: $EVOLVER_UI_PASSWORD."""
    return os.environ.get("EVOLVER_UI_PASSWORD") or None


def cache_folder() -> Path:
    """Where downloads and prepared data are kept: $EVOLVER_CACHE, else the user's cache folder."""
    given = os.environ.get("EVOLVER_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "evolver"
