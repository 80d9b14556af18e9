"""Every sandbox does what the protocol promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evolver.core import Sandbox
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.testing_sandbox import (
    SANDBOX_CHECKS,
    SMALL_LIMITS,
    kills_at_the_deadline,
    names_memory,
    ranks_by_score,
    repeats_itself,
)


@pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Callable[[Sandbox, Path], None], sandbox: Sandbox, view: Path) -> None:
    check(sandbox, view)


@pytest.mark.parametrize("wall", ["bubblewrap", "docker"])
def test_workers_of_a_run_conform_as_well(
    wall: str, view: Path, launcher: Callable[[str], Launcher]
) -> None:
    """With torch in memory before the candidate comes, as in a run; all others here go without."""
    warm = make_spec(view, SMALL_LIMITS, "cpu")
    with PooledSandbox(launcher(wall), workers=1, warm=warm) as box:
        for check in (ranks_by_score, repeats_itself, names_memory, kills_at_the_deadline):
            check(box, view)
