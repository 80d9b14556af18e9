"""Every sandbox does what the protocol promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from evolver.core import Sandbox
from evolver.testing_sandbox import SANDBOX_CHECKS


@pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=lambda check: check.__name__)
def test_conforms(check: Callable[[Sandbox, Path], None], sandbox: Sandbox, view: Path) -> None:
    check(sandbox, view)
