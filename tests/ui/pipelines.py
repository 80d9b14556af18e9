"""A run of pipelines made up for pages, one of them hostile, one of them none at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from benchmarks.ui import facts_of
from evolver.agents.credit import coalitions
from evolver.agents.document import Document, parse
from evolver.archive.findings import Finding, ablation
from evolver.archive.store import Archive
from evolver.config import RunConfig
from evolver.core import Candidate, Evaluation, Failed, Limits, Scored
from evolver.credits import left_out
from evolver.propose import baselines
from tests.agents.programs import RANKING, RECALL

METRIC = "reward@10"
EARNED = {"one": 0.05, "two": -0.01, "ranker": 0.03, "mmr": 0.02}
"""What each agent adds, whoever else is there: its Shapley value, and what is lost without it."""
NOTHING = 0.04
EVIL = "<img src=x onerror=alert(5)>\x1b\u202e"
"""The family that an agent of the hostile pipeline says it is of."""


def pipeline(name: str, family: str = "toy") -> Document:
    """Two recall agents, a ranker and a re-ranker."""
    source = RECALL.replace('"toy"', ascii(family))
    agents = {
        "one": {"stage": "recall", "source": source},
        "two": {"stage": "recall", "source": RECALL},
        "ranker": {"stage": "ranking", "source": RANKING},
        "mmr": {"stage": "reranking", "program": "zoo/mmr"},
    }
    graph = {
        "recall": {"one": 120, "two": 30},
        "merge": {"how": "fusion", "constant": 60},
        "ranking": "ranker",
        "reranking": "mmr",
        "depth": 90,
        "head": 40,
    }
    return parse(yaml.safe_dump({"name": name, "agents": agents, "graph": graph}))


def make_pipelines(place: Path, hostile: str) -> Path:
    """Candidates 0 (a baseline), 1 (with credits), 2 (hostile, one agent was left out), 3 (which is
    no pipeline) in a new folder."""
    place.mkdir()
    config = RunConfig.model_validate({"task": "pipeline", "evaluate": {"metric": METRIC}})
    archive = Archive.create(
        f"sqlite:///{(place / 'archive.sqlite').resolve()}", facts_of(config, 20), METRIC
    )
    archive.open_session(config.budget.model_dump())
    alone = parse(
        yaml.safe_dump(
            {
                "name": "one",
                "agents": {"one": {"stage": "recall", "source": RECALL}},
                "graph": {"recall": {"one": 200}},
            }
        )
    )
    whole = NOTHING + sum(EARNED.values())
    _add(archive, 0, alone, 0.09, name="one", proposer=baselines.PROPOSER)
    _add(archive, 1, pipeline("toy"), whole, name="one+two", proposer="alternation")
    _add(archive, 2, pipeline(hostile, EVIL), 0.1, name=hostile, proposer="alternation")
    agents = tuple(EARNED)
    for coalition in coalitions(agents)[1:]:
        reward = NOTHING + sum(EARNED[agent] for agent in coalition)
        _without(archive, 1, left_out(agents, coalition), reward)
    _without(archive, 2, "two", 0.08)
    archive.begin(3, Candidate(source="[1, 2]", name="a list", proposer="replay"))
    _judge(archive, 3, Failed(kind="contract", reason="a pipeline holds 'agents' and 'graph'"))
    archive.close()
    return place


def _add(
    archive: Archive, number: int, document: Document, reward: float, *, name: str, proposer: str
) -> None:
    stages = {
        f"stage.{agent}.{unit}": value
        for agent in document.serving
        for unit, value in (("seconds", 3.25), ("latency_ms", 1.5))
    }
    inner = {f"inner.{agent}": 0.625 for agent in document.serving}
    archive.begin(number, Candidate(source=document.text(), name=name, proposer=proposer))
    scored = Scored(
        metrics={METRIC: reward, "ndcg@10": reward / 2, **inner, **stages},
        per_user={METRIC: np.full(20, reward, np.float32)},
        fit_seconds=9.75,
        score_seconds=0.1,
        latency_ms_p50=4.5,
        latency_ms_p99=9.0,
        parameters=10,
        peak_bytes=1 << 20,
    )
    _judge(archive, number, scored)


def _judge(archive: Archive, number: int, found: Evaluation) -> None:
    archive.add(
        number, found, execution=None, part="search", seed=0, limits=Limits(), evaluator="1"
    )


def _without(archive: Archive, number: int, names: str, reward: float) -> None:
    archive.findings.add(
        Finding(
            number=number,
            about=ablation(names),
            part="search",
            seed=0,
            data={"metrics": {METRIC: reward}},
        )
    )
