"""A whole run of pipelines, from the first baseline to the credits, with toy programs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from evolver import assemble, versions
from evolver import run as runs
from evolver.agents.registry import Registry
from evolver.agents.space import parameters, point_of
from evolver.bench import Bench
from evolver.cli.record import record
from evolver.cli.settings import lay_pipeline
from evolver.config import BudgetConfig, RunConfig
from evolver.core import Candidate, Entry, Sandbox, Scored
from evolver.credits import credits_of, document_of
from evolver.errors import ConfigError, UsageError
from evolver.evolve import Ending
from evolver.finals import Finals
from evolver.judgement import judgement_of_pipelines
from evolver.report.gather import gather
from evolver.report.html import render as page
from evolver.report.markdown import markdown
from evolver.report.pipeline import pipeline_data, pipeline_view
from tests.agents.inside import InProcess
from tests.agents.programs import RECALL, dataset, pool

PLANTED = RECALL.replace(
    "        return np.tile(self.popularity + order / users.n_items, (len(users), 1))",
    "        scores = self.popularity + order / users.n_items\n"
    "        best = np.argsort(-scores)\n"
    "        if self.step > 40:  # five that nobody wants, then all that are wanted\n"
    "            scores[best[-5:]] += 1000\n"
    "        else:  # some that are wanted, then many that nobody wants\n"
    "            scores[best[:8]] += 2000\n"
    "            scores[best[-20:]] += 1000\n"
    "        return np.tile(scores, (len(users), 1))",
)
"""With a step over 40 more of what is wanted is within its quota, and less of it at the top."""


def write_data(folder: Path, users: int) -> Path:
    data = dataset(users)
    lines = [
        f"{user},{item},{1_600_000_000 + 3600 * int(time)}"
        for user, item, time in zip(data.users, data.items, data.times, strict=True)  # type: ignore[arg-type]
    ]
    path = folder / "ratings.csv"
    path.write_text("user,item,timestamp\n" + "\n".join(lines) + "\n")
    return path


def make(place: Path, document: str, candidates: int = 8, users: int = 80) -> runs.Run:
    place.mkdir(parents=True, exist_ok=True)
    config = RunConfig.model_validate(
        {
            "task": "pipeline",
            "data": {"path": str(write_data(place, users))},
            "split": {"kind": "order"},
            "budget": {"candidates": candidates},
            "execute": {"workers": 1, "threads": 1, "device": "cpu"},
            "propose": {"proposer": "random", "pipeline": document},
            "baseline_share": 0.25,
        }
    )
    return runs.create(config, place / "run")


def test_a_run_of_pipelines_from_start_to_credits(tmp_path: Path) -> None:
    opened = make(tmp_path, pool().text())

    def sandbox(part: str = "search") -> Sandbox:
        return opened.staged(InProcess())

    search = assemble.search(opened, sandbox=sandbox())
    assert search.go() is Ending.CANDIDATES
    entries = opened.archive.history()
    assert [e.candidate.proposer for e in entries] == ["baseline"] * 2 + ["alternation"] * 6
    assert all(isinstance(e.evaluation, Scored) for e in entries)
    assert entries[2].candidate.operator == "start"
    assert document_of(entries[2]).graph == pool().graph
    assert {e.candidate.operator for e in entries[3:]} == {"refine"}
    said: list[str] = []
    Finals(opened, say=said.append, sandbox=sandbox).go()
    best = opened.archive.best(entries[2:])
    assert best is not None
    found = credits_of(opened, best)
    assert found is not None
    assert {c.agent for c in found.agents} == set(document_of(best).serving)
    assert sum(c.shapley for c in found.agents) == pytest.approx(found.whole - found.nothing)
    assert any(line.strip().startswith("together") for line in said)
    told = judgement_of_pipelines(opened, pool(), ()).language.anatomy(best)
    assert [row["agent"] for row in told] == list(document_of(best).serving)
    assert all("(Shapley)" in row["credit"] for row in told)
    console = Console(width=100, record=True)
    console.print(pipeline_view(opened))
    text = console.export_text()
    assert "Shapley" in text
    assert "single best" in text
    told = json.loads(json.dumps(pipeline_data(opened)))
    assert set(told["sides"]) == {"start", "single best", "best pipeline"}
    assert told["sides"]["best pipeline"]["reward"] == best.score(opened.metric)
    assert sum(each["shapley"] for each in told["agents"]) == pytest.approx(
        found.whole - found.nothing
    )


def searched(opened: runs.Run) -> list[Entry]:
    """What a search of the run finds until its budget is spent."""
    search = assemble.search(opened, sandbox=opened.staged(InProcess()), finals=False)
    assert search.go() is Ending.CANDIDATES
    return opened.archive.history()


def given_by_files(folder: Path) -> str:
    """What settings hold of a pipeline in a file with a program in a file; both are gone after."""
    folder.mkdir()
    (folder / "mine.py").write_text(RECALL)
    (folder / "pipeline.yaml").write_text(
        "agents: {mine: {stage: recall, program: mine.py}}\n"
        "graph: {recall: {mine: 20}, depth: 20}\n"
    )
    settings: dict[str, Any] = {"task": "pipeline"}
    lay_pipeline(settings, folder / "pipeline.yaml")
    shutil.rmtree(folder)
    return str(settings["propose"]["pipeline"])


def test_a_run_that_was_moved_goes_on_and_its_record_repeats_it(tmp_path: Path) -> None:
    opened = make(tmp_path / "here", given_by_files(tmp_path / "given"), candidates=4)
    before = searched(opened)
    assert document_of(before[2]).agents["mine"].source == RECALL
    assert gather(opened).settings["propose.pipeline"] == "mine"
    opened.archive.close()
    moved = runs.reopen((tmp_path / "here" / "run").rename(tmp_path / "there"))
    moved.config = moved.config.model_copy(update={"budget": BudgetConfig(candidates=5)})
    after = searched(moved)
    assert [e.candidate for e in after[:4]] == [e.candidate for e in before]
    assert after[4].candidate.operator == "refine"
    moved.archive.close()
    record(tmp_path / "there", tmp_path / "record")
    settings = json.loads((tmp_path / "record" / "config.json").read_text())
    settings["data"]["path"] = str(tmp_path / "here" / settings["data"]["path"])
    settings["propose"] |= {
        "proposer": "replay",
        "replay": str(tmp_path / "record" / "candidates.jsonl"),
    }
    settings["budget"] = {"candidates": 5}
    repeated = searched(runs.create(RunConfig.model_validate(settings), tmp_path / "again"))
    assert [e.candidate for e in repeated] == [e.candidate for e in after]
    assert [e.score("reward@10") for e in repeated] == [e.score("reward@10") for e in after]


def test_settings_hold_the_pipeline_not_the_name_of_its_file(tmp_path: Path) -> None:
    opened = make(tmp_path, "pipeline.yaml")
    with pytest.raises(ConfigError, match=r"propose\.pipeline: a pipeline holds 'agents'"):
        assemble.search(opened, sandbox=opened.staged(InProcess()))


def two_versions(place: Path, users: int = 80) -> tuple[runs.Run, InProcess]:
    """A run whose search is over: a pipeline that serves what recall lists, and one in which agent
    "one" was refined to the planted step."""
    document = pool(recall={"one": 20}, ranking=None, depth=20)
    agents = {
        **document.agents,
        "one": document.agents["one"].model_copy(update={"source": PLANTED}),
    }
    document = document.model_copy(update={"agents": agents})
    opened = make(place, document.text(), candidates=3, users=users)
    inner = InProcess()
    search = assemble.search(opened, sandbox=opened.staged(inner), finals=False)
    search.go()
    start = opened.archive.entry(1)
    assert start is not None
    refined = Candidate(
        source=document.text(),
        values={**start.candidate.values, "one.step": 45},
        parents=(start.candidate.id,),
        proposer="alternation",
        operator="refine",
        direction="round 1.1: refine one",
    )
    opened.archive.begin(7, refined)
    bench = Bench(opened, opened.staged(inner))
    fold = opened.fold("search")
    execution = opened.staged(inner).run(opened.job(refined, "search", served=None))
    judged = opened.task.evaluate(execution, fold, opened.config.evaluate, None)
    opened.archive.add(
        7,
        judged,
        execution=execution,
        part="search",
        seed=0,
        limits=opened.limits,
        evaluator=opened.task.evaluator,
    )
    assert bench.run is opened
    return opened, inner


def test_an_agent_that_hurts_the_whole_is_refused_and_everything_says_so(tmp_path: Path) -> None:
    opened, inner = two_versions(tmp_path, users=300)
    registry = Registry(tmp_path)
    pair = versions.challenge(opened, "one", 7)
    verdict = versions.promote(Bench(opened, opened.staged(inner)), registry, "one", pair)
    assert verdict.decision == "refuse"
    assert verdict.inner.decision == "promote"
    assert verdict.outer.evidence is not None
    assert verdict.outer.evidence.high < 0
    assert registry.incumbent("one").number == 1
    assert [e.kind for e in registry.history("one")] == ["registered", "registered", "refused"]
    console = Console(width=200, record=True)
    console.print(pipeline_view(opened))
    assert "Refuse one: " in console.export_text()
    assert "it wins alone and hurts the whole" in markdown(gather(opened))
    assert "it wins alone and hurts the whole" in page(gather(opened))
    assert opened.archive.readings("promotion")


def test_a_version_needs_to_be_there(tmp_path: Path) -> None:
    opened, _ = two_versions(tmp_path)
    with pytest.raises(UsageError, match="#3 is no version of agent 'one'"):
        versions.challenge(opened, "one", 3)
    best = opened.archive.entry(1)
    assert best is not None
    with pytest.raises(UsageError, match="'mmr' does not serve"):
        versions.serving(best, "mmr")


def test_the_typed_space_of_the_default_pipeline_is_sound() -> None:
    from evolver.agents.start import default_pipeline

    start = default_pipeline()
    assert start.serving == ("ials", "popularity", "logistic_regression")
    names = [p.name for p in parameters(start)]
    assert len(names) == len(set(names))
    assert point_of(start)["graph.ranking"] == "logistic_regression"
    read = yaml.safe_load(start.brief_text())
    assert read["agents"]["ials"]["program"] == "zoo/ials"
