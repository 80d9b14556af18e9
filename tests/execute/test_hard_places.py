"""bubblewrap for real where it is harder: as an ordinary user, and inside a container."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evolver.execute.bubblewrap import CONTAINER_FLAGS
from evolver.execute.interpreter import interpreter
from evolver.execute.process import Launcher

ROOT = Path(__file__).parents[2]
BASE = "EVOLVER_TEST_DOCKER_BASE"
ORDINARY = 65533
# Attacks whose outcome hangs on who the user is and on limits that root gets from the kernel.
AS_ORDINARY = (
    *("labels_by_path", "proc_of_others", "kernel_settings", "user_namespaces", "fork_bomb"),
    *("memory_in_children", "memory_in_files", "daemon_left_behind", "ignore_signals"),
)


def closed_to_others(places: list[Path]) -> list[Path]:
    """The topmost folders above these places that an ordinary user cannot enter."""
    above = {parent for place in places for parent in place.parents}
    closed = [one for one in above if not one.stat().st_mode & 0o001]
    return [one for one in closed if not any(parent in closed for parent in one.parents)]


def opened(places: list[Path]) -> str:
    """Shell commands that, in a mount namespace of their own, show these places to everybody."""
    lines = ["set -e", "keep=$(mktemp -d)"]
    for at, closed in enumerate(closed_to_others(places)):
        inner = [place for place in places if closed in place.parents]
        kept = {place: f'"$keep/{at}-{number}"' for number, place in enumerate(inner)}
        lines += [f"mkdir {to}; mount --bind {quoted(place)} {to}" for place, to in kept.items()]
        lines += [f"mount -t tmpfs -o mode=755 none {quoted(closed)}"]
        for place, to in kept.items():
            lines += [f"mkdir -p {quoted(place)}; mount --move {to} {quoted(place)}"]
    return "\n".join(lines)


def quoted(place: object) -> str:
    return shlex.quote(str(place))


def needed() -> list[Path]:
    """All that running this project takes, the outermost folders only."""
    places = {ROOT, Path(sys.prefix), Path(sys.base_prefix), *interpreter().site}
    outside = [one for one in places if not any(other in one.parents for other in places)]
    return sorted(one for one in outside if not one.is_relative_to("/usr"))


def test_as_an_ordinary_user(tmp_path: Path, launcher: Callable[[str], Launcher]) -> None:
    """The same suite without root: no control groups there, so memory is watched."""
    if os.geteuid() != 0:
        pytest.skip("this is an ordinary user already: all tests here show it")
    launcher("bubblewrap")  # in CI it fails where this is not to be had
    chosen = " or ".join(["test_conforms", *AS_ORDINARY])
    command = [
        *("setpriv", "--reuid", ORDINARY, "--regid", ORDINARY, "--clear-groups"),
        *("env", f"HOME={tmp_path}", sys.executable, "-m", "pytest", "-q"),
        *("-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", tmp_path / "pytest"),
        *("tests/execute/test_sandboxes.py", "tests/adversarial"),
        *("-k", f"bubblewrap and ({chosen})"),
    ]
    os.chown(tmp_path, ORDINARY, ORDINARY)
    script = f"{opened([*needed(), tmp_path])}\nexec {shlex.join(map(str, command))}"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert " skipped" not in done.stdout.splitlines()[-1]
    assert " passed" in done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def image(launcher: Callable[[str], Launcher]) -> Iterator[str]:
    chosen = launcher("docker")
    yield getattr(chosen, "image")("cpu")  # noqa: B009 - Docker's own, beyond the protocol
    chosen.close()


def in_a_container(image: str, code: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run Python code of this project in a container of ours that knows no engine."""
    shown = [word for place in needed() for word in ("--volume", f"{place}:{place}:ro")]
    settings = ["--env", "HOME=/tmp", "--env", "PYTHONDONTWRITEBYTECODE=1", "--workdir", str(ROOT)]
    return subprocess.run(
        [
            *("docker", "run", "--rm", "--network", "none", *shown, *settings, *flags),
            *("--entrypoint", sys.executable, image, "-c", code),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.docker
def test_a_container_that_refuses_namespaces_is_named_at_once(image: str) -> None:
    """The engine's own profile refuses them. The answer is the kernel's, not a time-out's."""
    code = "from evolver.cli.main import main; import sys; sys.argv[1:] = ['doctor']; main()"
    done = in_a_container(image, code)
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("sandbox   bubblewrap")]
    assert " no " in line
    assert "namespace" in line
    assert " ".join(CONTAINER_FLAGS) in line
    assert "No sandbox works here" in done.stdout


@pytest.mark.docker
def test_what_we_advise_makes_it_work_in_a_container(image: str) -> None:
    code = "from evolver.execute.bubblewrap import Bubblewrap; print(Bubblewrap().binary)"
    done = in_a_container(image, code, *CONTAINER_FLAGS)
    assert done.returncode == 0, done.stderr
    assert "bwrap" in done.stdout
