"""`evolver export` from the command line: refit, one reading of the test, a package, its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from typer.testing import CliRunner

from evolver import run as runs
from evolver.cli.main import app
from evolver.config import (
    BudgetConfig,
    DataConfig,
    EvaluateConfig,
    ExecuteConfig,
    PromoteConfig,
    RunConfig,
)
from evolver.core import Candidate, Failed, Scored
from evolver.errors import ArchiveError, UsageError
from evolver.propose.baselines import PROPOSER
from evolver.tasks import retrieval
from evolver.zoo import source
from tests.export.conftest import NEIGHBOURS, module_from
from tests.test_evolve import write_data

runner = CliRunner()
METRIC = "ndcg@10"
BASE = Candidate(source=NEIGHBOURS, name="neighbours", family="neighbourhood", proposer=PROPOSER)
DRAFT = Candidate(
    source=NEIGHBOURS + "\n# a draft\n",
    name="drafted",
    proposer="llm",
    model="openai/big",
    prompt_hash="a" * 64,
    direction="loss",
    parents=(BASE.id,),
)
WINNER = Candidate(
    source=NEIGHBOURS + "\n# better\n",
    values={"damping": 2.0},
    name="better",
    idea="less damping",
    proposer="mailbox",
    operator="edit",
    author="coding | agent",
    prompt_hash="b" * 64,
    direction="loss",
    parents=(DRAFT.id, BASE.id),
)

EASE = Candidate(source=source("ease"), values={"l2": 20.0}, name="EASE", proposer="llm")


@pytest.fixture
def run(tmp_path: Path) -> runs.Run:
    return made_run(tmp_path, "unconfined")


def made_run(tmp_path: Path, sandbox: Literal["auto", "unconfined"]) -> runs.Run:
    """A run that found something: a baseline, a model's draft, an agent's edit, and a failure."""
    config = RunConfig(
        data=DataConfig(path=str(write_data(tmp_path))),
        budget=BudgetConfig(candidates=4),
        evaluate=EvaluateConfig(also=("recall@20",)),
        execute=ExecuteConfig(sandbox=sandbox, workers=1, threads=1, device="cpu"),
        promote=PromoteConfig(finalists=0),
    )
    made = runs.create(config, tmp_path / "run")
    users = len(made.fold("search").queries)
    for number, (candidate, value) in enumerate([(BASE, 0.1), (DRAFT, 0.15), (WINNER, 0.2)]):
        record(made, number, candidate, measured(value, users))
    record(made, 3, Candidate(source=""), Failed(kind="contract", reason="no code"))
    return made


def measured(value: float, users: int) -> Scored:
    each = np.full(users, value, dtype=np.float32)
    return Scored(
        metrics={METRIC: value, "recall@20": value},
        per_user={METRIC: each, "recall@20": each},
        fit_seconds=1.0,
        score_seconds=0.1,
        latency_ms_p50=1.0,
        latency_ms_p99=2.0,
        parameters=10,
        peak_bytes=1 << 20,
    )


def record(run: runs.Run, number: int, candidate: Candidate, found: Scored | Failed) -> None:
    run.archive.begin(number, candidate)
    run.archive.add(
        number,
        found,
        execution=None,
        part="search",
        seed=run.seed,
        limits=run.limits,
        evaluator=retrieval.EVALUATOR,
    )


def test_what_leads_is_exported_with_where_it_comes_from(run: runs.Run, tmp_path: Path) -> None:
    out = tmp_path / "shop"
    words = ["export", str(run.folder), "-o", str(out), "--name", "shop_items"]
    done = runner.invoke(app, [*words, "--licence", "Apache-2.0", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["candidate"] == {"number": 2, "id": WINNER.id}
    assert said["baseline"]["number"] == 0
    assert said["gain"]["low"] <= said["gain"]["difference"] <= said["gain"]["high"]
    assert said["readings"] == 1
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    for line in (
        f"| #2 `{WINNER.id}` | `mailbox`, `edit` | `coding \\| agent` | `{'b' * 16}` |",
        f"| #1 `{DRAFT.id}` | `llm`, `draft` | `openai/big` | `{'a' * 16}` |",
        f"| #0 `{BASE.id}` | `baseline`, `draft` | - | - |",
        "| written by | `coding \\| agent`, `openai/big` |",
        "| settings | `damping=2.0` |",
    ):
        assert line in card
    assert card.rstrip().endswith("## Licence\n\nApache-2.0")
    assert "The promotion gate has not judged this module." in card
    reading = run.archive.readings("test")
    assert [list(r["numbers"]) for r in reading] == [[2, 0]]
    module = module_from(out / "shop_items" / "__init__.py", "shop_items")
    assert len(module.load().recommend("1", 3)) == 3


def test_exporting_again_shows_the_same_reading_of_the_test(run: runs.Run, tmp_path: Path) -> None:
    words = ["export", str(run.folder), "--name", "shop", "--json", "-o"]
    first = json.loads(runner.invoke(app, [*words, str(tmp_path / "one")]).stdout)
    again = json.loads(runner.invoke(app, [*words, str(tmp_path / "two")]).stdout)
    assert again["test"] == first["test"]
    assert len(run.archive.readings("test")) == 1
    told = runner.invoke(app, ["export", str(run.folder), "-o", str(tmp_path / "shop")])
    assert "python -m shop check" in told.stdout.replace("\n", " ")
    other = runner.invoke(app, [*words, str(tmp_path / "three"), "--candidate", "1"])
    assert isinstance(other.exception, ArchiveError | UsageError)
    assert "--reread-test" in str(other.exception)


@pytest.mark.slow
def test_a_graph_is_made_in_the_sandbox_and_ranks_as_the_package(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs: pip install 'evolver[onnx]'")
    run = made_run(tmp_path, "auto")
    record(run, 4, EASE, measured(0.3, len(run.fold("search").queries)))
    out = tmp_path / "shop"
    words = ["export", str(run.folder), "-o", str(out), "--name", "shop_graph", "--onnx"]
    done = runner.invoke(app, words)
    assert done.exit_code == 0, done.output
    card = (out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "scorer.onnx` scores without Python. Checked at export: top" in card
    assert "| `history` | `users x" in (out / "README.md").read_text(encoding="utf-8")
    module = module_from(out / "shop_graph" / "__init__.py", "shop_graph").load()
    session = onnxruntime.InferenceSession(out / "shop_graph" / "scorer.onnx")
    history = np.zeros((3, len(module.items)), dtype=np.float32)
    history[:, 2] = 1
    (scores,) = session.run(["scores"], {"history": history})
    best = [module.items[i] for i in np.argsort(-scores[0]) if i != 2][:3]
    assert module.recommend_for_history([module.items[2]], 3) == best


def test_a_program_without_a_scorer_is_refused_before_anything_is_read(
    run: runs.Run, tmp_path: Path
) -> None:
    done = runner.invoke(app, ["export", str(run.folder), "-o", str(tmp_path / "shop"), "--onnx"])
    assert isinstance(done.exception, UsageError)
    assert "offers no scorer()" in str(done.exception)
    assert run.archive.readings("test") == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--candidate", "17"], "has no candidate 17"),
        (["--candidate", "3"], "has no score: no code"),
        (["--name", "2 words"], "2 words"),
        (["-o", "{run}"], "name a new folder with -o"),
    ],
)
def test_what_cannot_be_exported_is_said_before_anything_is_read(
    run: runs.Run, tmp_path: Path, words: list[str], said: str
) -> None:
    words = [word.format(run=run.folder) for word in words]
    out = [] if "-o" in words else ["-o", str(tmp_path / "shop")]
    done = runner.invoke(app, ["export", str(run.folder), *out, *words])
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert run.archive.readings("test") == []
