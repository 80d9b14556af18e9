"""Labels of lists to re-rank never enter the sandbox; here a candidate looks for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evolver.agents.lists import Listed, ranked
from evolver.agents.reranking import write_ranked
from evolver.config import SplitConfig
from evolver.core import Candidate, Completed, Failed, Job, Limits
from evolver.data.split import make_fold, make_split
from evolver.execute.pool import PooledSandbox
from evolver.execute.process import Launcher
from tests.agents.programs import dataset

QUERIES, WIDTH, K = 40, 12, 10
SNOOP = """
import gc
import os
import numpy as np

def anywhere(shape):
    for folder, _, files in os.walk(@PLACE@):
        for name in files:
            if name.endswith(".npy"):
                try:
                    array = np.load(os.path.join(folder, name))
                except Exception:
                    continue
                if array.shape == shape and array.max() == 3.0:
                    return True
    return False

class Model:
    def __init__(self, params):
        self.found = False

    def fit(self, train, budget):
        assert train.labels is not None and train.labels.mean() > 0
        self.found = anywhere((@ROWS@, @WIDTH@))

    def rerank(self, lists, k):
        held = [o for o in gc.get_objects() if type(o).__name__ == "Ranked"]
        told = any(o.labels is not None and o.labels.max() == 3.0 for o in held)
        found = self.found or told or lists.labels is not None
        found = found or anywhere((@ROWS@, @WIDTH@))
        return lists.items[:, ::-1][:, :k] if found else lists.items[:, :k]

    def state(self):
        return {"found": np.array(self.found)}

    def load(self, state):
        self.found = bool(state["found"])
"""
ANSWERS = """
import numpy as np

class Model:
    def __init__(self, params):
        pass

    def fit(self, train, budget):
        pass

    def rerank(self, lists, k):
        return @ANSWER@

    def state(self):
        return {}

    def load(self, state):
        pass
"""
LIMITS = Limits(seconds=30, memory_bytes=1 << 30, threads=1, scratch_bytes=64 << 20, processes=64)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lists of one fold to learn from and to re-rank, and beside them what nobody may see."""
    data = dataset(QUERIES)
    fold = make_fold(data, make_split(data, SplitConfig(kind="order"), 0), "search", False)
    rng = np.random.default_rng(2)
    items = np.array([rng.permutation(40)[:WIDTH] for _ in range(QUERIES)], dtype=np.int32)
    scores = -np.sort(-rng.random((QUERIES, WIDTH)))
    head = Listed(items=items, scores=scores)
    labels = (rng.random((QUERIES, WIDTH)) < 0.2).astype(np.float32)
    counts, features = fold.train.popularity(), fold.train.item_features
    train = ranked(head, fold.queries, counts, features, labels)
    place = tmp_path_factory.mktemp("lists") / "view"
    write_ranked(train, ranked(head, fold.queries, counts, features), place, repeats=False)
    np.save(place / "labels.npy", labels * 3)  # even if somebody were so careless
    return place


@pytest.fixture(scope="module", params=["bubblewrap", "unconfined"])
def sandbox(
    request: pytest.FixtureRequest, launcher: Callable[[str], Launcher]
) -> Iterator[PooledSandbox]:
    with PooledSandbox(launcher(request.param), workers=1, light=True) as box:
        yield box


def job(view: Path, source: str) -> Job:
    source = source.replace("@ROWS@", str(QUERIES)).replace("@WIDTH@", str(WIDTH))
    return Job(
        candidate=Candidate(source=source),
        view=view,
        queries=QUERIES,
        items=40,
        k=K,
        seed=1,
        limits=LIMITS,
        probe=np.array([2, 0]),
    )


def test_labels_are_found_nowhere_but_without_walls(sandbox: PooledSandbox, view: Path) -> None:
    place = '"/"' if sandbox.name == "bubblewrap" else repr(str(view.parent))
    outcome = sandbox.run(job(view, SNOOP.replace("@PLACE@", place))).outcome
    assert isinstance(outcome, Completed), outcome
    given = np.load(view / "query_ranked_items.npy")
    expected = given if sandbox.name == "bubblewrap" else given[:, ::-1]
    assert np.array_equal(outcome.answers, expected[:, :K])
    assert outcome.probed is not None
    assert np.array_equal(outcome.probed, outcome.answers[[2, 0]])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("lists.items[:, :k] * 0", "invalid_output: rerank returned an item twice"),
        ("39 - lists.items[:, :k]", "invalid_output: rerank returned an item that was not"),
        ("lists.items[0, :k]", "invalid_output: rerank returned shape"),
        ("lists.scores[:, :k]", "invalid_output: rerank returned dtype"),
        ("1 / 0", "crash: ZeroDivisionError in rerank"),
    ],
)
def test_answers_that_are_no_lists_of_these_items_are_named(
    sandbox: PooledSandbox, view: Path, answer: str, said: str
) -> None:
    outcome = sandbox.run(job(view, ANSWERS.replace("@ANSWER@", answer))).outcome
    assert isinstance(outcome, Failed)
    assert f"{outcome.kind}: {outcome.reason}".startswith(said)


def test_lists_arrive_as_they_were_written(sandbox: PooledSandbox, view: Path) -> None:
    """What comes back is ordered by every kind of thing that is known, so all must have arrived."""
    answer = (
        "np.take_along_axis(lists.items, np.argsort(lists.scores + "
        "lists.popularity[lists.items] + np.diff(lists.users.indptr)[:, None] + "
        "100 * lists.features()[:, 0].toarray()[lists.items][:, :, 0], axis=1), axis=1)[:, :k]"
    )
    outcome = sandbox.run(job(view, ANSWERS.replace("@ANSWER@", answer))).outcome
    assert isinstance(outcome, Completed), outcome
    items, scores = (np.load(view / f"query_ranked_{n}.npy") for n in ("items", "scores"))
    popularity = np.load(view / "ranked_popularity.npy")
    value = scores + popularity[items] + 100 * (items % 2 == 0)
    order = np.argsort(value, axis=1)[:, :K]
    assert np.array_equal(outcome.answers, np.take_along_axis(items, order, axis=1))
