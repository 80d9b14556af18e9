"""The real command with a real engine: containers go after Ctrl-C, kill -9 and a good end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from evolver.execute.process import Launcher

docker = pytest.importorskip("docker", reason="the docker package is not installed")
pytestmark = [pytest.mark.docker, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


class Command:
    """`evolver` in a folder of its own, with all that it leaves in the engine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / f"run-{os.getpid()}"
        self.client = docker.from_env()

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "evolver", *map(str, words), "--json"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "EVOLVER_CACHE": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def containers(self) -> set[str]:
        wanted = {"label": f"evolver.run={self.run.name}"}
        return {one["Id"] for one in self.client.api.containers(all=True, filters=wanted)}


@pytest.fixture
def command(tmp_path: Path, launcher: Callable[[str], Launcher]) -> Iterator[Command]:
    launcher("docker").close()
    made = Command(tmp_path)
    yield made
    made.client.close()


def wait_for(child: subprocess.Popen[str], start: str) -> None:
    assert child.stderr is not None
    seen = []
    for line in child.stderr:
        seen.append(line)
        if line.startswith(start):
            return
    raise AssertionError("".join(seen))


def test_nothing_is_left_in_the_engine(command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    times = (
        f"u{user},s{item},{at}" for user in range(40) for at, item in enumerate(rng.permutation(30))
    )
    (tmp_path / "ratings.csv").write_text("\n".join(["uid,sku,ts", *times, ""]))
    base = os.environ.get("EVOLVER_TEST_DOCKER_BASE")
    settings = {
        "execute": {"sandbox": "docker", "docker_base": base, "workers": 1},
        "promote": {"finalists": 0},
    }
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    columns = ["--user", "uid", "--item", "sku", "--time", "ts", "--space", "linear"]
    columns += ["--accept-alarm", "shuffled-time"]
    fixed = ["--config", "settings.json", "--candidates", "6", "--out", command.run]

    child = command.start("evolve", "ratings.csv", *columns, *fixed)
    wait_for(child, "#1 ")
    assert command.containers()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130, err
    assert json.loads(out)["ending"] == "interrupted"
    until = time.monotonic() + 20.0  # a busy engine takes a moment to take away what it killed
    while command.containers() and time.monotonic() < until:
        time.sleep(0.2)
    assert not command.containers()

    child = command.start("resume", command.run)
    wait_for(child, "#2 ")
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=120)
    left = command.containers()
    assert left

    child = command.start("resume", command.run)
    out, err = child.communicate(timeout=240)
    assert child.returncode == 0, err
    assert json.loads(out)["scored"] == 6
    assert not command.containers()
