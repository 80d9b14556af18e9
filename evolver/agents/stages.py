"""A pipeline's run: recall, merge, ranking, re-ranking, one stage after the other.

Labels of what is judged are nowhere here. Inner labels, which are training rows of the judging,
reach ranking and re-ranking agents as what they learn from, and no recall agent whose lists they
learn from: those are fitted without them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver.agents.cache import Ran, key_of
from evolver.agents.document import Document, Stage
from evolver.agents.features import known_of, make_rows, scale_of, table_of
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
from evolver.agents.space import RECALLED
from evolver.agents.staged import (
    QUANTILES,
    Bools,
    Floats,
    Learned,
    Lists,
    Ordered,
    StageCost,
    Staged,
    joined,
    probed,
)
from evolver.contract import Ranked
from evolver.core import Candidate, Failed, Job
from evolver.data.split import Fold
from evolver.metrics.membership import membership
from evolver.tasks import retrieval
from evolver.tasks.ranking_view import write_tables

MOST_ROWS = 600_000
"""Ranking learns from at most about so many pairs; of more, queries are drawn."""


def inner_view(view: Path) -> Path:
    """Where the view of the inner fold lies, of the fold whose view this is."""
    return view.with_name(f"{view.name}-inner")


def trainings(document: Document) -> int:
    """How many programs a run trains: recall agents twice, where something is learned from them."""
    graph = document.graph
    later = sum(each is not None for each in (graph.ranking, graph.reranking))
    twice = later or graph.merge.how == "learned"
    return max(1, len(graph.recall) * (2 if twice else 1) + later)


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
            served = retrieval.served_rows(self.document.facts(name), fold)
            probe = self.job.probe if which == "outer" else None
            if served is not None and probe is not None:
                probe = np.flatnonzero(np.isin(served, probe))
            ran = self.programs.run(
                name,
                self._candidate(name),
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
        return self.programs.run(name, self._candidate(name), ask, write=write)

    def _candidate(self, name: str) -> Candidate:
        """An agent's program with defaults written out: what means the same is the same."""
        source = self.document.agents[name].source
        return Candidate(source=source, values=self.document.values(name))

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
        stages = joined(self.costs)
        return Staged(
            answers=answers,
            fit_seconds=sum(each.seconds for each in stages),
            score_seconds=0.0,
            latency_ms=sum((each.latency_ms for each in stages), np.zeros(QUANTILES)),
            parameters=self.parameters,
            peak_bytes=self.peak,
            probed=None if probe is None else probed(answers, probe, self.odd),
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
