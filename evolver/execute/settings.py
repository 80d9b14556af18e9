"""What the runner inside is told at its start, the same for every kind of wall."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from pathlib import Path

from evolver.execute.machine import inside, name_of
from evolver.execute.process import Spec
from evolver.execute.seccomp import filter_program

DATA_SLACK = 1 << 30  # thread stacks and allocator arenas that are mapped but not used
DESCRIPTORS = 1024


def runner_settings(
    spec: Spec,
    *,
    view: Path,
    paths: Iterable[Path],
    own_stdout: bool,
    die_with_parent: bool,
    filtered: bool = False,
) -> str:
    """The argument of sandbox/runner.py. `{stdout}` in it stands for a descriptor to be filled in.
    `filtered`: the runner installs our seccomp filter itself, before any candidate code.

    On a GPU the driver maps far more than it uses, so memory is then watched but not rationed.
    """
    settings = {
        "view": str(view),
        "paths": [str(path) for path in paths],
        "threads": spec.threads,
        "warm": spec.warm,
        "device": inside(spec.device),
        "die_with_parent": die_with_parent,
        "seccomp": encoded_filter() if filtered else None,
        "rlimits": {
            "memory": spec.memory_bytes + DATA_SLACK if spec.device == "cpu" else None,
            # Workers in containers have one user on the host, whose processes count together;
            # there the engine counts those of each container.
            "processes": None if filtered else spec.processes,
            "file": spec.scratch_bytes,
            "descriptors": DESCRIPTORS,
        },
    }
    descriptor = "{stdout}" if own_stdout else "null"
    return json.dumps(settings)[:-1] + f', "stdout_fd": {descriptor}}}'


def encoded_filter() -> str | None:
    program = filter_program()
    return None if program is None else base64.b64encode(program).decode()


def environment(spec: Spec, home: str) -> dict[str, str]:
    """All the environment that a worker gets."""
    threads = str(spec.threads)
    chosen = {"CUDA_VISIBLE_DEVICES": name_of(spec.device)} if spec.device != "cpu" else {}
    return {
        **chosen,
        "HOME": home,
        "TMPDIR": home,
        "USER": "sandbox",  # torch asks for a name, and the user's number has none inside
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": "0",  # equal runs iterate over sets of strings in equal order
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "NUMEXPR_NUM_THREADS": threads,
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # repeatable matrix products on a GPU
    }


def python_arguments() -> list[str]:
    """No site hooks, no byte code written, no folder of the script on the path."""
    return ["-S", "-s", "-B", "-P"]
