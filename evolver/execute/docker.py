"""Workers in containers, through Docker's own SDK; Podman's compatible socket works as well.

Stops what `bubblewrap` stops, and works where there is a Docker engine but no user namespaces, or
no Linux. Does not stop a flaw of the kernel or of the engine, which runs as root.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import docker
import requests

from evolver.errors import SandboxUnavailable
from evolver.execute.cgroups import group_of, processor_shares
from evolver.execute.image import (
    Variant,
    default_base,
    default_index,
    ensure_image,
    files_to_show,
)
from evolver.execute.machine import name_of
from evolver.execute.process import Process, Spec, Stream, how_it_ended
from evolver.execute.queries import training_files
from evolver.execute.settings import DESCRIPTORS, environment, runner_settings
from evolver.execute.usage import Usage, tree_usage

VIEW = Path("/view")
HOME = "/tmp"
LABEL = "evolver.worker"
OWNER = "evolver.owner"
RUN = "evolver.run"
ENGINE_SECONDS = 60
LOOK_SECONDS = 0.25
MOST_OF_USER = 1 << 14  # processes of all workers side by side, which share a user on the host
NOT_SET = ("PATH", "CUDA_VISIBLE_DEVICES")  # the image knows its path, the engine shows one GPU
STREAMS: dict[int, Stream] = {1: "protocol", 2: "stderr"}  # inside, both outputs go to 2


class Docker:
    """Launches workers in containers. Raises SandboxUnavailable where no engine answers."""

    name = "docker"

    def __init__(
        self,
        base: str | None = None,
        *,
        index: str | None = None,
        device: str = "cpu",
        run: str = "",
    ) -> None:
        self._client = connect()
        remove_orphans(self._client)
        self._run = run
        self._base, self._index = base or default_base(), index
        self._images: dict[Variant, str] = {}
        self.image(device)  # a build that fails must fail before anything is trained
        self._remover = Remover(self._client)

    def image(self, device: str) -> str:
        """The tag of the image for this device, built where it is missing."""
        variant: Variant = "cuda" if device.startswith("cuda") else "cpu"
        if variant not in self._images:
            index = default_index(variant) if self._index is None else self._index
            self._images[variant] = ensure_image(self._client, self._base, variant, index)
        return self._images[variant]

    def launch(self, spec: Spec) -> Process:
        api, image = self._client.api, self.image(spec.device)
        try:
            container = self._client.containers.create(image, **container_settings(spec, self._run))
            container_id = container.id
        except docker.errors.DockerException as error:
            raise SandboxUnavailable(f"no container can be made: {error}") from None
        try:
            stream = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            link = api.attach_socket(container_id, params=stream)
            api.start(container_id)
        except docker.errors.DockerException as error:
            self._remover.remove(container_id)
            raise SandboxUnavailable(f"a container does not start: {error}") from None
        return Contained(self._client, container_id, link, self._remover)

    def close(self) -> None:
        self._remover.close()
        self._client.close()


def connect() -> Any:
    """A client of the engine that $DOCKER_HOST or the platform names. Raises SandboxUnavailable."""
    try:
        knock()
        client = docker.from_env(timeout=ENGINE_SECONDS)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxUnavailable(
            f"no Docker engine answers ({error}); start one, or use --sandbox bubblewrap"
        ) from None
    return client


def knock() -> None:
    """See whether anybody listens; the SDK leaves a socket open where nobody does."""
    url = docker.utils.kwargs_from_env().get("base_url") or "unix:///var/run/docker.sock"
    scheme, _, place = url.partition("://")
    if sys.platform != "win32" and scheme.endswith("unix"):
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(ENGINE_SECONDS)
            try:
                link.connect("/" + place.lstrip("/"))
            except OSError as error:
                raise OSError(f"{url}: {error.strerror or error}") from None


def container_settings(spec: Spec, run: str = "") -> dict[str, Any]:
    """All walls of one container, in the words of the Docker SDK."""
    half = max(1 << 20, spec.scratch_bytes // 2)
    settings = runner_settings(
        spec, view=VIEW, paths=[], own_stdout=False, die_with_parent=False, filtered=True
    )
    return {
        "command": [settings],
        "stdin_open": True,
        "network_mode": "none",
        "ipc_mode": "private",
        "hostname": "sandbox",
        "read_only": True,
        "user": "65534:65534",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,
        "nano_cpus": min(int((spec.threads + 0.25) * 1e9), (os.cpu_count() or 1) * 10**9),
        "cpu_shares": processor_shares(),
        "pids_limit": spec.processes,
        # Named, since an engine may want to raise them to what it is not allowed itself.
        "ulimits": [
            docker.types.Ulimit(name=name, soft=most, hard=most)
            for name, most in (("nofile", DESCRIPTORS), ("nproc", MOST_OF_USER), ("core", 0))
        ],
        "tmpfs": {HOME: f"rw,nosuid,nodev,size={half},mode=1777"},
        "shm_size": half,
        "volumes": files_to_show(training_files(spec.view), VIEW),
        "environment": {k: v for k, v in environment(spec, HOME).items() if k not in NOT_SET},
        "init": True,
        "labels": {LABEL: "yes", OWNER: owner(), RUN: run},
        "device_requests": gpu_requests(spec.device),
        "log_config": {"Type": "none"},
    }


def gpu_requests(device: str) -> list[Any]:
    """What `docker run --gpus device=N` asks for; nothing for the CPU."""
    if not device.startswith("cuda"):
        return []
    return [docker.types.DeviceRequest(device_ids=[name_of(device)], capabilities=[["gpu"]])]


def owner() -> str:
    """Who made a container: this process, by host, number and time of its start."""
    return f"{socket.gethostname()}/{os.getpid()}/{started_at(os.getpid())}"


def started_at(pid: int) -> str:
    """When a process started, so that a number used again is told from the one before."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def remove_orphans(client: Any) -> int:
    """Remove workers whose owner on this host is no more, as after kill -9."""
    removed = 0
    for found in client.api.containers(all=True, filters={"label": LABEL}):
        host, pid, start = (found["Labels"].get(OWNER, "//") + "//").split("/")[:3]
        if host == socket.gethostname() and (not pid.isdigit() or started_at(int(pid)) != start):
            with contextlib.suppress(docker.errors.APIError):
                client.api.remove_container(found["Id"], force=True, v=True)
                removed += 1
    return removed


class Remover:
    """Removes containers behind the back of whoever waits for the next candidate."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._left: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="evolver-remove", daemon=True)
        self._thread.start()

    def remove(self, container_id: str) -> None:
        self._left.put(container_id)

    def close(self) -> None:
        """Wait until all are gone."""
        self._left.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (container_id := self._left.get()) is not None:
            with contextlib.suppress(docker.errors.APIError, requests.RequestException):
                self._client.api.remove_container(container_id, force=True, v=True)


class Contained:
    """A started container: one socket carries the protocol and, marked, what was printed."""

    def __init__(self, client: Any, container_id: str, link: Any, remover: Remover) -> None:
        self._api = client.api
        self._id = container_id
        self._link = link
        self._socket: socket.socket = getattr(link, "_sock", link)
        self._socket.setblocking(False)
        self._remover = remover
        self._bytes = bytearray()
        self._killed = False
        self._closed = False
        self._lock = threading.Lock()
        self._usage = Usage()
        self._next_look = 0.0
        pid = int(self._api.inspect_container(container_id)["State"]["Pid"] or 0)
        # Where the engine runs in another machine, its processes are not ours to see.
        self._pid = pid if pid and inside(pid, container_id) else 0
        self._group = group_of(self._pid) if self._pid else None

    def readable(self) -> dict[int, Stream]:
        return {self._socket.fileno(): "protocol"}

    @property
    def writable(self) -> int:
        return self._socket.fileno()

    def read(self, descriptor: int) -> list[tuple[Stream, bytes]]:
        try:
            data = self._socket.recv(1 << 18)
        except BlockingIOError:
            return []
        except ConnectionError:
            data = b""
        if not data:
            # At once, before the engine removes the group: not every engine tells of it later.
            if self._group is not None and self._group.out_of_memory():
                self._usage = Usage(out_of_memory=True, peak_bytes=self._usage.peak_bytes)
            return [("protocol", b"")]
        self._bytes += data
        return list(self._parts())

    def _parts(self) -> Any:
        """Split what came by stream: 1 byte stream, 3 bytes nothing, 4 bytes size, then data."""
        while len(self._bytes) >= 8:
            size = int.from_bytes(self._bytes[4:8], "big")
            if len(self._bytes) < 8 + size:
                return
            stream = STREAMS.get(self._bytes[0], "stderr")
            data = bytes(self._bytes[8 : 8 + size])
            del self._bytes[: 8 + size]
            if data:
                yield stream, data

    def write(self, data: memoryview) -> int:
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except ConnectionError as error:
            raise BrokenPipeError from error

    def ended(self) -> str | None:
        try:
            state = self._api.inspect_container(self._id)["State"]
        except (docker.errors.APIError, requests.RequestException):
            return "removed"
        if state["Running"]:
            return None
        if state["OOMKilled"]:
            self._usage = Usage(out_of_memory=True, peak_bytes=self._usage.peak_bytes)
        return how_it_ended(int(state["ExitCode"]))

    def usage(self) -> Usage:
        if self._usage.out_of_memory or not self._pid or time.monotonic() < self._next_look:
            return self._usage
        self._next_look = time.monotonic() + LOOK_SECONDS
        group = self._group
        self._usage = tree_usage(
            self._pid, over_memory=lambda pids, rows: group is not None and group.out_of_memory()
        )
        return self._usage

    def terminate(self) -> None:
        """Kill at once where its processes are ours to kill; the engine, which takes its time,
        kills and removes it behind our back in any case."""
        with self._lock:
            if self._killed:
                return
            self._killed = True
        if self._pid and inside(self._pid, self._id):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self._pid, signal.SIGKILL)
        self._remover.remove(self._id)

    def close(self) -> None:
        self.terminate()
        with self._lock:
            if self._closed:
                return
            self._closed = True
        response = getattr(self._link, "_response", None)
        if response is not None:
            response.close()
        self._link.close()
        self._socket.close()


def inside(pid: int, container_id: str) -> bool:
    """Whether the process that we see under this number is the container's."""
    try:
        return container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False
