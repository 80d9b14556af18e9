"""Pipelines by prompt: briefs, entries and replies for the tests."""

from __future__ import annotations

from collections.abc import Sequence

from evolver.agents.alternation import first
from evolver.agents.authoring import Authoring
from evolver.agents.document import Document
from evolver.agents.identity import digest, pieces
from evolver.agents.planner import Planner
from evolver.agents.task import PipelineTask
from evolver.config import Feature, RewardConfig
from evolver.core import Brief, Candidate, Entry, Evaluation, Failed, Limits, Scored
from evolver.propose.prompted import Judgement
from tests.agents.programs import RECALL, pool

CONFIG = RewardConfig()
POOL = pool()
START = first(POOL)
MINE = RECALL.replace("Lists items by a number of its own", "A version of mine").replace(
    "order / users.n_items", "2 * order / users.n_items"
)


def reply(block: str, language: str = "yaml", idea: str = "another step") -> str:
    return f"IDEA: {idea}\nEXPECT: a little more\n\n```{language}\n{block}```\n"


STEP_9 = reply("agents:\n  one: {values: {step: 9}}\n")


def scored(reward: float, document: Document | None = None) -> Scored:
    """As a pipeline is scored: its agents have inner rewards, and took time."""
    metrics = {"reward@10": reward, "ndcg@10": reward / 2, "reward.coverage": 0.25}
    for name in (POOL if document is None else document).serving:
        metrics |= {
            f"inner.{name}": 0.3,
            f"stage.{name}.seconds": 1.5,
            f"stage.{name}.latency_ms": 2.0,
        }
    return Scored(
        metrics=metrics,
        per_user={},
        fit_seconds=3.0,
        score_seconds=0.5,
        latency_ms_p50=6.0,
        latency_ms_p99=9.0,
        parameters=10,
        peak_bytes=100,
    )


def entry(
    number: int,
    evaluation: Evaluation | float,
    document: Document | None = None,
    *,
    direction: str = "",
    parents: tuple[str, ...] = (START.id,),
    operator: str = "edit",
    idea: str = "an idea",
) -> Entry:
    made = POOL if document is None else document
    candidate = Candidate(
        source=made.text(),
        name=made.outline,
        family="pipeline",
        idea=idea,
        proposer="llm",
        operator=operator,
        direction=direction,
        parents=parents,
    )
    found = scored(evaluation, made) if isinstance(evaluation, float) else evaluation
    return Entry(number=number, candidate=candidate, evaluation=found, seconds=4.0)


def started(reward: float | Failed = 0.5) -> Entry:
    found = scored(reward) if isinstance(reward, float) else reward
    return Entry(number=5, candidate=START, evaluation=found, seconds=4.0)


def saturated(agents: Sequence[str] = ("one", "two", "ranker"), start: int = 10) -> list[Entry]:
    """Three trials of each agent that brought nothing."""
    return [
        entry(
            start + 3 * place + trial,
            0.4,
            POOL.with_values(agent, {"weight" if agent == "ranker" else "step": 2 + trial}),
            direction=f"round 1.{place + 1}: refine {agent}",
        )
        for place, agent in enumerate(agents)
        for trial in range(3)
    ]


def brief(history: Sequence[Entry] = (), number: int = 40, **more: object) -> Brief:
    return Brief(
        number=number,
        seed=0,
        task="pipeline",
        metric="reward@10",
        profile={"users": 50, "items": 80, "split": "time"},
        history=history,
        parents=(),
        limits=Limits(seconds=60.0),
        candidates_left=12,
        seconds_left=600.0,
        search_from=5,
        **more,  # type: ignore[arg-type]
    )


def judgement(without: Sequence[Feature] = ()) -> Judgement:
    def check(source: str) -> Failed | None:
        found = PipelineTask().inspect(source)
        return found if isinstance(found, Failed) else None

    return Judgement(
        check=check,
        digest=digest,
        pieces=pieces,
        language=Authoring(CONFIG),
        planned=Planner(POOL, CONFIG, without),
    )
