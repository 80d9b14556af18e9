"""Control groups: limits written where the kernel reads them, and nothing left behind."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from evolver.execute import cgroups
from evolver.execute.cgroups import Group, bases, make_group
from evolver.execute.process import Spec

SPEC = Spec(
    view=Path("/view"),
    threads=2,
    device="cpu",
    memory_bytes=1 << 30,
    scratch_bytes=1 << 20,
    processes=64,
)


def made(monkeypatch: pytest.MonkeyPatch, version: int, folders: dict[str, Path]) -> Group:
    monkeypatch.setattr(cgroups, "bases", lambda: (version, folders))
    group = make_group(SPEC)
    assert group is not None
    return group


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "nice", lambda more: 7 + more)
    group = made(monkeypatch, 2, dict.fromkeys(("memory", "pids", "cpu"), tmp_path))
    (folder,) = group.folders
    written = {path.name: path.read_text() for path in folder.iterdir()}
    assert written == {
        "memory.max": str(1 << 30),
        "memory.swap.max": "0",
        "memory.oom.group": "1",
        "pids.max": "64",
        "cpu.max": "225000 100000",
        "cpu.weight.nice": "7",
    }
    assert not group.out_of_memory()
    (folder / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 0\n")
    assert not group.out_of_memory()
    (folder / "memory.events").write_text("low 0\nmax 12\noom 1\noom_kill 2\n")
    assert group.out_of_memory()
    group.lift()
    assert (folder / "cpu.max").read_text() == "max"


def test_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {name: tmp_path / name for name in ("memory", "pids", "cpu")}
    for folder in folders.values():
        folder.mkdir()
    monkeypatch.setattr(os, "nice", lambda more: 10 + more)
    group = made(monkeypatch, 1, folders)
    memory, pids, cpu = group.folders
    assert (memory / "memory.limit_in_bytes").read_text() == str(1 << 30)
    assert (pids / "pids.max").read_text() == "64"
    assert (cpu / "cpu.cfs_quota_us").read_text() == "225000"
    assert (cpu / "cpu.shares").read_text() == "110"  # what a process of that niceness weighs
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert group.out_of_memory()


def test_no_group_where_none_can_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(cgroups, "bases", lambda: (2, {"memory": tmp_path / "file"}))
    assert make_group(SPEC) is None
    monkeypatch.setattr(cgroups, "bases", lambda: None)
    assert make_group(SPEC) is None


def test_a_real_group_comes_and_goes() -> None:
    if bases() is None:
        pytest.skip("no control group can be made here")
    group = make_group(SPEC)
    assert group is not None
    assert all(folder.is_dir() for folder in group.folders)
    assert not group.out_of_memory()
    group.remove()
    assert not any(folder.exists() for folder in group.folders)
    group.remove()


def test_groups_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead, alive = tmp_path / "evolver-4194999-0", tmp_path / f"evolver-{os.getpid()}-0"
    dead.mkdir()
    alive.mkdir()
    cgroups._sweep(tmp_path)
    assert not dead.exists()
    assert alive.exists()
