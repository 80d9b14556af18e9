"""Re-rankers as candidates: judged on lists that one upstream pipeline makes for all of them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.sparse import csr_matrix

from evolver import zoo
from evolver.agents.document import Document, parse
from evolver.agents.fold import PipelineFold, pipeline_fold
from evolver.agents.staged import Staged
from evolver.agents.upstream import RERANKER, default_upstream, upstream_of
from evolver.config import EvaluateConfig, RunConfig, SplitConfig
from evolver.core import Candidate, Execution, Failed, Job, Limits, Progress, Scored
from evolver.data.dataset import Dataset
from evolver.data.split import Labels, make_split
from evolver.errors import ConfigError, UsageError
from evolver.kinds import task_named
from evolver.metrics.membership import membership
from tests.agents.inside import InProcess
from tests.agents.programs import RECALL, dataset, pool

TASK = task_named("reranking")
CONFIG = RunConfig.model_validate({"task": "reranking"}).evaluate
PLAIN = '''"""Lists what there is by number."""

import numpy as np

FAMILY = "by number"
SERVES_UNSEEN = True


class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        @FIT@

    def score(self, users):
        return np.tile(-np.arange(users.n_items, dtype=float), (len(users), 1))

    def state(self):
        return {}

    def load(self, state):
        pass
'''
OTHER = '''"""The same items in another order."""

import numpy as np

FAMILY = "other"
ABLATIONS = ("turning",)


class Model:
    def __init__(self, params):
        self.params = params

    def fit(self, train, budget):
        pass

    def rerank(self, lists, k):
        if self.params.ablate == "turning":
            return lists.items[:, :k]
        return @ORDER@

    def state(self):
        return {}

    def load(self, state):
        pass
'''
TURNED = "np.stack([[*r[r >= 0][::-1], *r[r < 0]] for r in lists.items])[:, :k]"
REVERSED = OTHER.replace("@ORDER@", TURNED)


def by_number(fit: str = "pass") -> Document:
    agent = {"stage": "recall", "source": PLAIN.replace("@FIT@", fit)}
    graph = {"recall": {"plain": 5}, "head": 5}
    return parse(yaml.safe_dump({"agents": {"plain": agent}, "graph": graph}))


def before() -> Document:
    """The toy pipeline, without the re-rankers of its pool."""
    document = pool()
    agents = {name: document.agents[name] for name in document.serving}
    return document.model_copy(update={"agents": agents})


class Keeping(InProcess):
    """Copies what a re-ranker is given."""

    def __init__(self, place: Path) -> None:
        super().__init__()
        self.place = place

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        if job.view.name == "reranking":
            shutil.copytree(job.view, self.place)
        return super().run(job, watch)


class Bed:
    """One fold on disk, and a sandbox for re-rankers on it."""

    def __init__(
        self,
        place: Path,
        document: Document,
        *,
        data: Dataset | None = None,
        fold: PipelineFold | None = None,
        config: EvaluateConfig = CONFIG,
        inner: InProcess | None = None,
    ) -> None:
        data = data or dataset()
        split = make_split(data, SplitConfig(kind="order"), 0)
        self.fold = fold or pipeline_fold(data, split, "search", repeats=False)
        self.view = place / "views" / "search"
        TASK.write_view(self.fold, self.view)
        self.inner = inner or InProcess()
        self.config = config.model_copy(update={"upstream": document.text()})
        self.sandbox = TASK.staged(
            self.inner, lambda view: self.fold, place / "stages", self.config
        )

    def run(self, source: str, **job: Any) -> Execution:
        question = TASK.question(self.fold, self.config)
        given: dict[str, Any] = {"limits": Limits(seconds=60.0), "seed": 0, **job}
        return self.sandbox.run(
            Job(
                candidate=Candidate(source=source),
                view=self.view,
                queries=question.queries,
                items=question.items,
                k=question.k,
                **given,
            )
        )

    def staged(self, source: str, **job: Any) -> Staged:
        outcome = self.run(source, **job).outcome
        assert isinstance(outcome, Staged), outcome
        return outcome

    def scored(self, source: str, **job: Any) -> Scored:
        found = TASK.evaluate(self.run(source, **job), self.fold, self.config, None)
        assert isinstance(found, Scored), found
        return found


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path, before())


def two_users() -> Dataset:
    """Two users who took six of eight items, of which the third from the end is judged; items 0 to
    3 are of one genre, the others of another."""
    return Dataset(
        name="two",
        users=np.repeat(np.arange(2), 6).astype(np.int32),
        items=np.array([0, 1, 2, 4, 6, 7, 0, 1, 3, 5, 6, 7], dtype=np.int32),
        user_ids=np.array(["a", "b"]),
        item_ids=np.arange(8).astype(str),
        times=np.tile(np.arange(6), 2).astype(np.int64),
        item_features={"genre": csr_matrix(np.eye(2)[np.arange(8) // 4])},
    )


def test_a_tiny_list_by_hand(tmp_path: Path) -> None:
    weights = {"relevance": 1.0, "diversity": 0.1, "coverage": 0.2}
    reward = {"relevance": "ndcg@3", "weights": weights}
    config = RunConfig.model_validate(
        {"task": "reranking", "evaluate": {"reward": reward, "metric": "ndcg@3", "also": []}}
    ).evaluate
    bed = Bed(tmp_path, by_number(), data=two_users(), config=config)
    # given: 3 4 5 6 7 and 2 4 5 6 7; wanted: 4 and 5; two thirds of the pairs are of two genres
    same = bed.scored(zoo.source("identity"))
    relevance = [1 / log2(3), 1 / log2(4)]
    assert same.per_user["ndcg@3"].tolist() == pytest.approx(relevance)
    expected = sum(relevance) / 2 + 0.1 * 2 / 3 + 0.2 * 4 / 8
    assert same.metrics["reward@3"] == pytest.approx(expected)
    # turned round: 7 6 5 for both, all of one genre, three of eight items
    turned = bed.scored(REVERSED)
    assert turned.per_user["ndcg@3"].tolist() == pytest.approx([0.0, 1 / log2(4)])
    assert turned.metrics["reward.diversity"] == pytest.approx(0.0)
    assert turned.metrics["reward@3"] == pytest.approx(0.25 + 0.2 * 3 / 8)


@pytest.mark.parametrize("baseline", TASK.baselines, ids=lambda each: each.name)
def test_every_re_ranker_of_the_zoo_is_judged_on_the_same_lists(bed: Bed, baseline: Any) -> None:
    source = TASK.known(baseline)
    facts = TASK.inspect(source)
    assert not isinstance(facts, Failed)
    assert TASK.served_rows(facts, bed.fold) is None
    given, found = bed.staged(zoo.source("identity")), bed.staged(source)
    assert np.array_equal(given.merged.items, found.merged.items)
    assert given.answers.shape == found.answers.shape
    assert np.array_equal(np.sort(given.answers), np.sort(found.answers))  # 20 of 20 items
    scored = bed.scored(source)
    assert {"reward.diversity", "reward.novelty", "reward.coverage"} <= set(scored.metrics)
    assert scored.metrics[f"stage.{RERANKER}.seconds"] == 1.5
    assert scored.metrics["reward@10"] == pytest.approx(
        float(scored.per_user["reward@10"].mean()), abs=1e-6
    )


def test_the_upstream_is_trained_once_for_a_view_and_seed(bed: Bed) -> None:
    bed.staged(zoo.source("identity"))
    assert len(bed.inner.ran) == 6  # two that recall, twice; ranking; the re-ranker
    bed.staged(zoo.source("mmr"))
    assert bed.inner.ran[6:] == [("greedy diversification", "reranking")]
    bed.staged(zoo.source("mmr"), seed=1)
    assert len(bed.inner.ran) == 6 + 1 + 6


def test_a_candidate_alone_is_asked_twice_and_goes_without_its_parts(bed: Bed) -> None:
    whole = bed.staged(REVERSED)
    probed = bed.staged(REVERSED, probe=np.array([3, 1]))
    assert probed.probed is not None
    assert np.array_equal(probed.probed, whole.answers[[3, 1]])
    without = bed.staged(REVERSED, ablate="turning")
    assert np.array_equal(without.answers, bed.staged(zoo.source("identity")).answers)
    assert not np.array_equal(without.answers, whole.answers)
    upstream = [job for job in bed.inner.jobs if job.view.name != "reranking"]
    assert {(job.ablate, job.probe) for job in upstream} == {("", None)}


def test_what_is_judged_reaches_no_re_ranker(tmp_path: Path) -> None:
    """With other labels outside, what a candidate is given and answers is the same; those that it
    learns from are training rows."""
    first = Bed(tmp_path / "a", before(), inner=Keeping(tmp_path / "kept-a"))
    labels = first.fold.labels
    items = np.random.default_rng(1).permutation(labels.items)
    fold = replace(first.fold, labels=Labels(indptr=labels.indptr, items=items))
    second = Bed(tmp_path / "b", before(), fold=fold, inner=Keeping(tmp_path / "kept-b"))
    source = zoo.source("listwise_attention")
    ours, theirs = first.staged(source), second.staged(source)
    assert np.array_equal(ours.answers, theirs.answers)
    given = sorted(path.name for path in (tmp_path / "kept-a").iterdir())
    assert "ranked_labels.npy" in given
    for name in given:
        one, other = ((tmp_path / kept / name).read_bytes() for kept in ("kept-a", "kept-b"))
        assert one == other, name
    learned = np.load(tmp_path / "kept-a" / "ranked_labels.npy").astype(bool)
    listed = np.load(tmp_path / "kept-a" / "ranked_items.npy")
    inner = first.fold.inner.labels
    known = membership(listed, inner.indptr, inner.items, first.fold.train.n_items)
    assert learned.any()
    assert np.array_equal(learned, known)


def test_an_upstream_that_fails_is_no_candidates_fault(tmp_path: Path) -> None:
    bed = Bed(tmp_path, by_number("1 / 0"))
    with pytest.raises(UsageError, match=r"the upstream pipeline cannot make lists.*agent plain"):
        bed.run(zoo.source("identity"))
    late = Bed(tmp_path / "late", by_number()).run(
        zoo.source("identity"), limits=Limits(seconds=0.0)
    )
    assert isinstance(late.outcome, Failed)
    assert late.outcome.kind == "timeout"
    assert late.outcome.reason.startswith("the upstream pipeline: agent plain: ")


def test_a_re_ranker_that_fails_is_told_as_itself(bed: Bed) -> None:
    found = bed.run(OTHER.replace("@ORDER@", "1 / 0")).outcome
    assert isinstance(found, Failed)
    assert found.reason == "division by zero"
    found = TASK.inspect(RECALL)
    assert isinstance(found, Failed)
    assert "lacks rerank(self, lists, k)" in found.reason


def settled(**evaluate: Any) -> RunConfig:
    config = RunConfig.model_validate({"task": "reranking", "evaluate": evaluate})
    return TASK.settled(config, dataset(), 60.0)


def test_settings_hold_the_whole_upstream_and_nothing_that_does_not_serve() -> None:
    document = upstream_of(settled().evaluate)
    assert document == default_upstream()
    assert document.serving == ("ease", "popularity", "logistic_regression")
    assert default_upstream({"ease"}).serving == ("ials", "popularity", "logistic_regression")
    given = upstream_of(settled(upstream=pool().text()).evaluate)
    assert given == before()
    again = settled(upstream=given.text())
    assert again == settled(upstream=pool().text())


def test_an_upstream_that_re_ranks_or_is_none_is_refused_in_a_line() -> None:
    with pytest.raises(ConfigError, match=r"upstream pipeline: graph\.reranking names 'mmr'"):
        settled(upstream=pool(reranking="mmr").text())
    with pytest.raises(ConfigError, match="upstream pipeline: a pipeline holds 'agents'"):
        settled(upstream="pipeline.yaml")
    agents = {RERANKER: by_number().agents["plain"]}
    named = by_number().model_copy(update={"agents": agents})
    graph = named.graph.model_copy(update={"recall": {RERANKER: 5}})
    with pytest.raises(ConfigError, match="called 'reranker', as candidates are"):
        settled(upstream=named.model_copy(update={"graph": graph}).text())
