"""Shared fixtures. Output must not depend on where the tests run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from evolver.execute.process import Launcher

for name in ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR", "PY_COLORS"):
    os.environ.pop(name, None)
os.environ["COLUMNS"] = "100"
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # a test that imports it asks no network
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"  # tests run side by side; spinning threads starve each other


def data_folder() -> Path | None:
    """Where the public data sets lie, or None."""
    given = os.environ.get("EVOLVER_DATA")
    place = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    return place if place.is_dir() else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of public data sets; the test is skipped, with a reason, where it is absent."""
    place = data_folder()
    if place is None:
        pytest.skip("no public data here: set EVOLVER_DATA to the folder that holds ml-100k, ...")
    return place


@pytest.fixture(scope="session")
def launcher() -> Callable[[str], Launcher]:
    """The launcher of a sandbox by name; the test is skipped, with the reason, where it cannot
    run."""
    from evolver.errors import SandboxUnavailable
    from evolver.execute.choose import choose

    def find(name: str) -> Launcher:
        try:
            return choose(name, os.environ.get("EVOLVER_TEST_DOCKER_BASE"))
        except SandboxUnavailable as error:
            pytest.skip(str(error))

    return find
