"""Cores and GPUs that are found, shared out and shown to workers. GPUs here are files of a fake."""

from __future__ import annotations

import dataclasses
import json
import threading
from pathlib import Path

import pytest

from evolver.core import Job
from evolver.execute import cgroups, choose, machine
from evolver.execute.machine import GPUShares, chosen_device, cores, default_workers, gpus
from evolver.execute.pool import PooledSandbox
from evolver.execute.process import Process, Spec
from evolver.execute.settings import environment, runner_settings
from evolver.testing_sandbox import completed, small_job, small_model

SPEC = Spec(
    view=Path("/view"),
    threads=1,
    device="cuda:1",
    memory_bytes=1 << 30,
    scratch_bytes=1 << 20,
    processes=64,
)


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Device files as two cards have them."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    monkeypatch.setattr(machine, "torch_has_cuda", lambda: True)
    for name in ("nvidia1", "nvidia0", "nvidiactl", "nvidia-uvm", "null"):
        (tmp_path / name).touch()
    return tmp_path


def test_gpus_that_are_here_and_left_to_us(
    two_gpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert gpus() == ("0", "1")
    assert chosen_device("auto") == "cuda"
    assert chosen_device("cpu") == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-8932f937")
    assert gpus() == ("GPU-8932f937",)
    assert chosen_device("auto") == "cuda:0"
    assert machine.name_of("cuda:0") == "GPU-8932f937"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,-1,0")
    assert gpus() == ("1",)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == ()
    assert chosen_device("auto") == "cpu"


def test_no_gpu_without_device_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert gpus() == ()


def test_a_torch_without_cuda_stays_on_the_cpu(
    two_gpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "torch_has_cuda", lambda: False)
    assert chosen_device("auto") == "cpu"


def test_one_worker_a_core_or_a_gpu(two_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cores", lambda: 6)
    assert default_workers("cpu") == 6
    assert default_workers("cuda") == 2
    assert default_workers("cuda:1") == 1
    monkeypatch.setattr(machine, "cores", lambda: 64)
    assert default_workers("cpu") == 8
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert default_workers("cuda") == 1


def test_no_more_cores_than_the_control_group_gives_time_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container that was started with --cpus, whatever the machine has."""
    own = tmp_path / "slice" / "job"
    own.mkdir(parents=True)
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": "/slice/job"})
    monkeypatch.setattr(cgroups, "_mounts", lambda: [("cgroup2", tmp_path, set())])
    assert cgroups.processor_quota() is None
    (own / "cpu.max").write_text("max 100000\n")
    assert cgroups.processor_quota() is None
    (own.parent / "cpu.max").write_text("150000 100000\n")  # a limit further up holds as well
    assert cgroups.processor_quota() == 1.5
    assert cores() == 1
    (own.parent / "cpu.max").unlink()
    (own / "cpu.max").unlink()
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"cpu": "/slice/job"})
    monkeypatch.setattr(cgroups, "_mounts", lambda: [("cgroup", tmp_path, {"cpu", "rw"})])
    for name, value in {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"}.items():
        (own / name).write_text(value)
    assert cgroups.processor_quota() is None
    (own / "cpu.cfs_quota_us").write_text("50000")
    assert cgroups.processor_quota() == 0.5
    assert cores() == 1


def test_jobs_for_any_gpu_are_spread() -> None:
    shares = GPUShares(2)
    with shares.lend("cuda") as one, shares.lend("cuda") as two, shares.lend("cpu") as none:
        assert sorted([one, two]) == ["cuda:0", "cuda:1"]
        assert none == "cpu"
        with shares.lend("cuda:1"), shares.lend("cuda") as third:
            assert third == "cuda:0"
    with shares.lend("cuda") as again:
        assert again == "cuda:0"
    assert shares.most("cuda:0", 3) == 2
    assert shares.most("cpu", 3) == 3


class OnTheCPU:
    """Starts plain workers whatever device they are wanted for, and remembers which."""

    name = "fake"

    def __init__(self) -> None:
        self.inner = choose.choose("unconfined")
        self.devices: list[str] = []

    def launch(self, spec: Spec) -> Process:
        self.devices.append(spec.device)
        return self.inner.launch(dataclasses.replace(spec, device="cpu"))

    def close(self) -> None:
        self.inner.close()


def test_a_pool_uses_every_gpu(view: Path) -> None:
    launcher, together = OnTheCPU(), threading.Barrier(2)
    source = small_model(fit="yield 0, None", state="return {'x': np.zeros(1)}")
    with PooledSandbox(launcher, workers=2, light=True, gpus=2) as box:

        def run(job: Job) -> None:
            completed(box.run(job, lambda progress: together.wait(60) >= 0))

        job = small_job(view, source, device="cuda")
        threads = [threading.Thread(target=run, args=(job,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {"cuda:0", "cuda:1"} == set(launcher.devices)
    assert not together.broken


def test_a_worker_sees_its_own_gpu_only(two_gpus: Path) -> None:
    assert environment(SPEC, "/tmp")["CUDA_VISIBLE_DEVICES"] == "1"
    assert "CUDA_VISIBLE_DEVICES" not in environment(
        dataclasses.replace(SPEC, device="cpu"), "/tmp"
    )
    told = runner_settings(
        SPEC, view=Path("/view"), paths=[], own_stdout=False, die_with_parent=False
    )
    assert json.loads(told)["device"] == "cuda:0"
    assert json.loads(told)["rlimits"]["memory"] is None  # a driver maps more than it uses


def test_bubblewrap_shows_device_files_and_driver_of_a_gpu(
    two_gpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from evolver.execute.bubblewrap import gpu_walls

    driver = tmp_path / "driver"
    driver.mkdir()
    (driver / "libcuda.so.1").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{driver}:{tmp_path}")
    monkeypatch.setattr(machine, "driver_library", lambda: Path("/usr/lib"))
    assert gpu_walls("cpu") == []
    walls = gpu_walls("cuda:0")
    shown = [walls[at + 1] for at, word in enumerate(walls) if word == "--dev-bind"]
    names = ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1"]
    assert shown == [str(two_gpus / name) for name in names]
    assert ["--ro-bind", str(driver), str(driver)] == walls[-6:-3]
    assert walls[-3:] == ["--setenv", "LD_LIBRARY_PATH", str(driver)]
