"""Sandboxes that are warm for a small view, one of each kind that works here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from evolver.errors import SandboxUnavailable
from evolver.execute.bubblewrap import Bubblewrap
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.execute.unconfined import Unconfined
from evolver.testing_sandbox import SMALL_LIMITS, write_small_view


def launcher(name: str) -> Launcher:
    """The named launcher; the test is skipped, with the reason, where it cannot run."""
    try:
        return Bubblewrap() if name == "bubblewrap" else Unconfined()
    except SandboxUnavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def view(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_view(tmp_path_factory.mktemp("view"))


@pytest.fixture(scope="session", params=["bubblewrap", "unconfined"])
def sandbox(request: pytest.FixtureRequest, view: Path) -> Iterator[PooledSandbox]:
    warm = make_spec(view, SMALL_LIMITS, "cpu")
    with PooledSandbox(launcher(request.param), workers=1, warm=warm) as box:
        yield box
