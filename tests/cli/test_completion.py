"""The shell completes commands and options, once it has been told how to."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest


def bash(script: str) -> str:
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ["PATH"]])
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def shown() -> str:
    return bash("evolver --show-completion; exit $?")  # bash stays the parent, and is recognised


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (["evolver", "export"], {"export", "export-table", "export-mlflow", "export-optuna"}),
        (["evolver", "data", ""], {"inspect"}),
        (["evolver", "review", "--app"], {"--approve"}),
    ],
)
def test_bash_completes(shown: str, tmp_path: Path, line: list[str], expected: set[str]) -> None:
    script = tmp_path / "completion.sh"
    script.write_text(shown)
    (function,) = re.findall(r"-F (\w+) evolver", shown)
    words = " ".join(f"'{word}'" for word in line)
    said = bash(
        f"source {script}; COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}; {function} evolver; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert expected <= set(said.split())
