"""Shared fixtures. Output must not depend on where the tests run."""

from __future__ import annotations

import fcntl
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
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Launcher]:
    """The launcher of a sandbox by name. Where it cannot run the test is skipped, with the reason;
    in CI it fails, so that no wall goes untested there."""
    from evolver.errors import SandboxUnavailable
    from evolver.execute.choose import choose

    missing: dict[str, str] = {}

    def find(name: str) -> Launcher:
        # Test processes side by side share one lock, so that one builds the image for all.
        with (tmp_path_factory.getbasetemp().parent / "launcher.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                if name not in missing:
                    return choose(name, os.environ.get("EVOLVER_TEST_DOCKER_BASE"))
            except SandboxUnavailable as error:
                missing[name] = f"{name}: {error}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI every sandbox must run; {missing[name]}", pytrace=False)
        pytest.skip(missing[name])

    return find
