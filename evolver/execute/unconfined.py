"""Workers as plain child processes: stops accidents. Does not stop code that means harm.

Deadlines, memory and output are still watched and results are still checked, but the candidate
can read and write whatever the user can, and a process that hides well outlives its deadline.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import uuid
from functools import partial
from pathlib import Path

from evolver.execute.interpreter import contract_file, interpreter, runner_files
from evolver.execute.process import PipedProcess, Spec
from evolver.execute.settings import environment, python_arguments, runner_settings
from evolver.execute.start import started
from evolver.execute.usage import tree
from evolver.resources import folder

WARNING = "candidates run unconfined: they can read and change all that you can"
MARK = "EVOLVER_WORKER"


class Unconfined:
    """Launches workers with no wall at all."""

    name = "unconfined"

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="evolver-"))
        for file in runner_files():
            target = self._folder / file.relative_to(folder("sandbox"))
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, target)
        shutil.copyfile(contract_file(), self._folder / "evolver" / "contract.py")

    def launch(self, spec: Spec) -> PipedProcess:
        home = tempfile.mkdtemp(dir=self._folder)
        mark = uuid.uuid4().hex
        settings = runner_settings(
            spec, view=spec.view, paths=interpreter().site, own_stdout=True, die_with_parent=True
        )
        return started(
            [
                str(interpreter().executable),
                *(*python_arguments(), str(self._folder / "runner.py"), settings),
            ],
            spec,
            environment={**environment(spec, home), MARK: mark},
            kill_tree=partial(kill_marked, mark=mark),
        )

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def kill_marked(pid: int, mark: str) -> None:
    """Kill the tree, and every process that still carries the mark of its environment."""
    for one in [*tree(pid), *marked(mark)]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    found = []
    wanted = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc"):  # noqa: PTH208
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if wanted in Path(f"/proc/{entry}/environ").read_bytes():
                    found.append(int(entry))
    return found
