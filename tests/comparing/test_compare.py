"""Whole comparisons through the command line, with a sandbox that ranks by a hash."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evolver import assemble
from evolver import run as runs
from evolver.cli.main import app
from evolver.config import BudgetConfig, DataConfig, ExecuteConfig, ProposeConfig, RunConfig
from evolver.core import Candidate, Failed, Scored, Unusable
from evolver.errors import ConfigError, ProposerError, UsageError
from evolver.propose.operators import ANY
from evolver.propose.replay import write_record
from tests.propose.openai_server import Server, serving
from tests.propose.samples import SOURCE as CODE
from tests.propose.samples import good_reply
from tests.test_evolve import FakeSandbox, told, write_data

CANDIDATES = 12
SLOTS = 6


@pytest.fixture(autouse=True)
def _fake_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "open_sandbox", lambda *_, **__: FakeSandbox())


def words(folder: Path, *more: str, arms: str = "random,tpe", seeds: int = 2) -> list[str]:
    data = folder / "ratings.csv"
    if not data.exists():
        write_data(folder)
    return [
        *("compare", str(data), "--arms", arms, "--seeds", str(seeds), "--space", "linear"),
        *("--candidates", str(CANDIDATES), "--workers", "2", "--threads", "1", "--device", "cpu"),
        *("-o", str(folder / "out"), "--json", *more),
    ]


def compare(folder: Path, *more: str, **given: Any) -> dict[str, Any]:
    done = CliRunner().invoke(app, words(folder, *more, **given), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def archive_of(folder: Path, name: str) -> Any:
    return runs.reopen(folder / "out" / "runs" / name).archive


def figures(result: dict[str, Any]) -> list[Any]:
    """What must not depend on the clock."""
    kept = ("label", "seed", "ended", "start", "best", "own", "failed", "winner", "repeats")
    rows = [{name: run[name] for name in kept} for run in result["runs"]]
    return [rows, result["pairs"], result["arms"], result["claims"]]


def test_arms_start_alike_and_each_run_is_what_evolve_would_have_made(tmp_path: Path) -> None:
    result = compare(tmp_path, "--candidates", "20")  # with survivors to tune, if it were evolve
    assert result["compared_seeds"] == [0, 1]
    assert len(result["runs"]) == 4
    for seed in (0, 1):
        both = [told(archive_of(tmp_path, f"{arm}-{seed}")) for arm in ("random", "tpe")]
        assert both[0][:10] == both[1][:10]
        assert both[0][10:] != both[1][10:]
    config = RunConfig(
        seed=1,
        data=DataConfig(path=str(tmp_path / "ratings.csv")),
        budget=BudgetConfig(candidates=20),
        execute=ExecuteConfig(workers=2, threads=1, device="cpu"),
        propose=ProposeConfig(proposer="tpe", spaces=("linear",)),
    )
    plain = runs.create(config, tmp_path / "plain")
    assemble.search(plain, finals=False).go()
    assert plain.plan.tuning_slots == 3
    assert told(plain.archive) == told(archive_of(tmp_path, "tpe-1"))


def test_the_table_is_what_the_archives_hold(tmp_path: Path) -> None:
    result = compare(tmp_path, "--judge-promotion")
    for run in result["runs"]:
        name = f"{run['label']}-{run['seed']}"
        archive = archive_of(tmp_path, name)
        scores = [e.score("ndcg@10") for e in archive.history()]
        assert run["final"] == max(s for s in scores if s is not None)
        assert run["start"] == max(s for s in scores[:SLOTS] if s is not None)
        assert run["own"][-1] == max(s for s in scores[SLOTS:] if s is not None)
        assert len(run["seconds"]) == CANDIDATES - SLOTS
        assert len(archive.readings("promotion")) == 1
        assert archive.readings("test") == []
        assert run["promotion"] is not None
    (pair,) = result["pairs"]
    finals = {(r["label"], r["seed"]): r["final"] for r in result["runs"]}
    assert pair["by_seed"] == pytest.approx(
        [finals["tpe", seed] - finals["random", seed] for seed in (0, 1)]
    )
    assert "0.5" in " ".join(result["claims"])  # the smallest p of two seeds
    assert not any("beats" in line for line in result["claims"])
    assert len(result["promotion_pairs"]) == 1
    again = compare(tmp_path, "--judge-promotion")
    assert figures(again) == figures(result)
    assert len(archive_of(tmp_path, "tpe-0").readings("promotion")) == 1


def test_pages_are_written_and_quote_what_is_foreign(tmp_path: Path) -> None:
    compare(tmp_path, arms="random,tpe,baseline")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<svg viewBox") >= 3
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    text = (tmp_path / "out" / "compare.md").read_text()
    assert "| baseline |" in text
    done = CliRunner().invoke(app, ["compare", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "Differences in the final ndcg@10" in done.stdout


def test_a_comparison_may_grow_and_says_so_but_not_change(tmp_path: Path) -> None:
    first = compare(tmp_path)
    before = told(archive_of(tmp_path, "tpe-0"))
    second = compare(tmp_path, arms="random,tpe,cmaes", seeds=3)
    assert told(archive_of(tmp_path, "tpe-0")) == before
    assert len(second["runs"]) == 9
    assert any("grew" in line for line in second["cautions"])
    assert not any("grew" in line for line in first["cautions"])
    with pytest.raises(ConfigError, match=r"evaluate\.metric"):
        compare(tmp_path, "--metric", "recall@10", arms="random,tpe,cmaes", seeds=3)


def test_a_time_limit_of_the_search_keeps_what_was_found(tmp_path: Path) -> None:
    result = compare(tmp_path, "--time", "0.001s", "--candidate-time", "5s")
    assert {run["ended"] for run in result["runs"]} == {"the time is up"}
    assert all(run["final"] == run["start"] for run in result["runs"])
    assert any("0 of 6 candidates: the time is up" in line for line in result["cautions"])
    assert "the same ndcg@10 in each of 2 seeds" in result["claims"][0]


def test_one_seed_claims_nothing(tmp_path: Path) -> None:
    result = compare(tmp_path, seeds=1)
    assert result["claims"] == [
        "One seed is one draw: nothing can be claimed of any arm. 6 seeds are the fewest that "
        "could show a difference."
    ]
    assert result["arms"][0]["final"]["low"] is None


def test_a_record_is_replayed_after_the_shared_baselines(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    proposals = {
        n: Candidate(source=CODE.replace("FAMILY =", f"N = {n}\nFAMILY ="), proposer="llm")
        for n in range(SLOTS)
    }
    proposals[2] = Candidate(source=CODE + "# crash\n", proposer="llm")
    prose = Unusable(asked=Candidate(source=""), why=Failed(kind="contract", reason="prose"))
    write_record({**proposals, 99: prose}, record)
    result = compare(tmp_path, arms=f"random,replay={record}", seeds=1)
    assert [run["failed"] for run in result["runs"]] == [{}, {"crash": 1}]
    assert "1 crash" in (tmp_path / "out" / "compare.md").read_text()
    history = archive_of(tmp_path, "replay.r-0").history()
    assert [e.candidate.id for e in history[SLOTS:]] == [c.id for c in proposals.values()]
    assert [e.candidate.id for e in history[:SLOTS]] == [
        e.candidate.id for e in archive_of(tmp_path, "random-0").history()[:SLOTS]
    ]


def test_a_record_that_is_too_short_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    record = tmp_path / "r.jsonl"
    write_record({0: Candidate(source=CODE, proposer="llm")}, record)
    with pytest.raises(UsageError, match="holds 1 proposals of its search and the other arms"):
        compare(tmp_path, arms=f"random,replay={record}", seeds=1)


# --- killed -------------------------------------------------------------------------------------

KILLED = """
import random, sys, time
sys.path.insert(0, {root!r})
from tests import test_evolve as t
from evolver import assemble
from evolver.cli.main import app
rng = random.Random(time.time_ns())
slow = lambda *_, **__: t.FakeSandbox(delay=lambda: rng.random() * 0.1)
assemble.open_sandbox = slow
app({words!r}, standalone_mode=False)
"""


def recorded(folder: Path) -> int:
    """How many evaluations lie in all archives of a comparison."""
    found = 0
    for path in folder.glob("out/*/[!.]*/archive.sqlite"):
        with closing(sqlite3.connect(path, timeout=30)) as db:
            found += db.execute("SELECT count(*) FROM evaluations").fetchone()[0]
    return found


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    whole = compare(tmp_path / "a", seeds=1)
    root = str(Path(__file__).parents[2])
    script = KILLED.format(root=root, words=words(tmp_path / "b", seeds=1))
    rng, kills = random.Random(5), 0
    for _ in range(40):
        before = recorded(tmp_path / "b")
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        wanted = before + rng.randrange(2, 6)
        while kills < 3 and child.poll() is None and recorded(tmp_path / "b") < wanted:
            time.sleep(0.01)
        if kills < 3 and child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            kills += 1
            child.communicate()
            continue
        _, said = child.communicate()
        assert child.returncode == 0, said.decode()
        break
    assert kills == 3
    (tmp_path / "b" / "out" / "endings.json").replace(tmp_path / "endings.json")  # forget it
    assert figures(compare(tmp_path / "b", seeds=1)) == figures(whole)


# --- language models ----------------------------------------------------------------------------


def _needs_litellm() -> None:
    if importlib.util.find_spec("litellm") is None:  # not imported: it would look for prices online
        pytest.skip("needs the extra: pip install 'evolver[llm]'")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Answers every request with a program of its own."""
    _needs_litellm()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    replies = [
        good_reply(CODE.replace("FAMILY =", f"LABEL = {n}\nFAMILY ="), idea=f"thought {n}")
        for n in range(200)
    ]
    with serving("ready", *replies) as running:
        yield running


def test_arms_with_a_model_over_http_and_what_each_leaves_out(
    tmp_path: Path, server: Server
) -> None:
    arms = "random,llm,llm:no-archive,llm:-lessons-diagnostics-directions-crossover"
    model = ("--model", "openai/scripted", "--api-base", server.base)
    settings = tmp_path / "s.yaml"
    alike = "propose: {similarity: 1}\n"  # the replies differ in one line
    settings.write_text(alike + "baseline_share: 0.4\n")
    model = (*model, "--workers", "1", "--candidates", "20", "--config", str(settings))
    result = compare(tmp_path, *model, arms=arms, seeds=1)
    asked = len(server.requests)
    assert figures(compare(tmp_path, *model, arms=arms, seeds=1)) == figures(result)
    assert len(server.requests) == asked  # nothing is left to do, so nobody is asked
    by_label = {run["label"]: run for run in result["runs"]}
    assert by_label["random"]["tokens"] == by_label["random"]["requests"] == 0
    assert all(by_label[label]["tokens"] > 0 for label in by_label if label != "random")
    archives = {
        "llm": archive_of(tmp_path, "llm-0"),
        "bare": archive_of(tmp_path, "llm.no-archive-0"),
        "part": archive_of(tmp_path, "llm.-lessons-diagnostics-directions-crossover-0"),
    }
    prompts = {
        name: [e.request for e in archive.exchanges() if e.number >= 8]
        for name, archive in archives.items()
    }
    for name, (tried, lessons, measured) in {
        "llm": (True, True, True),
        "bare": (False, False, False),
        "part": (True, False, False),
    }.items():
        assert len(prompts[name]) >= 12
        assert any("# What was tried" in text for text in prompts[name]) == tried
        assert any("# What came of each direction" in text for text in prompts[name]) == lessons
        assert any("| measured |" in text for text in prompts[name]) == measured
    written = {name: archive.history()[8:] for name, archive in archives.items()}
    assert all(isinstance(e.evaluation, Scored) for e in written["bare"])
    assert {e.candidate.operator for e in written["bare"]} == {"draft"}
    assert {e.candidate.parents for e in written["bare"]} == {()}
    assert {e.candidate.direction for e in written["part"]} == {ANY}
    assert ANY not in {e.candidate.direction for e in written["llm"]}
    assert "crossover" not in {e.candidate.operator for e in written["part"]}
    for text in prompts["bare"]:
        assert "thought" not in text
        assert "Best so far" not in text
    assert any("12 more will follow" in text for text in prompts["llm"])  # of the run, not the turn


def test_a_dead_endpoint_ends_it_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _needs_litellm()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    model = ("--model", "openai/scripted", "--api-base", "http://127.0.0.1:9/v1")
    with pytest.raises(ProposerError, match=r"127\.0\.0\.1:9"):
        compare(tmp_path, *model, arms="random,llm")
    assert not (tmp_path / "out").exists()  # the same folder can be used once it is mended


def test_settings_that_say_who_proposes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("propose: {without: [lessons]}\n")
    with pytest.raises(ConfigError, match="what --arms is for"):
        compare(tmp_path, "--config", str(tmp_path / "s.yaml"))
