"""What is done before a job comes, so that none of it costs the candidate time."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy  # noqa: F401 - imported now so that it costs no candidate time
import scipy.sparse
import scipy.sparse.linalg
import torch

from evolver.contract import Interactions


def die_with_parent() -> None:
    """Have the kernel kill this process when the one that started it is gone (Linux)."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)


def warm_up(threads: int, device: str) -> None:
    """Import, set threads and touch the libraries that start lazily."""
    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    square = torch.ones((8, 8), device=device)
    torch.topk(square @ square, 2)
    np.linalg.svd(np.ones((8, 8)))
    gc.collect()
    gc.freeze()


def lower_limits(settings: dict[str, Any]) -> None:
    """Limits of this process and its children that it can never raise again."""
    limits = {
        "memory": resource.RLIMIT_DATA,
        "processes": resource.RLIMIT_NPROC,
        "file": resource.RLIMIT_FSIZE,
        "descriptors": resource.RLIMIT_NOFILE,
    }
    for name, kind in limits.items():
        wanted = settings["rlimits"].get(name)
        if wanted is not None:
            hard = resource.getrlimit(kind)[1]
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(kind, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load_view(folder: str, facts: dict[str, Any]) -> Interactions:
    """The training interactions, memory-mapped from the files of the view."""
    place = Path(folder)

    def read(name: str) -> Any:
        path = place / f"{name}.npy"
        return np.load(path, mmap_mode="r", allow_pickle=False) if path.exists() else None

    def features(side: str, rows: int) -> dict[str, Any]:
        found = {}
        for number, feature in enumerate(facts[f"{side}_features"]):
            parts = [
                read(f"{side}_feature_{number}.{part}") for part in ("data", "indices", "indptr")
            ]
            found[feature["name"]] = scipy.sparse.csr_matrix(
                tuple(parts), shape=(rows, feature["width"])
            )
        return found

    return Interactions(
        users=read("users"),
        items=read("items"),
        times=read("times"),
        values=read("values"),
        n_users=facts["n_users"],
        n_items=facts["n_items"],
        user_features=features("user", facts["n_users"]),
        item_features=features("item", facts["n_items"]),
    )


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def leave() -> None:
    """End at once: no exit handler of a candidate is run."""
    os._exit(0)
