"""Which sandbox to use, and why."""

from __future__ import annotations

import importlib.util
import logging
import sys
from pathlib import Path

from evolver.config import ExecuteConfig
from evolver.core import Limits
from evolver.errors import SandboxUnavailable
from evolver.execute.machine import chosen_device, gpus
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.execute.unconfined import WARNING, Unconfined

logger = logging.getLogger(__name__)


def open_sandbox(
    config: ExecuteConfig, warm_view: Path | None, workers: int, threads: int, run: str = ""
) -> PooledSandbox:
    """The sandbox that the configuration asks for, for the run of that name.

    With `warm_view`, workers for it start getting ready now. Raises SandboxUnavailable, and never
    falls back to a weaker wall on its own.
    """
    device = device_of(config)
    launcher = choose(
        config.sandbox, config.docker_base, docker_index=config.docker_index, device=device, run=run
    )
    warm = None
    if warm_view is not None:
        warm = make_spec(warm_view, limits_of(config, threads), device)
    return PooledSandbox(launcher, workers=workers, warm=warm, gpus=len(gpus()))


def limits_of(config: ExecuteConfig, threads: int) -> Limits:
    """The limits of one candidate."""
    return Limits(
        seconds=config.seconds or Limits().seconds,
        memory_bytes=int(config.memory_gib * (1 << 30)),
        threads=threads,
    )


def device_of(config: ExecuteConfig) -> str:
    """What candidates train on."""
    return chosen_device(config.device)


def choose(
    wanted: str,
    docker_base: str | None = None,
    *,
    docker_index: str | None = None,
    device: str = "cpu",
    run: str = "",
) -> Launcher:
    """A launcher by name. "auto": bubblewrap, else Docker. Never falls back to no walls at all.

    The rest is for Docker: the image to build on, the index to build from, the device whose
    variant of the image is needed first, and the run to label containers with. Raises
    SandboxUnavailable with what is missing and what to do.
    """
    if wanted == "unconfined":
        logger.warning(WARNING)
        return Unconfined()
    if wanted == "bubblewrap":
        return _bubblewrap()
    if wanted == "docker":
        return _docker(docker_base, docker_index, device, run)
    if wanted != "auto":
        raise SandboxUnavailable(f"no sandbox is called {wanted!r}")
    try:
        return _bubblewrap()
    except SandboxUnavailable as first:
        try:
            return _docker(docker_base, docker_index, device, run)
        except SandboxUnavailable as second:
            raise SandboxUnavailable(f"{first}. {second}") from None


def _bubblewrap() -> Launcher:
    if sys.platform != "linux":
        raise SandboxUnavailable("bubblewrap needs Linux")
    from evolver.execute.bubblewrap import Bubblewrap

    return Bubblewrap()


def _docker(base: str | None, index: str | None, device: str, run: str) -> Launcher:
    if importlib.util.find_spec("docker") is None:
        raise SandboxUnavailable(
            "the Docker sandbox needs the docker package: pip install 'evolver[docker]'"
        )
    from evolver.execute.docker import Docker

    return Docker(base, index=index, device=device, run=run)
