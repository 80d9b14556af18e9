"""A run's folder holds a whole run or none, whenever the process that makes it is killed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from evolver import run as runs
from evolver.config import DataConfig, ExecuteConfig, RunConfig
from evolver.execute import machine
from tests.test_evolve import write_data

DIES = textwrap.dedent(
    """
    import os, sys
    from itertools import count
    from pathlib import Path
    from evolver import run as runs
    from evolver.config import DataConfig, RunConfig

    place, config = Path(sys.argv[1]), RunConfig(data=DataConfig(path=sys.argv[2]))
    TOUCHES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "sqlite3.connect"}

    def die_at(step):
        left = [step]

        def hook(event, arguments):
            if event in TOUCHES and str(place) in str(arguments[0]):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(9)  # as kill -9 does: nothing is tidied up

        sys.addaudithook(hook)

    def child(job):
        pid = os.fork()
        if not pid:
            job()
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def make(folder):
        runs.create(config, folder).archive.close()

    def look(folder):
        if not (folder / "archive.sqlite").exists():
            make(folder)
        opened = runs.reopen(folder)
        assert opened.config == config
        assert opened.slices, "the slices are missing"
        assert opened.profile["users"] == 60

    for step in count():
        folder = place / str(step)
        done = child(lambda: (die_at(step), make(folder)))
        assert child(lambda: look(folder)) == 0, f"killed at step {step}"
        if done == 0:
            print(step)
            break
        assert done == 9, done
    """
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


def test_killed_at_any_step_it_leaves_a_whole_run_or_none(tmp_path: Path, data: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES, tmp_path / "runs", data],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8  # folder, settings, slices, draft, archive, move


@pytest.mark.parametrize("cores", [1, 2, 6, 16, 64])
def test_workers_and_their_threads_never_ask_for_more_than_the_cores(
    cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (runs, machine):
        monkeypatch.setattr(module, "cores", lambda: cores)

    def plan(**execute: int) -> runs.Plan:
        chosen = ExecuteConfig(device="cpu", **execute)  # type: ignore[arg-type]
        return runs.plan_for(RunConfig(execute=chosen), rows=1000)

    alone = plan()
    assert alone.workers == min(cores, 8)
    assert alone.workers * alone.threads <= cores < alone.workers * (alone.threads + 1)
    assert plan(workers=1).threads == cores
    assert plan(workers=2 * cores).threads == 1
    assert plan(threads=3).threads == 3  # who asks for it gets it


def test_a_run_may_be_made_in_a_folder_that_holds_other_things(tmp_path: Path, data: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    run = runs.create(RunConfig(data=DataConfig(path=str(data))), tmp_path / "run")
    run.archive.close()
    assert not (tmp_path / "run" / runs.DRAFT).exists()
    run.discard()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]
