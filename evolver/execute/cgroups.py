"""Kernel limits on the memory, processor time and processes of a whole worker, where allowed.

Works with control groups version 1 and 2, as root and as a user to whom systemd delegated a
group. Where no group can be made, `usage.tree_usage` watches instead, which reacts in a tenth of
a second rather than at once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evolver.execute.process import Spec

CONTROLLERS = ("memory", "cpu", "pids")
PREFIX = "evolver-"
PERIOD = 100_000  # microseconds of processor time that a quota is counted over
SPARE_CPU = 0.25  # of a core above the threads that the candidate was told, for the interpreter
REMOVE_SECONDS = 2.0
ENTER = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'

_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Group:
    """One folder in each hierarchy, made for one worker."""

    version: int
    folders: tuple[Path, ...]

    def entering(self, command: list[str]) -> list[str]:
        """The command, which first moves itself into the group."""
        procs = [str(folder / "cgroup.procs") for folder in self.folders]
        return ["/bin/sh", "-c", ENTER, "sh", *procs, "--", *command]

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of this group for its memory."""
        name = "memory.oom_control" if self.version == 1 else "memory.events"
        for folder in self.folders:
            with contextlib.suppress(OSError):
                for line in (folder / name).read_text().splitlines():
                    key, _, count = line.partition(" ")
                    if key == "oom_kill" and int(count) > 0:
                        return True
        return False

    def lift(self) -> None:
        """Take the limit on processor time away: a throttled process is slow to die."""
        for folder in self.folders:
            for name, value in (("cpu.cfs_quota_us", "-1"), ("cpu.max", "max")):
                with contextlib.suppress(OSError):
                    if (folder / name).exists():
                        (folder / name).write_text(value)

    def remove(self) -> None:
        """Remove the folders, which the kernel allows once the last process is gone."""
        until = time.monotonic() + REMOVE_SECONDS
        for folder in self.folders:
            while folder.exists() and not _removed(folder) and time.monotonic() < until:
                time.sleep(0.002)


def make_group(spec: Spec) -> Group | None:
    """A group with the limits of a spec, or None where this process may not make any."""
    place = bases()
    if place is None:
        return None
    version, folders = place
    name = f"{PREFIX}{os.getpid()}-{next(_numbers)}"
    made: dict[Path, None] = {}
    for controller, base in folders.items():
        folder = base / name
        try:
            folder.mkdir(exist_ok=True)
            made[folder] = None
            _limit(version, controller, folder, spec)
        except OSError:
            for one in made:
                _removed(one)
            return None
    return Group(version, tuple(made))


def group_of(pid: int) -> Group | None:
    """The group of a process that somebody else put there, to ask whether memory ran out."""
    own = _own_groups(pid)
    for kind, mount, options in _mounts():
        if kind == "cgroup" and "memory" in options:
            return Group(1, (mount / own.get("memory", "/").lstrip("/"),))
        if kind == "cgroup2" and "memory" not in own:
            return Group(2, (mount / own.get("", "/").lstrip("/"),))
    return None


def processor_shares() -> int:
    """The weight of a group that is as nice as this process is. A group weighs as much as one
    process of normal priority, whatever the priority of those in it, if nobody says otherwise."""
    niceness = os.nice(0) if hasattr(os, "nice") else 0  # Windows, with Docker, has none
    return max(2, round(1024 * 1.25**-niceness))


def processor_quota() -> float | None:
    """Cores' worth of time that the groups of this process leave it; None: no limit."""
    own, found = _own_groups(), []
    for kind, mount, options in _mounts():
        if kind != "cgroup2" and "cpu" not in options:
            continue
        inside = mount / own.get("" if kind == "cgroup2" else "cpu", "/").lstrip("/")
        start = inside if inside.is_dir() else mount
        found += [_quota(place) for place in (start, *start.parents) if place.is_relative_to(mount)]
    return min((one for one in found if one is not None), default=None)


def _quota(folder: Path) -> float | None:
    """Cores' worth of time of one group; None: it sets no limit."""
    with contextlib.suppress(OSError, ValueError):
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    with contextlib.suppress(OSError, ValueError):
        given = int((folder / "cpu.cfs_quota_us").read_text())
        return given / int((folder / "cpu.cfs_period_us").read_text()) if given > 0 else None
    return None


@cache
def bases() -> tuple[int, Mapping[str, Path]] | None:
    """The version and, for each controller, the folder in which groups can be made; None where
    memory cannot be limited. Removes groups that killed processes of ours left behind."""
    for version, folders in (*_version_2(), *_version_1()):
        if "memory" in folders and _works(version, folders):
            for folder in set(folders.values()):
                _sweep(folder)
            return version, folders
    return None


def _limit(version: int, controller: str, folder: Path, spec: Spec) -> None:
    quota = int((spec.threads + SPARE_CPU) * PERIOD)
    memory = str(spec.memory_bytes)
    if version == 1:
        if controller == "memory":
            (folder / "memory.limit_in_bytes").write_text(memory)
            with contextlib.suppress(OSError):  # a kernel may not count swap
                (folder / "memory.memsw.limit_in_bytes").write_text(memory)
        elif controller == "pids":
            (folder / "pids.max").write_text(str(spec.processes))
        elif controller == "cpu":
            (folder / "cpu.cfs_quota_us").write_text(str(quota))
            with contextlib.suppress(OSError):
                (folder / "cpu.shares").write_text(str(processor_shares()))
    elif controller == "memory":
        (folder / "memory.max").write_text(memory)
        for name, value in (("memory.swap.max", "0"), ("memory.oom.group", "1")):
            with contextlib.suppress(OSError):
                (folder / name).write_text(value)
    elif controller == "pids":
        (folder / "pids.max").write_text(str(spec.processes))
    elif controller == "cpu":
        (folder / "cpu.max").write_text(f"{quota} {PERIOD}")
        with contextlib.suppress(OSError):
            (folder / "cpu.weight.nice").write_text(str(os.nice(0)))


def _own_groups(pid: int | str = "self") -> dict[str, str]:
    """Controller ("" for version 2) -> the path of the process's group."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return {}
    rows = (line.split(":", 2) for line in lines)
    return {name: path for _, names, path in rows for name in names.split(",")}


def _mounts() -> Iterator[tuple[str, Path, set[str]]]:
    """(type, folder, options) of each mounted hierarchy."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, folder, kind, options, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            yield kind, Path(folder), set(options.split(","))


def _version_1() -> Iterator[tuple[int, dict[str, Path]]]:
    own, found = _own_groups(), {}
    for kind, mount, options in _mounts():
        for controller in set(CONTROLLERS) & options if kind == "cgroup" else ():
            inside = mount / own.get(controller, "/").lstrip("/")
            base = inside if inside.is_dir() else mount
            if os.access(base, os.W_OK):
                found[controller] = base
    yield 1, found


def _version_2() -> Iterator[tuple[int, dict[str, Path]]]:
    """The nearest groups above ours in which a child gets the controllers."""
    own = _own_groups().get("", "/").lstrip("/")
    for kind, mount, _ in _mounts():
        if kind != "cgroup2":
            continue
        start = mount / own if (mount / own).is_dir() else mount
        for base in (start, *start.parents):
            if base != mount and mount not in base.parents:
                break
            controllers = _offered(base)
            if "memory" in controllers:
                yield 2, dict.fromkeys(controllers, base)


def _offered(base: Path) -> list[str]:
    """Which controllers a child of this group has, after asking for them."""
    control = base / "cgroup.subtree_control"
    with contextlib.suppress(OSError):
        for name in CONTROLLERS:
            with contextlib.suppress(OSError):  # taken by processes in this very group
                control.write_text(f"+{name}")
        if os.access(base, os.W_OK):
            given = control.read_text().split()
            return [name for name in CONTROLLERS if name in given]
    return []


def _works(version: int, folders: Mapping[str, Path]) -> bool:
    """Try it: make a group, start something in it."""
    name = f"{PREFIX}{os.getpid()}-trial"
    group = Group(version, tuple({base / name: None for base in folders.values()}))
    try:
        for folder in group.folders:
            folder.mkdir(exist_ok=True)
        done = subprocess.run(
            group.entering(["/bin/sh", "-c", ":"]), capture_output=True, timeout=20, check=False
        )
        return done.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        group.remove()


def _sweep(base: Path) -> None:
    """Remove groups of processes that are no more."""
    with contextlib.suppress(OSError):
        for folder in base.glob(f"{PREFIX}*-*"):
            owner = folder.name.removeprefix(PREFIX).split("-")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                _removed(folder)


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return not folder.exists()
    return True
