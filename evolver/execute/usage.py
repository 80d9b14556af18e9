"""What a tree of processes uses, read from /proc. Linux."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
INODE = 1 << 10  # about what the kernel holds for a file in a tmpfs


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """peak_bytes: the most that any one process had resident. out_of_memory: the tree is over its
    limit, or the kernel killed for it."""

    peak_bytes: int = 0
    processes: int = 0
    out_of_memory: bool = False


def tree(root: int) -> list[int]:
    """The process and all its descendants that are alive now."""
    found, left = [], [root]
    while left:
        pid = left.pop()
        found.append(pid)
        try:
            threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - called every tick
        except OSError:
            continue
        for thread in threads:
            try:
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text()
            except OSError:
                continue
            left += [int(child) for child in children.split()]
    return found


def tree_usage(
    root: int, *, over_memory: Callable[[list[int], list[dict[str, int]]], bool]
) -> Usage:
    """What the tree uses; `over_memory` decides from its processes and their status."""
    pids = tree(root)
    rows = [_status(pid) for pid in pids]
    return Usage(
        peak_bytes=max((row.get("VmHWM", 0) for row in rows), default=0),
        processes=sum(1 for row in rows if row),
        out_of_memory=over_memory(pids, rows),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Decides by adding up, where no control group does. Anonymous and shared memory count, and
    what lies in `scratch`. Pages shared between forked processes count once each, unless that
    passes the limit: then they are divided fairly, which costs more to find out."""

    limit: int
    scratch: tuple[str, ...] = ()
    scratch_bytes: int = 0

    def __call__(self, pids: list[int], rows: list[dict[str, int]]) -> bool:
        private = sum(row.get("RssAnon", 0) + row.get("RssShmem", 0) for row in rows)
        files = _scratch_used(pids, self.scratch, self.scratch_bytes)
        if private + files <= self.limit:
            return False
        private = sum(_fair(pid, row) for pid, row in zip(pids, rows, strict=True))
        return private + files > self.limit


def _status(pid: int) -> dict[str, int]:
    """Bytes by field; empty for a process that is gone or a zombie."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    wanted = ("RssAnon", "RssShmem", "VmHWM")
    pairs = (line.split(":", 1) for line in lines if line.startswith(wanted))
    return {name: int(value.split()[0]) << 10 for name, value in pairs}


def _fair(pid: int, status: dict[str, int]) -> int:
    """Anonymous and shared memory with every page divided by how many processes map it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return status.get("RssAnon", 0) + status.get("RssShmem", 0)
    wanted = ("Pss_Anon:", "Pss_Shmem:")
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(wanted))


def _scratch_used(pids: list[int], scratch: tuple[str, ...], most: int) -> int:
    """What lies in the tmpfs folders that the tree sees; each file costs an inode too. A file
    system larger than `most` is the host's, seen while the walls are still going up."""
    if not scratch:
        return 0
    for pid in reversed(pids):  # the deepest one surely lives inside
        try:
            found = [os.statvfs(f"/proc/{pid}/root{place}") for place in scratch]
        except OSError:
            continue
        if any(one.f_blocks * one.f_frsize > most for one in found):
            return 0
        return sum(
            (one.f_blocks - one.f_bfree) * one.f_frsize + (one.f_files - one.f_ffree) * INODE
            for one in found
        )
    return 0
