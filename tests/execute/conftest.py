"""Sandboxes that are warm for a small view, one of each kind that works here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.testing_sandbox import SMALL_LIMITS, write_small_view


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_view(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="session", params=["bubblewrap", "docker", "unconfined"])
def sandbox(
    request: pytest.FixtureRequest, view: Path, launcher: Callable[[str], Launcher]
) -> Iterator[PooledSandbox]:
    chosen = launcher(request.param)
    warm = make_spec(view, SMALL_LIMITS, "cpu")
    with PooledSandbox(chosen, workers=1, warm=warm, light=True) as box:
        yield box
