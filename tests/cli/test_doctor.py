"""`evolver doctor` says which sandbox is used, why, and what is missing."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from evolver.cli import doctor
from evolver.cli.main import app
from evolver.execute import image, survey
from evolver.execute.survey import Survey, Wall
from tests.propose.openai_server import Act, serving

GOOD = Survey(
    walls=(
        Wall(name="bubblewrap", works=False, says="user namespaces are refused"),
        Wall(name="docker", works=True, says="engine 28 answers"),
    ),
    chosen="docker",
    why="bubblewrap does not work here",
    missing=("something stronger",),
    versions={"python": "3.12.1", "torch": "2.9"},
    cores=2,
    memory_bytes=8 << 30,
    gpus=("Big One",),
)
NONE = Survey(
    walls=(Wall(name="bubblewrap", works=False, says="it needs Linux"),),
    chosen=None,
    why="neither works",
    missing=("no sandbox works here",),
    versions={},
    cores=1,
    memory_bytes=1 << 30,
    gpus=(),
)


def test_says_which_sandbox_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "survey", lambda: GOOD)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].endswith("python 3.12.1, torch 2.9")
    assert any("bubblewrap" in one and "no" in one and "refused" in one for one in lines)
    assert any("docker" in one and "used" in one for one in lines)
    assert "why       bubblewrap does not work here" in lines
    assert any("something stronger" in one for one in lines)
    assert "Big One" in result.stdout
    assert "8.0 GiB" in result.stdout
    assert lines[-1].startswith("Ready: candidates run under docker.")


def test_json_holds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "survey", lambda: GOOD)
    found = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert found["chosen"] == "docker"
    assert found["walls"][0]["works"] is False
    assert found["free_bytes"]["runs"] > 0


def test_fails_where_nothing_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "survey", lambda: NONE)
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "No sandbox works here" in result.stdout


@pytest.mark.parametrize(
    ("offered", "lacking"),
    [
        (("memory", "cpu", "pids"), None),
        (("memory", "pids"), "kernel limits on cpu: cgroup v2 does not offer it here"),
        (("memory",), "kernel limits on cpu and pids: cgroup v2 does not offer them here"),
        ((), "kernel limits on memory and cpu and pids: no control group can be made"),
    ],
)
def test_says_which_limits_are_missing(
    offered: tuple[str, ...], lacking: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = (2, dict.fromkeys(offered, Path("/sys/fs/cgroup"))) if offered else None
    monkeypatch.setattr(survey, "bases", lambda: found)
    monkeypatch.setattr(survey, "_docker", lambda: GOOD.walls[1])
    monkeypatch.setattr(survey, "_bubblewrap", lambda: Wall(name="bubblewrap", works=True, says=""))
    lines = [line for line in survey.survey().missing if line.startswith("kernel limits")]
    assert [line[: len(lacking or "")] for line in lines] == ([lacking] if lacking else [])


def test_says_whether_the_image_of_docker_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = pytest.importorskip("evolver.execute.docker", reason="needs the docker package")
    engine = SimpleNamespace(version=lambda: {"Version": "28"}, close=lambda: None)
    monkeypatch.setattr(docker, "connect", lambda: engine)
    for tag, said in (
        ("evolver-sandbox:1f", "its image evolver-sandbox:1f is built"),
        (None, f"the first run builds its image on {image.default_base()}"),
    ):
        monkeypatch.setattr(image, "built", lambda *_, found=tag, **__: found)
        monkeypatch.setattr(survey, "_bubblewrap", lambda: NONE.walls[0])
        wall = next(each for each in survey.survey().walls if each.name == "docker")
        assert wall.says == f"engine 28 answers; {said}"


def test_looks_at_this_machine() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert {one["name"] for one in found["walls"]} == {"bubblewrap", "docker"}
    assert found["cores"] >= 1
    assert (found["chosen"] is None) == (result.exit_code == 1)


def test_extras_and_full_disks_come_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "survey", lambda: GOOD)
    monkeypatch.setattr(doctor, "free_bytes", lambda place: 1 << 20)
    monkeypatch.setattr(doctor, "installed", {"litellm": "1.80.1", "mcp": None}.get)
    said = CliRunner().invoke(app, ["doctor"]).stdout
    assert "extra     litellm 1.80.1\n" in said
    assert "extra     mcp not installed; for evolver mcp: pip install 'evolver[mcp]'\n" in said
    assert "less than a run may need: free some, or set EVOLVER_RUNS to" in said
    assert "less than a run may need: free some, or set EVOLVER_CACHE to" in said


def test_models_that_are_named_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")
    monkeypatch.setattr(doctor, "survey", lambda: GOOD)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving("ready") as server:
        words = ["doctor", "--model", "openai/scripted", "--api-base", server.base]
        good = CliRunner().invoke(app, words)
        assert server.requests
    assert good.exit_code == 0
    assert "model     openai/scripted: answers\n" in good.stdout
    with serving(Act(status=401, error="Incorrect API key")) as server:
        words = ["doctor", "--model", "openai/scripted", "--api-base", server.base, "--json"]
        bad = CliRunner().invoke(app, words)
    assert bad.exit_code == 1
    assert (
        "Set or correct the provider's API key"
        in json.loads(bad.stdout)["models"]["openai/scripted"]
    )
