"""Podman's Docker-compatible socket, through the same code as Docker's.

Runs where Podman is installed and has a base image: EVOLVER_TEST_PODMAN_BASE, which
`DOCKER_HOST=unix://SOCKET .venv/bin/python .ci/docker-base localhost/NAME` makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolver.core import Sandbox
from evolver.execute import choose
from evolver.execute.pool import PooledSandbox
from evolver.testing_sandbox import (
    kills_at_the_deadline,
    names_crashes,
    names_memory,
    ranks_by_score,
)

pytest.importorskip("docker", reason="the docker package is not installed")


@pytest.fixture(scope="module")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service of our own. An engine at EVOLVER_TEST_PODMAN_SOCKET is used as it
    is."""
    given = os.environ.get("EVOLVER_TEST_PODMAN_SOCKET")
    if given:
        yield f"unix://{given}"
        return
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    place = tmp_path_factory.mktemp("podman") / "podman.sock"
    service = subprocess.Popen(["podman", "system", "service", "--time=0", f"unix://{place}"])
    until = time.monotonic() + 60
    while not place.exists() and time.monotonic() < until and service.poll() is None:
        time.sleep(0.05)
    yield f"unix://{place}"
    service.terminate()
    service.wait()


@pytest.fixture(scope="module")
def box(podman: str) -> Iterator[PooledSandbox]:
    base = os.environ.get("EVOLVER_TEST_PODMAN_BASE")
    if base is None:
        pytest.skip("no base image for Podman: name one in EVOLVER_TEST_PODMAN_BASE")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", podman)
        with PooledSandbox(choose.choose("docker", base), workers=1, light=True) as made:
            yield made


@pytest.mark.docker
@pytest.mark.parametrize(
    "check",
    [ranks_by_score, names_crashes, names_memory, kills_at_the_deadline],
    ids=lambda check: check.__name__,
)
def test_podman_does_what_docker_does(
    check: Callable[[Sandbox, Path], None], box: PooledSandbox, view: Path
) -> None:
    check(box, view)
