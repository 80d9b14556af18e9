"""Cores and GPUs that this process may use, and what a worker must be shown to use a GPU.

Found without importing torch or asking a driver, so that it costs nothing where there is none.
GPUs are NVIDIA's, on Linux.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from evolver.config import cuda_visible_devices, library_path
from evolver.execute.cgroups import processor_quota

DEVICES = Path("/dev")
SHARED_DEVICES = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-caps")
DRIVER = "libcuda.so.1"


def cores() -> int:
    """Processor cores that this process may use: as many as it may run on, and no more than its
    control group gives it time for, as in a container."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quota = processor_quota()
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def gpus() -> tuple[str, ...]:
    """What CUDA calls the GPUs that this process may use, in its order: numbers or UUIDs."""
    given = cuda_visible_devices()
    if given is None:
        return tuple(str(number) for number in range(len(_device_files())))
    names = [name.strip() for name in given.split(",")]
    # CUDA itself stops at the first name that is none.
    stop = next((at for at, name in enumerate(names) if name in {"", "-1"}), len(names))
    return tuple(names[:stop]) if _device_files() else ()


def chosen_device(wanted: str) -> str:
    """ "auto" is the GPUs where there are any and torch is built for them, else the CPU. "cuda" is
    whichever GPU is free, "cuda:1" the second one."""
    if wanted != "auto":
        return wanted
    if not gpus() or not torch_has_cuda():
        return "cpu"
    return "cuda" if len(gpus()) > 1 else "cuda:0"


def default_workers(device: str) -> int:
    """How many candidates train side by side: one a core, or one a GPU; eight at most."""
    most = len(gpus()) or 1 if device == "cuda" else 1 if device.startswith("cuda") else cores()
    return max(1, min(most, cores(), 8))


def name_of(device: str) -> str:
    """What CUDA calls the GPU of a device such as "cuda:1"."""
    number, known = int(device.partition(":")[2] or "0"), gpus()
    return known[number] if number < len(known) else str(number)


def inside(device: str) -> str:
    """What a device is called by a worker, which sees no GPU but its own."""
    return "cuda:0" if device.startswith("cuda") else device


def torch_has_cuda() -> bool:
    """Whether the torch that is installed was built for CUDA."""
    spec = importlib.util.find_spec("torch")
    places = spec.submodule_search_locations if spec is not None else None
    return any((Path(place) / "lib" / "libtorch_cuda.so").exists() for place in places or ())


def device_files() -> list[Path]:
    """The device files that CUDA opens. All GPUs are among them: CUDA's own variable chooses."""
    shared = [DEVICES / name for name in SHARED_DEVICES]
    return [place for place in (*shared, *_device_files()) if place.exists()]


def driver_folders() -> list[Path]:
    """Folders with the driver's library that the loader was told of by its variable."""
    return [place for place in library_path() if (place / DRIVER).exists()]


@cache
def driver_library() -> Path | None:
    """The folder in which the loader finds the driver's library by itself."""
    try:
        listed = subprocess.run(
            ["/sbin/ldconfig", "-p"], capture_output=True, text=True, timeout=20, check=False
        ).stdout
    except OSError:
        return None
    found = re.search(rf"^\s*{re.escape(DRIVER)} .*=> (\S+)$", listed, re.MULTILINE)
    return Path(found[1]).parent if found else None


def _device_files() -> list[Path]:
    found = [place for place in DEVICES.glob("nvidia*") if place.name[6:].isdigit()]
    return sorted(found, key=lambda place: int(place.name[6:]))


class GPUShares:
    """Spreads jobs that ask for any GPU over all of them, the least busy first."""

    def __init__(self, count: int) -> None:
        self._count = max(1, count)
        self._busy: Counter[int] = Counter()
        self._lock = threading.Lock()

    def devices(self, wanted: str) -> list[str]:
        """All devices that such a job may get."""
        return [f"cuda:{one}" for one in range(self._count)] if wanted == "cuda" else [wanted]

    def most(self, device: str, workers: int) -> int:
        """How many of so many workers can be on this device at once."""
        return -(-workers // self._count) if device.startswith("cuda") else workers

    @contextmanager
    def lend(self, wanted: str) -> Iterator[str]:
        """A device for one job, for as long as it runs."""
        if not wanted.startswith("cuda"):
            yield wanted
            return
        with self._lock:
            given = wanted.partition(":")[2]
            number = int(given) if given else min(range(self._count), key=self._busy.__getitem__)
            self._busy[number] += 1
        try:
            yield f"cuda:{number}"
        finally:
            with self._lock:
                self._busy[number] -= 1
