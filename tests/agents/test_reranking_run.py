"""A whole run of re-rankers with toy programs before them: searched, moved, repeated, compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from evolver import assemble
from evolver import run as runs
from evolver.agents.document import parse, read
from evolver.agents.upstream import upstream, upstream_of
from evolver.cli.main import app
from evolver.cli.record import record
from evolver.cli.settings import lay_pipeline
from evolver.comparing.spec import make_spec
from evolver.comparing.stage import Stage
from evolver.config import BudgetConfig, ProposeConfig, RunConfig
from evolver.core import Entry, Scored
from evolver.credits import judged_pipeline
from evolver.errors import UsageError
from evolver.evolve import Ending
from evolver.export.exported import read_package
from evolver.report.gather import gather
from evolver.report.html import render as page
from evolver.report.markdown import markdown
from evolver.report.pipeline import pipeline_data, pipeline_view
from evolver.report.shares import pipeline_shares
from tests.agents.inside import InProcess
from tests.agents.programs import pool
from tests.agents.test_search import write_data

UPSTREAM = upstream(pool(ranking=None))


def settings(place: Path, candidates: int = 8, **propose: Any) -> RunConfig:
    place.mkdir(parents=True, exist_ok=True)
    return RunConfig.model_validate(
        {
            "task": "reranking",
            "data": {"path": str(write_data(place, 80))},
            "split": {"kind": "order"},
            "budget": {"candidates": candidates},
            "evaluate": {"upstream": UPSTREAM.text()},
            "execute": {"sandbox": "unconfined", "workers": 1, "threads": 1, "device": "cpu"},
            "propose": {"proposer": "random", **propose},
            "baseline_share": 0.25,
        }
    )


def searched(opened: runs.Run) -> list[Entry]:
    search = assemble.search(opened, sandbox=opened.staged(InProcess()), finals=False)
    assert search.go() is Ending.CANDIDATES
    return opened.archive.history()


def test_a_run_goes_on_where_it_was_moved_and_its_record_repeats_it(tmp_path: Path) -> None:
    opened = runs.create(settings(tmp_path / "here", candidates=4), tmp_path / "here" / "run")
    assert opened.plan.rungs == ("full",)
    before = searched(opened)
    assert [e.candidate.name for e in before[:1]] == ["identity"]
    assert {e.candidate.proposer for e in before[1:]} == {"random"}
    assert all(e.candidate.space == "lists" for e in before[1:])
    assert gather(opened).settings["evaluate.upstream"] == UPSTREAM.outline
    opened.archive.close()
    moved = runs.reopen((tmp_path / "here" / "run").rename(tmp_path / "there"))
    assert upstream_of(moved.config.evaluate).serving == UPSTREAM.serving
    moved.config = moved.config.model_copy(update={"budget": BudgetConfig(candidates=6)})
    after = searched(moved)
    assert [e.candidate for e in after[:4]] == [e.candidate for e in before]
    assert all(isinstance(e.evaluation, Scored) for e in after)
    moved.archive.close()
    record(tmp_path / "there", tmp_path / "record")
    again = json.loads((tmp_path / "record" / "config.json").read_text())
    again["data"]["path"] = str(tmp_path / "here" / again["data"]["path"])
    again["propose"] |= {
        "proposer": "replay",
        "replay": str(tmp_path / "record" / "candidates.jsonl"),
    }
    again["budget"] = {"candidates": 6}
    repeated = searched(runs.create(RunConfig.model_validate(again), tmp_path / "again"))
    assert [e.candidate for e in repeated] == [e.candidate for e in after]
    assert [e.score("reward@10") for e in repeated] == [e.score("reward@10") for e in after]


def test_everything_that_shows_a_run_shows_it_beside_identity(tmp_path: Path) -> None:
    opened = runs.create(settings(tmp_path), tmp_path / "run")
    entries = searched(opened)
    found = judged_pipeline(opened, entries[3])
    assert found.agents["reranker"].source == entries[3].candidate.source
    assert found.graph.reranking == "reranker"
    shares = pipeline_shares(opened, entries[3])
    assert shares is not None
    assert [each.agent for each in shares.agents] == ["one", "two", "reranker"]
    told = pipeline_data(opened)
    assert told is not None
    assert [told["sides"]["identity"][name] for name in ("number", "trials")] == [0, 1]
    console = Console(width=100, record=True)
    console.print(pipeline_view(opened))
    text = console.export_text()
    assert "identity #0" in text
    assert "coverage, weight 0.05" in text
    assert "Shapley" in text
    assert "Credits" not in text
    for report in (markdown(gather(opened)), page(gather(opened))):
        assert "round robin → reranker" in report
        assert "(relevance 0.2873, diversity 0.0000" in report.replace("\\", "")


def test_a_re_ranker_is_written_as_a_pipeline_and_exported_as_one(tmp_path: Path) -> None:
    config = settings(tmp_path, candidates=3)
    alone = upstream(pool(ranking=None, recall={"one": 12}))
    evaluate = config.evaluate.model_copy(update={"upstream": alone.text()})
    opened = runs.create(config.model_copy(update={"evaluate": evaluate}), tmp_path / "run")
    entries = searched(opened)
    best = max(entries, key=lambda e: (e.score("reward@10") or 0.0, -e.number))
    opened.archive.close()
    file, out = tmp_path / "pipeline.yaml", tmp_path / "out"
    call("pipeline", "of", str(opened.folder), "-o", str(file))
    written = read(file)
    assert written == judged_pipeline(runs.reopen(opened.folder), best)
    refused = CliRunner().invoke(app, ["agent", "check", "one", "--run", str(opened.folder)])
    assert f"evolver pipeline of {opened.folder} -o FILE" in str(refused.exception)
    words = ["export", str(opened.folder), "-o", str(out), "--name", "module_lists"]
    assert "no one graph" in str(CliRunner().invoke(app, [*words, "--onnx"]).exception)
    said = call(*words)
    assert "sealed test: reward@10" in said
    package = read_package(out)
    assert package.task == "pipeline"
    document = parse(package.candidate.source)
    assert document == written
    assert package.candidate.parents == (best.candidate.id,)
    card = (out / "MODEL_CARD.md").read_text("utf-8")
    assert "| `reranker` | reranking |" in card
    assert "2 agents serve after each other: `one → reranker`" in card


def call(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_ways_to_search_for_re_rankers_are_compared_on_one_upstream(tmp_path: Path) -> None:
    config = settings(tmp_path, candidates=3)
    config = config.model_copy(
        update={
            "evaluate": config.evaluate.model_copy(update={"upstream": None}),
            "propose": ProposeConfig(),
        }
    )
    spec = make_spec(config, ["random", "tpe"], 1, None)
    stage = Stage(spec, tmp_path / "compared", lambda event: None)
    settled = stage.start(0).config.evaluate
    assert upstream_of(settled).serving == ("ease", "popularity", "logistic_regression")
    assert [stage.run(arm, 0).config.evaluate for arm in spec.arms] == [settled] * 2
    stage.close()


def test_a_pipeline_file_goes_where_the_task_keeps_it(tmp_path: Path) -> None:
    file = tmp_path / "pipeline.yaml"
    file.write_text(yaml.safe_dump(json.loads(UPSTREAM.model_dump_json())))
    said: dict[str, Any] = {"task": "reranking"}
    lay_pipeline(said, file)
    assert parse(said["evaluate"]["upstream"]) == UPSTREAM
    assert "propose" not in said
    with pytest.raises(
        UsageError, match="--pipeline goes with --task reranking or --task pipeline"
    ):
        lay_pipeline({}, file)
