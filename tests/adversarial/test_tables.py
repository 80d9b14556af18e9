"""Labels of rows to predict never enter the sandbox; here a candidate looks for them everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evolver.config import DataConfig, SplitConfig
from evolver.core import Candidate, Completed, Failed, Job, Limits
from evolver.data.labelled.kinds import told_kinds
from evolver.data.labelled.read import from_frame
from evolver.data.labelled.sample import KINDS, sample_frame
from evolver.data.labelled.split import TableFold, fold_table, split_table
from evolver.execute.pool import PooledSandbox
from evolver.execute.process import Launcher
from evolver.tasks.ranking_view import write_table_view

SNOOP = """
import gc
import os
import numpy as np

LIBRARIES = {"usr", "lib", "lib32", "lib64", "libexec", "site-packages", "proc", "sys"}
LOOKED = {}

def anywhere(rows, when):
    if when not in LOOKED:
        LOOKED[when] = look(rows)
    return LOOKED[when]

def look(rows):
    for folder, folders, files in os.walk(@PLACE@):
        folders[:] = [name for name in folders if name not in LIBRARIES]
        for name in files:
            if name.endswith(".npy"):
                try:
                    array = np.load(os.path.join(folder, name))
                except Exception:
                    continue
                if array.shape == (rows,) and set(np.unique(array)) <= {0.0, 1.0}:
                    return True
    return False

class Model:
    def __init__(self, params):
        self.found = False

    def fit(self, train, budget):
        assert train.labels is not None and train.labels.mean() > 0
        self.found = anywhere(@ASKED@, "fit")

    def predict(self, table):
        tables = [o for o in gc.get_objects() if type(o).__name__ == "Table"]
        told = any(t.labels is not None and len(t) == @ASKED@ for t in tables)
        found = self.found or told or table.labels is not None or anywhere(@ASKED@, "predict")
        return np.full(len(table), 1.0 if found else 0.25)

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

    def predict(self, table):
        return @ANSWER@

    def state(self):
        return {}

    def load(self, state):
        pass
"""
LIMITS = Limits(seconds=60, memory_bytes=1 << 30, threads=1, scratch_bytes=64 << 20, processes=64)


@pytest.fixture(scope="module")
def fold() -> TableFold:
    frame = sample_frame(rows=1500, users=40, items=30)
    table = from_frame(frame, None, "sample", DataConfig(), told_kinds(KINDS))
    return fold_table(table, split_table(table, SplitConfig(), 0), "search")


@pytest.fixture(scope="module")
def view(fold: TableFold, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("table") / "view"
    write_table_view(fold, place)
    np.save(place / "labels.npy", fold.labels)  # even if a task were so careless
    return place


@pytest.fixture(scope="module", params=["bubblewrap", "unconfined"])
def sandbox(
    request: pytest.FixtureRequest, launcher: Callable[[str], Launcher]
) -> Iterator[PooledSandbox]:
    with PooledSandbox(launcher(request.param), workers=1, light=True) as box:
        yield box


def job(view: Path, fold: TableFold, source: str) -> Job:
    source = source.replace("@ASKED@", str(len(fold.asked)))
    return Job(
        candidate=Candidate(source=source),
        view=view,
        queries=len(fold.asked),
        items=0,
        k=0,
        seed=1,
        limits=LIMITS,
        probe=np.array([2, 0]),
    )


def test_labels_are_found_nowhere_but_without_walls(
    sandbox: PooledSandbox, view: Path, fold: TableFold
) -> None:
    place = '"/"' if sandbox.name == "bubblewrap" else repr(str(view.parent))
    outcome = sandbox.run(job(view, fold, SNOOP.replace("@PLACE@", place))).outcome
    assert isinstance(outcome, Completed), outcome
    assert outcome.answers.shape == (len(fold.asked),)
    expected = 0.25 if sandbox.name == "bubblewrap" else 1.0
    assert (outcome.answers == expected).all()
    assert outcome.probed is not None
    assert outcome.probed.shape == (2,)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("np.full(len(table), np.nan)", "invalid_output: predict returned"),
        ("np.full(len(table), 2.0)", "invalid_output: predict returned"),
        ("np.full((len(table), 1), 0.5)", "invalid_output: predict returned shape"),
        ("np.array(['0.5'] * len(table))", "invalid_output: predict returned dtype"),
        ("1 / 0", "crash: ZeroDivisionError in predict"),
    ],
)
def test_answers_that_are_no_probabilities_are_named(
    sandbox: PooledSandbox, view: Path, fold: TableFold, answer: str, said: str
) -> None:
    outcome = sandbox.run(job(view, fold, ANSWERS.replace("@ANSWER@", answer))).outcome
    assert isinstance(outcome, Failed)
    assert f"{outcome.kind}: {outcome.reason}".startswith(said)


def test_rows_arrive_as_the_task_wrote_them(
    sandbox: PooledSandbox, view: Path, fold: TableFold
) -> None:
    """What comes back is made of every kind of feature, so all of them must have arrived."""
    answer = (
        "(table.codes[:, 1] + table.lists[1].last(1, pad=0)[:, 0] + "
        "np.diff(table.lists[0].indptr) + (table.numbers[:, 0] > 0) + (table.times % 7)) / 1000"
    )
    outcome = sandbox.run(job(view, fold, ANSWERS.replace("@ANSWER@", answer))).outcome
    assert isinstance(outcome, Completed), outcome
    asked = fold.asked
    assert asked.times is not None
    expected = (
        asked.codes[:, 1]
        + asked.lists[1].last(1, pad=0)[:, 0]
        + np.diff(asked.lists[0].indptr)
        + (asked.numbers[:, 0] > 0)
        + asked.times % 7
    ) / 1000
    np.testing.assert_array_equal(outcome.answers, expected)
