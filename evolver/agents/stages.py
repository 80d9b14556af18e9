"""A pipeline's run: recall, merge, ranking, re-ranking, each agent in a sandbox of its own.

To the search a pipeline is a candidate like any other, whose source is its document, and this is
the sandbox that runs it. Labels of what is judged are nowhere here. Inner labels, which are
training rows of the judging, reach ranking and re-ranking agents as what they learn from, and no
recall agent whose lists they learn from: those are fitted without them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.agents.cache import Ran, StageCache, key_of
from evolver.agents.document import Document, Stage, parse
from evolver.agents.features import Scale, known_of, make_rows, scale_of, table_of
from evolver.agents.fold import PipelineFold
from evolver.agents.lists import (
    Listed,
    by_probability,
    head_of,
    merged_back,
    placed,
    ranked,
    widened,
)
from evolver.agents.merge import NOBODY, Merged, learn, merge
from evolver.agents.program import Ask, Programs, StageFailed
from evolver.agents.reranking import write_ranked
from evolver.agents.space import applied
from evolver.contract import Ranked
from evolver.core import Completed, Execution, Failed, Job, Progress, Sandbox
from evolver.data.split import Fold
from evolver.evaluate.check import inspect_source
from evolver.metrics.membership import membership
from evolver.tasks import retrieval
from evolver.tasks.ranking_view import write_tables

RECALLED = 200
"""So many items are asked of each recall agent, whatever its quota, so that another quota needs no
other training."""
MOST_ROWS = 600_000
"""Ranking learns from at most about so many pairs; of more, queries are drawn."""
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


def inner_view(view: Path) -> Path:
    """Where the view of the inner fold lies, of the fold whose view this is."""
    return view.with_name(f"{view.name}-inner")


class PipelineSandbox:
    """`evolver.core.Sandbox` for candidates that are pipelines.

    `fold_of` gives the fold that a view was written from. `folder` is where results are kept.
    """

    def __init__(
        self, sandbox: Sandbox, fold_of: Callable[[Path], PipelineFold], folder: Path
    ) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._fold_of = fold_of
        self._folder = folder
        self._cache = StageCache(folder)

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one pipeline. `job.ablate`: agents to leave out, joined by "+"."""
        began = time.monotonic()
        document = applied(parse(job.candidate.source), job.candidate.values)
        document = document.without(*filter(None, job.ablate.split("+")))
        programs = Programs(self._sandbox, self._cache, job, trainings(document))
        with tempfile.TemporaryDirectory(dir=self._place()) as drafts:
            run = StageRun(document, self._fold_of(job.view), job, programs, Path(drafts))
            try:
                outcome: Completed | Failed = run.go()
            except StageFailed as fault:
                outcome = fault.failed
        said = "\n".join(f"[{name}] {text}" for name, text in programs.said)
        seconds = time.monotonic() - began
        return Execution(outcome=outcome, seconds=seconds, stdout=said, sandbox=self.name)

    def close(self) -> None:
        self._sandbox.close()

    def _place(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder


def trainings(document: Document) -> int:
    """How many programs a run trains: recall agents twice, where something is learned from them."""
    graph = document.graph
    later = sum(each is not None for each in (graph.ranking, graph.reranking))
    twice = later or graph.merge.how == "learned"
    return max(1, len(graph.recall) * (2 if twice else 1) + later)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ordered:
    """What the stages before re-ranking brought. found: the lists to re-rank; given: those to learn
    re-ranking from, None where nobody learns; the others as in `Staged`."""

    recalled: Mapping[str, Lists]
    merged: Merged
    found: Listed
    given: Listed | None = None
    probabilities: Floats | None = None


class StageRun:
    """One pipeline on one fold, stage by stage. Raises StageFailed where an agent fails."""

    def __init__(
        self, document: Document, fold: PipelineFold, job: Job, programs: Programs, drafts: Path
    ) -> None:
        self.document = document
        self.graph = document.graph
        self.fold = fold
        self.job = job
        self.programs = programs
        self.drafts = drafts
        self.costs: list[StageCost] = []
        self.learned = Learned()
        self.odd = np.zeros(len(fold.queries), dtype=bool)
        self.parameters = 0
        self.peak = 0

    def go(self) -> Staged:
        ordered = self.ordered()
        lists = ordered.found.items
        if self.graph.reranking is not None and ordered.given is not None:
            lists = self._rerank(ordered.found, ordered.given)
        return self.staged(ordered, lists, self.job.probe)

    def ordered(self) -> Ordered:
        """Run all stages before re-ranking."""
        outer, inner = self._recall("outer"), self._recall("inner")
        if self.graph.merge.how == "learned" and outer:
            labels, n_items = self.fold.inner.labels, self.fold.train.n_items
            self.learned.odds = learn(list(inner.values()), labels.indptr, labels.items, n_items)
        merged = self._merged(outer)
        found = Listed(items=merged.items, scores=merged.scores)
        if not outer or not self._learns:
            return Ordered(recalled=outer, merged=merged, found=found)
        before = self._merged(inner)
        given = Listed(items=before.items, scores=before.scores)
        probabilities = None
        if self.graph.ranking is not None:
            probabilities, theirs = self._rank(merged, before)
            found = by_probability(merged.items, probabilities)
            given = by_probability(before.items, theirs)
        return Ordered(
            recalled=outer, merged=merged, found=found, given=given, probabilities=probabilities
        )

    @property
    def _learns(self) -> bool:
        """Whether an agent learns from what recall brings."""
        return self.graph.ranking is not None or self.graph.reranking is not None

    # --- recall and merge -----------------------------------------------------------------------

    def _recall(self, which: str) -> dict[str, Lists]:
        """The list of each recall agent, cut to its quota; nothing for whom it cannot serve."""
        fold: Fold = self.fold if which == "outer" else self.fold.inner
        view = self.job.view if which == "outer" else inner_view(self.job.view)
        needed = which == "outer" or self._learns or self.graph.merge.how == "learned"
        found = {}
        for name, quota in self.graph.recall.items() if needed else ():
            agent = self.document.agents[name]
            facts = inspect_source(agent.source)
            served = None if isinstance(facts, Failed) else retrieval.served_rows(facts, fold)
            probe = self.job.probe if which == "outer" else None
            if served is not None and probe is not None:
                probe = np.flatnonzero(np.isin(served, probe))
            ran = self.programs.run(
                name,
                agent,
                Ask(
                    view=view,
                    data=f"{self.job.view.name}/{which}",
                    queries=len(fold.queries),
                    items=fold.train.n_items,
                    k=max(RECALLED, self.job.k),
                    served=served,
                    probe=probe,
                ),
            )
            rows = np.arange(len(fold.queries)) if served is None else served
            lists = np.full((len(fold.queries), ran.answers.shape[1]), NOBODY, dtype=np.int32)
            lists[rows] = ran.answers
            found[name] = lists[:, :quota]
            self._count(name, "recall", ran, serves=which == "outer")
            if which == "outer" and ran.odd is not None:
                self.odd[rows] |= ran.odd
        return found

    def _merged(self, lists: Mapping[str, Lists]) -> Merged:
        depth = max(self.graph.depth, self.job.k)
        if not lists:
            queries = len(self.fold.queries)
            return Merged(
                items=np.full((queries, self.job.k), NOBODY, dtype=np.int32),
                scores=np.zeros((queries, self.job.k), dtype=np.float32),
                places=np.zeros((0, queries, self.job.k), dtype=np.int32),
            )
        return merge(list(lists.values()), self.graph.merge, depth, self.learned.odds)

    # --- ranking --------------------------------------------------------------------------------

    def _rank(self, merged: Merged, inner: Merged) -> tuple[Floats, Floats]:
        """(q, depth) the probability of each merged item, of the lists that are judged and of those
        that are learned from; NaN where there is none."""
        fold, agents, name = self.fold, tuple(self.graph.recall), str(self.graph.ranking)
        learned = make_rows(known_of(fold.inner.train), fold.inner.queries, inner, agents)
        asked = make_rows(known_of(fold.train), fold.queries, merged, agents)
        labels = self._labels(inner.items)[learned.query, learned.place]
        kept = _drawn(learned.query, self.job.seed)
        if not labels[kept].any() or labels[kept].all():
            raise StageFailed(name, _nothing_to_learn(labels[kept]))
        scale = self.learned.scale = scale_of(learned.numbers[kept])
        train = table_of(
            learned.numbers[kept], learned.found[kept], scale, len(agents), labels[kept]
        )
        rows = table_of(
            np.concatenate([asked.numbers, learned.numbers]),
            np.concatenate([asked.found, learned.found]),
            scale,
            len(agents),
        )
        count = len(asked.query)
        probe = self.job.probe
        ran = self._in_view(
            name,
            "ranking",
            lambda view: write_tables(train, rows, view),
            {
                "codes": train.codes,
                "numbers": train.numbers,
                "labels": labels[kept],
                "rows": rows.numbers[:count],
            },
            queries=len(rows),
            probe=None if probe is None else np.flatnonzero(np.isin(asked.query, probe)),
        )
        if ran.odd is not None:
            self.odd[asked.query[ran.odd[:count]]] = True
        self._count(name, "ranking", ran, together=count / max(len(fold.queries), 1))
        return (
            placed(merged.items, asked, ran.answers[:count]),
            placed(inner.items, learned, ran.answers[count:]),
        )

    def _labels(self, items: Lists) -> NDArray[np.float32]:
        """1 where an item of an inner query's list is an inner label."""
        labels, n_items = self.fold.inner.labels, self.fold.train.n_items
        return membership(items, labels.indptr, labels.items, n_items).astype(np.float32)

    # --- re-ranking -----------------------------------------------------------------------------

    def slates(self, found: Listed, given: Listed) -> tuple[Ranked, Ranked]:
        """The first places as a re-ranking agent has them: what it learns from, with inner labels,
        and what it is asked to re-rank."""
        size = self._head
        head, before = (head_of(each, size) for each in (found, given))
        width = max(head.items.shape[1], before.items.shape[1])
        head, before = widened(head, width), widened(before, width)
        fold = self.fold
        train = ranked(
            before,
            fold.inner.queries,
            fold.inner.train.popularity(),
            fold.inner.train.item_features,
            self._labels(before.items),
        )
        asked = ranked(head, fold.queries, fold.train.popularity(), fold.train.item_features)
        return train, asked

    def reranked(self, name: str, ran: Ran, asked: Ranked, found: Listed) -> Lists:
        """The lists with their first places as a re-ranking agent put them."""
        if ran.odd is not None:
            self.odd |= ran.odd
        self._count(name, "reranking", ran)
        return merged_back(asked.items, ran.answers, found.items[:, self._head :], self.job.k)

    @property
    def _head(self) -> int:
        """So many places are re-ranked."""
        return max(self.graph.head, self.job.k)

    def _rerank(self, found: Listed, given: Listed) -> Lists:
        """The lists with their first places re-ranked."""
        name = str(self.graph.reranking)
        train, asked = self.slates(found, given)
        ran = self._in_view(
            name,
            "reranking",
            lambda view: write_ranked(train, asked, view, repeats=self.fold.repeats),
            {
                "items": train.items,
                "scores": train.scores,
                "asked": asked.items,
                "given": asked.scores,
                "popularity": asked.popularity,
            },
            queries=len(asked),
            items=asked.users.n_items,
            k=self.job.k,
            probe=self.job.probe,
        )
        return self.reranked(name, ran, asked, found)

    def _in_view(
        self,
        name: str,
        stage: Stage,
        write: Callable[[Path], None],
        arrays: Mapping[str, NDArray[Any]],
        **asked: Any,
    ) -> Ran:
        """Run an agent whose view is made of what the stages before it brought."""
        view = self.drafts / stage
        data = key_of(self.job.view.name, stage, arrays=arrays)
        ask = Ask(view=view, data=data, **asked)
        return self.programs.run(name, self.document.agents[name], ask, write=write)

    # --- what came of it ------------------------------------------------------------------------

    def _count(
        self, name: str, stage: Stage, ran: Ran, together: float = 1.0, serves: bool = True
    ) -> None:
        """Note what an agent took, and its weights where it serves. `together`: so many answers
        make one user's request; where that is not 1, they are asked for in one go, and what that
        takes is told by the whole."""
        latency = ran.latency_ms if len(ran.latency_ms) else np.zeros(1)
        quantiles = np.quantile(latency, np.linspace(0, 1, QUANTILES))
        if together != 1.0:
            quantiles = quantiles + 1000.0 * ran.score_seconds * together / max(len(ran.answers), 1)
        self.costs.append(
            StageCost(
                agent=name,
                stage=stage,
                seconds=ran.fit_seconds + ran.score_seconds,
                latency_ms=quantiles,
                cached=ran.cached,
            )
        )
        if serves and ran.weights is not None:
            self.learned.weights[name] = ran.weights
        self.parameters += ran.parameters
        self.peak = max(self.peak, ran.peak_bytes)

    def staged(
        self, ordered: Ordered, lists: Lists, probe: NDArray[np.int64] | None = None
    ) -> Staged:
        """The outcome of a run that ended with these lists. `probe`: what was asked for twice."""
        k = self.job.k
        answers = np.full((len(lists), k), NOBODY, dtype=np.int32)
        answers[:, : min(k, lists.shape[1])] = lists[:, :k]
        stages = _joined(self.costs)
        return Staged(
            answers=answers,
            fit_seconds=sum(each.seconds for each in stages),
            score_seconds=0.0,
            latency_ms=sum((each.latency_ms for each in stages), np.zeros(QUANTILES)),
            parameters=self.parameters,
            peak_bytes=self.peak,
            probed=None if probe is None else _probed(answers, probe, self.odd),
            document=self.document,
            stages=stages,
            recalled=ordered.recalled,
            merged=ordered.merged,
            learned=self.learned,
            probabilities=ordered.probabilities,
        )


def _drawn(query: NDArray[np.int64], seed: int) -> Bools:
    """Which rows are kept, whole queries at a time, so that at most about MOST_ROWS are."""
    if len(query) <= MOST_ROWS:
        return np.ones(len(query), dtype=bool)
    queries = int(query[-1]) + 1
    chance = np.random.default_rng([seed, 13]).random(queries)
    return np.asarray(chance[query] < MOST_ROWS / len(query))


def _nothing_to_learn(labels: NDArray[np.float32]) -> Failed:
    what = (
        "only items that were taken" if len(labels) and labels.all() else "no item that was taken"
    )
    return Failed(
        kind="contract",
        reason=f"{len(labels):,} inner rows hold {what}, so there is nothing to learn from; "
        "recall more, or leave ranking out",
    )


def _joined(costs: list[StageCost]) -> tuple[StageCost, ...]:
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


def _probed(answers: Lists, probe: NDArray[np.int64], odd: Bools) -> Lists:
    """What came when the probe was asked again: the same lists, but where an agent answered
    otherwise, which is told by a list turned round."""
    found = answers[probe].copy()
    found[odd[probe]] = found[odd[probe]][:, ::-1]
    return found
