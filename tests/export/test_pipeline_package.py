"""A pipeline as a package: it serves what the run of its stages served, without evolver."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from typer.testing import CliRunner

from evolver import run as runs
from evolver.agents.document import Document
from evolver.agents.fold import PipelineFold, pipeline_fold
from evolver.agents.pipeline_sandbox import PipelineSandbox
from evolver.agents.staged import Staged
from evolver.agents.task import PipelineTask
from evolver.cli.main import app
from evolver.config import RunConfig, SplitConfig
from evolver.core import Candidate, Job, Limits
from evolver.data.dataset import Dataset
from evolver.data.split import make_split
from evolver.export.card import CardFacts, Serving
from evolver.export.pipeline_package import OWN, write_pipeline_package
from tests.agents.inside import InProcess
from tests.agents.programs import RECALL, dataset, pool
from tests.agents.test_search import write_data
from tests.export.test_export_command import measured, record

K, SEED = 8, 3
NARROW = RECALL.replace("SERVES_UNSEEN = True", "SERVES_UNSEEN = False")
WITHOUT = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("evolver", "pydantic", "yaml"):
            raise ImportError(name)

sys.meta_path.insert(0, Nowhere())
"""
"""Runs first where a package is tried: nothing of evolver can be imported."""


class Bed:
    """Data, its last fold on disk, and what a pipeline recommended there."""

    def __init__(
        self, place: Path, card: CardFacts, data: Dataset | None = None, kind: Any = "order"
    ) -> None:
        self.place, self.card = place, card
        self.dataset = data or dataset(60)
        split = make_split(self.dataset, SplitConfig(kind=kind), 0)
        self.fold: PipelineFold = pipeline_fold(self.dataset, split, "test", repeats=False)
        self.view = place / "views" / "test"
        PipelineTask().write_view(self.fold, self.view)

    def outcome(self, document: Document) -> Staged:
        sandbox = PipelineSandbox(InProcess(), lambda view: self.fold, self.place / "stages")
        job = Job(
            candidate=Candidate(source=document.text()),
            view=self.view,
            queries=len(self.fold.queries),
            items=self.fold.train.n_items,
            k=K,
            limits=Limits(seconds=60.0),
            seed=SEED,
            want_weights=True,
        )
        found = sandbox.run(job).outcome
        assert isinstance(found, Staged), found
        return found

    def written(self, outcome: Staged, name: str = "piped") -> Path:
        document = outcome.document
        return write_pipeline_package(
            self.place / "out",
            name,
            candidate=Candidate(source=document.text(), name="toy", proposer="search"),
            outcome=outcome,
            dataset=self.dataset,
            fold=self.fold,
            card=self.card,
            tie_seed=SEED,
        )

    def served(self, lists: np.ndarray) -> list[list[str]]:
        return [[str(self.dataset.item_ids[i]) for i in row if i >= 0] for row in lists]

    @property
    def users(self) -> list[str]:
        return [str(self.dataset.user_ids[number]) for number in self.fold.queries.ids]


@pytest.fixture
def bed(tmp_path: Path, card: CardFacts) -> Bed:
    return Bed(tmp_path, card)


def alone(folder: Path, code: str) -> Any:
    """What the code prints as JSON, in a process that cannot import evolver."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{WITHOUT}sys.path.insert(0, {str(folder)!r})\n{code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ASK = "import json, piped, piped._check as c\nm = piped.load()\nprint(json.dumps({}))"
CHECKED = "[(p := c.check(m)).users, p.identical, p.passed]"
GRAPHS = {
    "a learned merge": {"ranking": None, "merge": {"how": "learned"}},
    "all stages": {"reranking": "mmr", "head": 12, "merge": {"how": "fusion", "constant": 20.0}},
}


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_lists_are_those_of_the_run(bed: Bed, graph: dict[str, Any]) -> None:
    outcome = bed.outcome(pool(**graph))
    asked = f"[m.recommend_batch({bed.users}, {K}), m.recommend('3', 4), {CHECKED}]"
    lists, one, checked = alone(bed.written(outcome), ASK.format(asked))
    assert lists == bed.served(outcome.answers)
    assert one == lists[bed.users.index("3")][:4]
    assert checked == [len(bed.users), len(bed.users), True]


def test_users_that_were_not_in_training_and_an_agent_for_those_that_were(
    tmp_path: Path, card: CardFacts
) -> None:
    data = dataset(90)
    late = np.where(data.users >= 82, 5000, 0)  # so many rows are the test part
    assert data.times is not None
    bed = Bed(tmp_path, card, replace(data, times=data.times + late), "time")
    known = bed.fold.queries.known
    assert 0 < known.sum() < len(known)
    document = pool(reranking="dpp", head=12)
    two = document.agents["two"].model_copy(update={"source": NARROW})
    document = document.model_copy(update={"agents": {**document.agents, "two": two}})
    outcome = bed.outcome(document)
    asked = f"[m.recommend_batch({bed.users}, {K}), {CHECKED}]"
    lists, checked = alone(bed.written(outcome), ASK.format(asked))
    assert lists == bed.served(outcome.answers)
    assert checked == [len(bed.users), len(bed.users), True]


def test_strangers_and_longer_lists(bed: Bed, imported: Callable[[Path, str], Any]) -> None:
    outcome = bed.outcome(pool(reranking="mmr", head=12))
    module = imported(bed.written(outcome, "module_p"), "module_p").load()
    user, had = bed.users[0], [str(item) for item in bed.fold.queries.history(0)]
    short, long = module.recommend(user, 5), module.recommend(user, 30)
    assert long[:5] == short
    assert K < len(long) < 30
    stranger = module.recommend_for_history(had, 5)
    assert len(stranger) == 5
    assert not set(had) & set(stranger)
    popular = np.argsort(-bed.fold.train.popularity(), kind="stable")[:3]
    assert module.recommend("who?", 3) == [str(item) for item in popular]
    assert not module.serves("who?")
    with pytest.raises(KeyError, match="who"):
        module.recommend("who?", unknown="error")


def test_a_changed_weight_is_noticed(bed: Bed, imported: Callable[[Path, str], Any]) -> None:
    outcome = bed.outcome(pool())
    weights = dict(outcome.learned.weights)
    weights["one"] = save({"popularity": -load(weights["one"])["popularity"]})
    other = replace(outcome, learned=replace(outcome.learned, weights=weights))
    imported(bed.written(other, "module_q"), "module_q")
    check = importlib.import_module("module_q._check").check()
    assert check.identical < check.users
    assert not check.passed


def test_between_stages_lie_the_very_files_of_a_run(bed: Bed) -> None:
    module = bed.written(bed.outcome(pool())) / "piped"
    assert sorted(p.name for p in (module / "weights").iterdir()) == [
        "one.safetensors",
        "ranker.safetensors",
        "two.safetensors",
    ]
    for name, there in OWN.items():
        ours = Path(sys.modules[name].__file__ or "").read_text("utf-8").splitlines()
        theirs = (module / f"{there}.py").read_text("utf-8").splitlines()
        changed = [a for a, b in zip(ours, theirs, strict=True) if a != b]
        assert all(line.startswith("from evolver.") for line in changed)


def test_the_card_says_who_earned_it(bed: Bed, card: CardFacts) -> None:
    bed.card = replace(
        card, agents=(Serving(name="one", stage="recall", family="toy", credit=0.01, lost=0.002),)
    )
    text = (bed.written(bed.outcome(pool())) / "MODEL_CARD.md").read_text("utf-8")
    assert "| `one` | recall | `toy` | - | +0.0100 | +0.0020 |" in text
    assert "3 agents serve after each other: `one+two → round robin → ranker`" in text
    assert "`one.step=3`" in text


def test_a_run_of_pipelines_is_exported_by_the_command(
    tmp_path: Path, imported: Callable[[Path, str], Any]
) -> None:
    config = RunConfig.model_validate(
        {
            "task": "pipeline",
            "data": {"path": str(write_data(tmp_path, 60))},
            "split": {"kind": "order"},
            "budget": {"candidates": 1},
            "execute": {"sandbox": "unconfined", "workers": 1, "threads": 1, "device": "cpu"},
        }
    )
    run = runs.create(config, tmp_path / "run")
    each = np.full(len(run.fold("search").queries), 0.2, dtype=np.float32)
    found = replace(
        measured(0.2, 1), metrics={"reward@10": 0.2}, per_user={"reward@10": each}, parameters=3
    )
    record(run, 0, Candidate(source=pool().text(), name="toy", proposer="pipeline"), found)
    words = ["export", str(run.folder), "-o", str(tmp_path / "out"), "--name", "module_r"]
    refused = CliRunner().invoke(app, [*words, "--onnx"])
    assert "no one graph" in str(refused.exception)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "sealed test: reward@10" in done.stdout
    module = imported(tmp_path / "out", "module_r").load()
    assert len(module.recommend("3", 5)) == 5
    assert importlib.import_module("module_r._check").check().passed
    card = (tmp_path / "out" / "MODEL_CARD.md").read_text("utf-8")
    assert "| `ranker` | ranking | `toy ranking` | 0." in card
    assert "nobody measured them for this pipeline" in card
    again = CliRunner().invoke(app, ["refit", str(tmp_path / "out"), "x"])
    assert "holds a pipeline, which is not refitted" in str(again.exception)
