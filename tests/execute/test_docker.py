"""Docker: containers that go whatever happens to us, and an image that is built once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from evolver.errors import SandboxUnavailable
from evolver.execute.choose import choose
from evolver.execute.pool import PooledSandbox
from evolver.execute.process import Launcher, Spec
from evolver.testing_sandbox import SMALL_LIMITS, completed, failed, small_job, small_model

if TYPE_CHECKING:
    from evolver.execute.docker import Docker

docker = pytest.importorskip("docker", reason="the docker package is not installed")

SPEC = Spec(
    view=Path("/"),
    threads=1,
    device="cpu",
    memory_bytes=SMALL_LIMITS.memory_bytes,
    scratch_bytes=SMALL_LIMITS.scratch_bytes,
    processes=SMALL_LIMITS.processes,
)


def test_walls_of_a_container() -> None:
    from evolver.execute.docker import container_settings

    walls = container_settings(SPEC)
    assert walls["network_mode"] == "none"
    assert walls["read_only"] is True
    assert walls["user"] == "65534:65534"
    assert walls["cap_drop"] == ["ALL"]
    assert walls["security_opt"] == ["no-new-privileges:true"]
    assert walls["mem_limit"] == walls["memswap_limit"] == SPEC.memory_bytes
    assert walls["pids_limit"] == SPEC.processes
    assert all(mount["mode"] == "ro" for mount in walls["volumes"].values())
    assert "HOME" in walls["environment"]
    assert not {"PATH", "SSH_AUTH_SOCK"} & set(walls["environment"])


def test_a_gpu_is_passed_only_when_asked() -> None:
    from evolver.execute.docker import container_settings, gpu_requests

    assert gpu_requests("cpu") == []
    (request,) = gpu_requests("cuda:1")
    assert request["DeviceIDs"] == ["1"]
    settings = container_settings(dataclasses.replace(SPEC, device="cuda:1"))
    assert settings["device_requests"] == [request]
    # The engine shows one GPU only, which is the first one inside.
    assert json.loads(settings["command"][0])["device"] == "cuda:0"
    assert "CUDA_VISIBLE_DEVICES" not in settings["environment"]


def test_the_image_is_named_by_its_inputs() -> None:
    from evolver.execute import image

    files = image.inputs("python:3.11-slim")
    assert {"Dockerfile", "runner/runner.py", "runner/evolver/contract.py"} <= set(files)
    assert not [name for name in files if name.startswith("runner/evolver/core")]
    assert image.tag_of(files) == image.tag_of(image.inputs("python:3.11-slim"))
    assert image.tag_of(files) != image.tag_of(image.inputs("python:3.12-slim"))
    assert image.tag_of(files) != image.tag_of(image.inputs("python:3.11-slim", "cuda"))
    assert image.tag_of(files) != image.tag_of(image.inputs("python:3.11-slim", index="x"))
    assert image.tag_of(files) != image.tag_of(image.inputs("python:3.11-slim", digest="sha256:1"))
    changed = {**files, "runner/runner.py": files["runner/runner.py"] + b"#"}
    assert image.tag_of(files) != image.tag_of(changed)
    assert image.context(files).read() == image.context(files).read()


class Images:
    """An engine's images by name, and what it was asked to build."""

    def __init__(self, **there: str) -> None:
        self.there = there
        self.arguments: list[dict[str, str]] = []

    def get(self, name: str) -> SimpleNamespace:
        if name not in self.there:
            raise docker.errors.ImageNotFound(name)
        return SimpleNamespace(id=self.there[name])

    def pull(self, name: str) -> SimpleNamespace:
        self.there[name] = "sha256:pulled"
        return self.get(name)

    def build(self, *, tag: str, buildargs: dict[str, str], **_: object) -> None:
        self.there[tag] = f"sha256:{tag}"
        self.arguments.append(buildargs)


def test_a_base_that_moved_on_is_built_on_again() -> None:
    from evolver.execute.image import built, ensure_image

    images = Images(base="sha256:old")
    engine = SimpleNamespace(images=images)
    assert built(engine, "base") is None
    first = ensure_image(engine, "base")
    assert built(engine, "base") == ensure_image(engine, "base") == first
    images.there["base"] = "sha256:new"
    assert built(engine, "base") is None
    assert ensure_image(engine, "base") != first
    ensure_image(engine, "elsewhere")
    assert images.there["elsewhere"] == "sha256:pulled"
    assert len(images.arguments) == 3


def test_the_cpu_variant_prefers_builds_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    from evolver.execute import docker as module

    images = Images(base="sha256:1")
    engine = SimpleNamespace(images=images, close=lambda: None)
    monkeypatch.setattr(module, "connect", lambda: engine)
    monkeypatch.setattr(module, "remove_orphans", lambda client: 0)
    for device, index in (("cpu", None), ("cuda:0", None), ("cpu", ""), ("cuda", "https://mine")):
        module.Docker("base", device=device, index=index).close()
    asked = [arguments["INDEX"] for arguments in images.arguments]
    assert asked == ["https://download.pytorch.org/whl/cpu", "", "", "https://mine"]


def test_no_engine_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from evolver.execute.docker import connect

    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxUnavailable, match="no Docker engine answers"):
        connect()


@pytest.fixture
def engine(launcher: Callable[[str], Launcher]) -> Iterator[Docker]:
    chosen: Any = launcher("docker")
    yield chosen
    chosen.close()


def containers(engine: Docker, run: str) -> set[str]:
    """Those of one run; other tests may have theirs in the same engine."""
    wanted = {"label": ["evolver.worker", f"evolver.run={run}"]}
    return {one["Id"] for one in engine._client.api.containers(all=True, filters=wanted)}


@pytest.mark.docker
def test_containers_go_at_the_next_start_after_a_kill(engine: Docker, view: Path) -> None:
    from evolver.execute.docker import remove_orphans

    run = f"killed-{os.getpid()}"
    script = f"""
        import time
        from pathlib import Path
        from evolver.execute.choose import choose
        from evolver.execute.pool import PooledSandbox, make_spec
        from evolver.testing_sandbox import SMALL_LIMITS
        box = PooledSandbox(
            choose("docker", {os.environ.get("EVOLVER_TEST_DOCKER_BASE")!r}, run={run!r}),
            workers=1, warm=make_spec(Path({str(view)!r}), SMALL_LIMITS, "cpu"), light=True,
        )
        time.sleep(600)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=Path(__file__).parents[2]
    )
    until = time.monotonic() + 120
    while not containers(engine, run) and time.monotonic() < until:
        time.sleep(0.05)
    remove_orphans(engine._client)
    assert containers(engine, run)  # their owner lives
    child.send_signal(signal.SIGKILL)
    child.wait()
    remove_orphans(engine._client)
    assert not containers(engine, run)


@pytest.mark.docker
def test_containers_carry_their_run_and_go_after_success_and_failure(
    engine: Docker, view: Path
) -> None:
    run = f"test-{os.getpid()}"

    def mine() -> set[str]:
        return containers(engine, run)

    launcher = choose("docker", os.environ.get("EVOLVER_TEST_DOCKER_BASE"), run=run)
    impatient = dataclasses.replace(SMALL_LIMITS, seconds=1)
    with PooledSandbox(launcher, workers=1, light=True) as box:
        seen: set[str] = set()
        during = small_model(fit="yield 0, None")
        completed(box.run(small_job(view, during), lambda _: seen.update(mine()) is None))
        failed(box.run(small_job(view, "raise KeyError")), "crash")
        seen |= mine()
        hangs = small_model(fit="while True: pass")
        failed(box.run(small_job(view, hangs, limits=impatient)), "timeout")
        assert seen
        until = time.monotonic() + 30
        while len(mine()) > 1 and time.monotonic() < until:  # one spare waits for the next job
            time.sleep(0.05)
        assert len(mine()) <= 1
    assert not mine()


@pytest.mark.docker
def test_the_image_is_built_once(engine: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    from evolver.execute import image

    def refuse(*given: object, **named: object) -> None:
        raise AssertionError("built again")

    client = engine._client
    monkeypatch.setattr(type(client.images), "build", refuse)
    base = os.environ.get("EVOLVER_TEST_DOCKER_BASE") or image.default_base()
    index = image.default_index("cpu")
    assert image.ensure_image(client, base, index=index) == engine.image("cpu")


@pytest.mark.docker
def test_an_image_that_cannot_be_built_is_our_fault(engine: Docker) -> None:
    from evolver.execute import image

    with pytest.raises(SandboxUnavailable, match="cannot be built"):
        image.ensure_image(engine._client, "localhost:1/no-such-image")
