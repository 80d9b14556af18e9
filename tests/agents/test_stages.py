from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver.agents.document import Document
from evolver.agents.fold import PipelineFold, pipeline_fold
from evolver.agents.pipeline_sandbox import PipelineSandbox
from evolver.agents.staged import Staged
from evolver.agents.stages import trainings
from evolver.agents.task import PipelineTask
from evolver.config import EvaluateConfig, RunConfig, SplitConfig
from evolver.core import Candidate, Execution, Failed, Job, Limits, Scored
from evolver.data.split import Labels, make_split
from tests.agents.inside import InProcess
from tests.agents.programs import RECALL, dataset, pool

K = 20
TASK = PipelineTask()
CONFIG = RunConfig.model_validate({"task": "pipeline"}).evaluate


class Bed:
    """One fold on disk, and a sandbox for pipelines on it."""

    def __init__(self, place: Path, fold: PipelineFold | None = None) -> None:
        data = dataset()
        split = make_split(data, SplitConfig(kind="order"), 0)
        self.fold = fold or pipeline_fold(data, split, "search", repeats=False)
        self.view = place / "views" / "search"
        TASK.write_view(self.fold, self.view)
        self.inner = InProcess()
        self.sandbox = PipelineSandbox(self.inner, lambda view: self.fold, place / "stages")

    def run(self, document: Document, **job: Any) -> Execution:
        given: dict[str, Any] = {"limits": Limits(seconds=60.0), "seed": 0, **job}
        return self.sandbox.run(
            Job(
                candidate=Candidate(source=document.text()),
                view=self.view,
                queries=len(self.fold.queries),
                items=self.fold.train.n_items,
                k=K,
                **given,
            )
        )

    def staged(self, document: Document, **job: Any) -> Staged:
        outcome = self.run(document, **job).outcome
        assert isinstance(outcome, Staged), outcome
        return outcome

    def scored(self, document: Document, **job: Any) -> Scored:
        found = TASK.evaluate(self.run(document, **job), self.fold, CONFIG, None)
        assert isinstance(found, Scored), found
        return found


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path)


def test_recall_is_merged_ranked_and_served(bed: Bed) -> None:
    found = bed.staged(pool())
    assert found.answers.shape == (len(bed.fold.queries), K)
    assert set(found.recalled) == {"one", "two"}
    assert all(lists.shape[1] == 12 for lists in found.recalled.values())
    for row in range(len(found.answers)):
        served = found.answers[row][found.answers[row] >= 0]
        given = found.merged.items[row]
        assert set(served.tolist()) <= set(given.tolist())
        assert not set(served.tolist()) & set(bed.fold.queries.history(row).tolist())
        assert found.probabilities is not None
        value = dict(zip(given.tolist(), found.probabilities[row].tolist(), strict=True))
        order = [value[item] for item in served.tolist()]
        assert order == sorted(order, reverse=True)


def test_ranking_knows_better_than_the_recall_it_ranks(bed: Bed) -> None:
    with_it, without = bed.scored(pool()), bed.scored(pool(ranking=None))
    assert with_it.metrics["ndcg@10"] > without.metrics["ndcg@10"]
    assert with_it.metrics["inner.ranker"] > 0.55
    assert 0 < with_it.metrics["inner.one"] <= 1
    assert with_it.metrics["reward@10"] == pytest.approx(
        float(with_it.per_user["reward@10"].mean()), abs=1e-6
    )


def test_what_is_judged_never_reaches_a_stage(tmp_path: Path) -> None:
    """With other labels outside, every stage reads the same and answers the same."""
    first = Bed(tmp_path / "a")
    rng = np.random.default_rng(1)
    labels = first.fold.labels
    other = replace(
        first.fold,
        labels=Labels(indptr=labels.indptr, items=rng.permutation(labels.items)),
    )
    second = Bed(tmp_path / "b", other)
    document = pool(reranking="mmr")
    ours, theirs = first.staged(document), second.staged(document)
    assert np.array_equal(ours.answers, theirs.answers)
    assert not np.array_equal(first.fold.labels.items, other.labels.items)
    files = sorted(p.name for p in (tmp_path / "a" / "views").rglob("*") if "label" in p.name)
    assert files == []


def test_recall_that_ranking_learns_from_has_not_seen_its_labels(bed: Bed) -> None:
    bed.staged(pool())
    views = {job.view.name: job.view for job in bed.inner.jobs}
    assert {"search", "search-inner", "ranking"} <= set(views)
    users = np.load(views["search-inner"] / "users.npy")
    assert len(users) == len(bed.fold.inner.train) < len(bed.fold.train)


def test_nothing_is_trained_twice_for_another_composition(bed: Bed) -> None:
    bed.staged(pool())
    first = len(bed.inner.ran)
    assert first == trainings(pool()) == 5
    again = bed.staged(pool())
    assert len(bed.inner.ran) == first
    assert all(stage.cached for stage in again.stages)
    spelled = pool().with_values("two", {"step": 7, "share": 0.5})  # as it is by default
    assert all(stage.cached for stage in bed.staged(spelled).stages)
    bed.staged(pool(recall={"two": 5, "one": 9}, merge={"how": "fusion"}))
    assert bed.inner.ran[first:] == [("toy ranking", "ranking")]
    other = bed.staged(pool(), seed=1)
    assert not any(stage.cached for stage in other.stages)
    assert again.fit_seconds == other.fit_seconds == 5 * 1.5


def test_costs_and_latencies_are_told_for_each_stage(bed: Bed) -> None:
    found = bed.scored(pool(reranking="identity"))
    assert found.metrics["stage.one.seconds"] == 3.0  # fitted on all, and on the inner rows
    assert found.metrics["stage.identity.latency_ms"] == 2.0
    stages = [found.metrics[f"stage.{n}.latency_ms"] for n in ("one", "two", "ranker", "identity")]
    assert found.latency_ms_p50 == pytest.approx(sum(stages))
    assert found.metrics["reward.cost"] == pytest.approx(found.fit_seconds)


def test_agents_can_be_left_out_down_to_the_fallback(bed: Bed) -> None:
    document = pool(reranking="mmr")
    assert set(bed.staged(document, ablate="one").recalled) == {"two"}
    assert bed.staged(document, ablate="mmr+ranker").probabilities is None
    nobody = bed.scored(document, ablate="one+two")
    assert nobody.unserved == len(bed.fold.queries)
    assert nobody.metrics["ndcg@10"] > 0  # everybody gets what is popular


@pytest.mark.parametrize("name", ["identity", "mmr", "dpp", "calibration"])
def test_re_rankers_reorder_and_add_nothing(bed: Bed, name: str) -> None:
    before = bed.staged(pool())
    after = bed.staged(pool(reranking=name, head=20))
    assert (np.sort(before.answers, axis=1) == np.sort(after.answers, axis=1)).mean() > 0.9
    same = np.array_equal(before.answers, after.answers)
    assert same == (name == "identity")


def test_mmr_takes_what_is_unlike_the_first(bed: Bed) -> None:
    found = bed.staged(pool(reranking="mmr").with_values("mmr", {"relevance": 0.3}))
    genres = found.answers[:, :2] % 2
    assert (genres[:, 0] != genres[:, 1]).all()


def test_an_agent_that_fails_is_named(bed: Bed) -> None:
    broken = RECALL.replace("self.step = params.step", "self.step = 1 / 0")
    document = pool()
    agents = {
        **document.agents,
        "two": document.agents["two"].model_copy(update={"source": broken}),
    }
    outcome = bed.run(document.model_copy(update={"agents": agents})).outcome
    assert isinstance(outcome, Failed)
    assert outcome.kind == "crash"
    assert outcome.reason == "agent two: division by zero"


def test_ranking_with_nothing_to_learn_from_says_so(bed: Bed) -> None:
    inner = bed.fold.inner
    nobody = replace(inner, labels=replace(inner.labels, items=inner.labels.items * 0 + 39))
    bed.fold = replace(bed.fold, inner=nobody)
    outcome = bed.run(pool(recall={"one": 1}, depth=20)).outcome
    if isinstance(outcome, Failed):
        assert "nothing to learn from" in outcome.reason
    else:
        pytest.fail("it learned from rows without a positive label")


def test_no_agent_may_use_up_the_time_of_the_others(bed: Bed) -> None:
    bed.staged(pool(), limits=Limits(seconds=50.0))
    given = [job.limits.seconds for job in bed.inner.jobs]
    assert given[0] == pytest.approx(20.0, abs=1.0)
    assert max(given) <= 50.0


def test_whoever_answers_otherwise_when_asked_again_is_seen(bed: Bed) -> None:
    probe = np.array([3, 1, 7])
    steady = bed.staged(pool(), probe=probe)
    assert steady.probed is not None
    assert np.array_equal(steady.probed, steady.answers[probe])
    moody = RECALL.replace(
        "        order =",
        "        self.asked = getattr(self, 'asked', 0) + 1\n"
        "        if self.asked > 1: self.popularity = -self.popularity\n        order =",
    )
    document = pool()
    agents = {
        **document.agents,
        "one": document.agents["one"].model_copy(update={"source": moody}),
    }
    found = bed.staged(document.model_copy(update={"agents": agents}), probe=probe)
    assert found.probed is not None
    assert not np.array_equal(found.probed, found.answers[probe])


def test_a_pipeline_is_compared_by_its_outer_reward() -> None:
    settings = RunConfig.model_validate({"task": "pipeline", "evaluate": {"metric": "recall@20"}})
    assert settings.evaluate.metric == "reward@20"
    assert settings.evaluate.reward.relevance == "recall@20"
    assert RunConfig.model_validate(settings.model_dump()) == settings
    with pytest.raises(Exception, match="outer reward"):
        TASK.check_metrics(EvaluateConfig(metric="ndcg@10"))
