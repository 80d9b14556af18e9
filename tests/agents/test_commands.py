"""`evolver agent` and `evolver pipeline` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evolver.agents.registry import Registry
from evolver.cli.main import app
from evolver.errors import EvolverError, UsageError
from tests.agents.test_registry import spec


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVOLVER_RUNS", str(tmp_path / "runs"))
    return tmp_path


def say(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, words)
    if isinstance(done.exception, EvolverError):
        raise done.exception
    assert done.exit_code == code, done.output
    return done.output


def test_versions_are_listed_shown_and_rolled_back(folder: Path) -> None:
    assert "No agent has been judged yet" in say("agent", "list")
    registry = Registry(folder / "runs")
    old, new = (registry.register("ials", spec(step), f"run #{step}") for step in (3, 4))
    registry.judged(new, promoted=True, why="against version 1: better twice")
    assert json.loads(say("agent", "list", "--json")) == [
        {"agent": "ials", "stage": "recall", "versions": 2, "incumbent": 2, "origin": "run #4"}
    ]
    assert "version 2, recall: the incumbent" in say("agent", "show", "ials")
    shown = say("agent", "show", "ials", "--version", "1")
    assert "not the incumbent" in shown
    assert "step = 3" in shown
    assert "class Model" in shown
    assert "better twice" in say("agent", "history", "ials")
    assert "version 1 is the incumbent again" in say("agent", "rollback", "ials", "--why", "slow")
    events = json.loads(say("agent", "history", "ials", "--json"))
    assert [event["kind"] for event in events][-2:] == ["promoted", "rolled back"]
    assert events[-1]["why"] == "slow"
    assert Registry(folder / "runs").incumbent("ials") == old


def test_a_pipeline_is_written_checked_and_refused_in_one_line(folder: Path) -> None:
    place = folder / "pipeline.yaml"
    assert "wrote" in say("pipeline", "default", "-o", str(place))
    said = say("pipeline", "check", str(place))
    assert "ials+popularity → round robin → logistic_regression" in said
    assert "--pipeline" in said
    with pytest.raises(UsageError, match="is there already"):
        say("pipeline", "default", "-o", str(place))
    place.write_text(place.read_text().replace("ranking: logistic_regression", "ranking: ease"))
    with pytest.raises(UsageError, match=r"graph\.ranking names 'ease', an agent for recall"):
        say("pipeline", "check", str(place))


@pytest.mark.parametrize("words", [["show", "ease"], ["history", "ease"], ["rollback", "ease"]])
def test_an_unknown_agent_is_said(folder: Path, words: list[str]) -> None:
    with pytest.raises(UsageError, match="no agent is called 'ease'"):
        say("agent", *words)


def test_agents_live_in_runs_of_pipelines(folder: Path) -> None:
    with pytest.raises(UsageError, match="no runs"):
        say("agent", "check", "ials")
