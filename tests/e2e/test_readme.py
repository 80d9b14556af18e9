"""The walkthrough of README, run word by word as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.borrowed import environment

README = Path(__file__).parents[2] / "README.md"
SECTION = "## From data to a package"


def blocks() -> tuple[list[str], list[str]]:
    """The section's commands, and what it says is there afterwards."""
    section = README.read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    (commands,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    (places,) = re.findall(r"```text\n(.*?)```", section, re.DOTALL)
    return commands.splitlines(), [line.split()[0] for line in places.splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_walkthrough_does_what_it_says(tmp_path: Path) -> None:
    commands, places = blocks()
    assert len(commands) >= 8
    assert len(places) >= 4
    bare = environment(tmp_path / "venv")
    words = {
        **os.environ,
        "PATH": os.pathsep.join(
            [str(bare.parent), sysconfig.get_path("scripts"), os.environ["PATH"]]
        ),
        "EVOLVER_CACHE": str(tmp_path / "cache"),
        # pip finds what it needs here: the pinned requirements, and setuptools to build with
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as build_isolation=0
    }
    place = tmp_path / "reader"
    place.mkdir()
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=place,
            env=words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout or done.stderr, f"{command} printed nothing"
    assert len(done.stdout.split()) == 5  # the last one recommends five items
    for path in places:
        assert (place / path).exists(), path
