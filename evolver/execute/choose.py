"""Which sandbox to use, and why."""

from __future__ import annotations

import logging
from pathlib import Path

from evolver.config import ExecuteConfig
from evolver.core import Limits
from evolver.errors import SandboxUnavailable
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.execute.unconfined import WARNING, Unconfined

logger = logging.getLogger(__name__)


def open_sandbox(
    config: ExecuteConfig, warm_view: Path | None, workers: int, threads: int
) -> PooledSandbox:
    """The sandbox that the configuration asks for; "auto" takes bubblewrap.

    With `warm_view`, workers for it start getting ready now. Raises SandboxUnavailable, and never
    falls back to a weaker wall on its own.
    """
    launcher = choose(config.sandbox)
    warm = None
    if warm_view is not None:
        warm = make_spec(warm_view, limits_of(config, threads), device_of(config))
    return PooledSandbox(launcher, workers=workers, warm=warm)


def limits_of(config: ExecuteConfig, threads: int) -> Limits:
    """The limits of one candidate."""
    return Limits(
        seconds=config.seconds or Limits().seconds,
        memory_bytes=int(config.memory_gib * (1 << 30)),
        threads=threads,
    )


def device_of(config: ExecuteConfig) -> str:
    """ "auto" is the first GPU that torch can use, else the CPU."""
    if config.device != "auto":
        return config.device
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def choose(wanted: str) -> Launcher:
    """A launcher by name. Raises SandboxUnavailable with what to do."""
    if wanted == "unconfined":
        logger.warning(WARNING)
        return Unconfined()
    if wanted in ("auto", "bubblewrap"):
        from evolver.execute.bubblewrap import Bubblewrap

        return Bubblewrap()
    raise SandboxUnavailable(f"no sandbox is called {wanted!r}")
