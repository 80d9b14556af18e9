"""Warm workers: used once, replaced, and gone when the sandbox is closed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from evolver.config import ExecuteConfig
from evolver.core import Failed, Job
from evolver.errors import SandboxUnavailable
from evolver.execute.choose import choose, open_sandbox
from evolver.execute.pool import PooledSandbox
from evolver.execute.process import Launcher, Process, Spec
from evolver.execute.unconfined import WARNING
from evolver.testing_sandbox import completed, small_job, small_model


class Counting:
    """A launcher that remembers what it started."""

    def __init__(self, inner: Launcher) -> None:
        self.name = inner.name
        self._inner = inner
        self.started: list[Process] = []

    def launch(self, spec: Spec) -> Process:
        self.started.append(self._inner.launch(spec))
        return self.started[-1]

    def close(self) -> None:
        self._inner.close()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize("wall", ["unconfined", "bubblewrap", "docker"])
def test_each_worker_serves_once_and_close_leaves_nothing(
    wall: str, view: Path, launcher: Callable[[str], Launcher]
) -> None:
    before = children()
    counting = Counting(launcher(wall))
    source = small_model(
        fit="assert not hasattr(sys, 'used')\nsys.used = True\n"
        "open(os.environ['HOME'] + '/used', 'x').close()"
    )
    with PooledSandbox(counting, workers=1, light=True) as box:
        job = small_job(view, source)
        for _ in range(2):
            completed(box.run(job))
        assert 2 <= len(counting.started) <= 3
    assert children() <= before
    assert all(process.ended() is not None for process in counting.started)
    box.close()
    with pytest.raises(SandboxUnavailable, match="closed"):
        box.run(small_job(view))


def test_no_walls_are_never_chosen_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        choose("unconfined").close()
    (said,) = caplog.records
    assert said.levelname == "WARNING"
    assert said.getMessage() == WARNING
    assert "read and change all that you can" in WARNING


def test_closing_blames_no_candidate(view: Path) -> None:
    box = PooledSandbox(choose("unconfined"), workers=1, light=True)
    trouble: list[BaseException] = []
    training = threading.Event()

    def run(job: Job) -> None:
        try:
            box.run(job, lambda progress: training.set() is None)
        except SandboxUnavailable as error:
            trouble.append(error)

    job = small_job(view, small_model(fit="yield 0, None\ntime.sleep(600)"))
    thread = threading.Thread(target=run, args=(job,))
    thread.start()
    assert training.wait(60)
    box.close()
    thread.join(30)
    assert "closed while a candidate ran" in str(trouble[0])


def test_a_view_that_does_not_fit_the_job_is_our_fault(view: Path) -> None:
    with (
        PooledSandbox(choose("unconfined"), workers=1, light=True) as box,
        pytest.raises(SandboxUnavailable, match="holds 40 queries over 30 items"),
    ):
        box.run(small_job(view, queries=7))


class Broken:
    """A launcher whose workers die before they are ready."""

    name = "broken"

    def __init__(self, inner: Launcher) -> None:
        self._inner = inner

    def launch(self, spec: Spec) -> Process:
        process = self._inner.launch(spec)
        process.terminate()
        return process

    def close(self) -> None:
        self._inner.close()


def test_workers_that_do_not_start_are_our_fault(view: Path) -> None:
    with (
        PooledSandbox(Broken(choose("unconfined")), workers=1) as box,
        pytest.raises(SandboxUnavailable, match=r"does not start.*SIGKILL"),
    ):
        box.run(small_job(view))


def test_side_by_side(view: Path, launcher: Callable[[str], Launcher]) -> None:
    """Two candidates at a time, and not more."""
    now = most = 0
    lock = threading.Lock()
    source = small_model(fit="yield 0, None\ntime.sleep(0.3)\nyield 1, None")

    with PooledSandbox(launcher("unconfined"), workers=2, light=True) as box:

        def run() -> None:
            nonlocal now, most

            def watch(progress: object) -> bool:
                nonlocal now, most
                with lock:
                    now += 1 if getattr(progress, "step") == 0 else -1  # noqa: B009
                    most = max(most, now)
                return True

            completed(box.run(small_job(view, source), watch))

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most <= 2


def test_unusable_bubblewrap_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container without user namespaces: one clear line, no waiting."""
    from evolver.execute import bubblewrap

    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(bubblewrap, "binaries", lambda: [fake])
    monkeypatch.setattr(bubblewrap, "usable_binary", bubblewrap.usable_binary.__wrapped__)
    started = time.monotonic()
    with pytest.raises(SandboxUnavailable, match=r"No permissions.*--sandbox docker"):
        bubblewrap.Bubblewrap()
    assert time.monotonic() - started < 10
    monkeypatch.setattr(bubblewrap, "binaries", list)
    with pytest.raises(SandboxUnavailable, match="no bwrap is installed"):
        bubblewrap.Bubblewrap()


def test_unseen_failures_are_values_not_exceptions(view: Path) -> None:
    with open_sandbox(ExecuteConfig(sandbox="unconfined"), view, workers=1, threads=1) as box:
        outcome = box.run(small_job(view, "raise KeyboardInterrupt")).outcome
    assert isinstance(outcome, Failed)
    assert outcome.kind == "crash"
