"""Hostile candidates: each attacks one promise and is contained, named, and forgotten.

A file in candidates/ says in its docstring what it does, which promise it attacks and how it must
end. `Unconfined: escapes` says that without walls the attack works, which shows that the walls
are what stops it; `Unconfined: same` says that it is stopped even so.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from evolver.core import Completed, Execution, Failed, Job, Limits
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.execute.process import Launcher
from evolver.testing_sandbox import completed, small_job, write_small_view
from tests.adversarial.witness import Witness, heartbeat, slowness

CANDIDATES = sorted((Path(__file__).parent / "candidates").glob("*.py"))
LIMITS = Limits(seconds=5, memory_bytes=512 << 20, threads=1, scratch_bytes=32 << 20, processes=48)
TOKEN = "f1a9c37e", "5b0d8e62"  # whole only in the parent, never in a candidate's source
WALLS = ("bubblewrap", "docker")
KILL_SECONDS = 1.0
"""So long after its deadline everything must be dead."""
ALLOWANCE = 3.0
"""Seconds on top of that on a free processor, as tests run side by side; more on a busy one."""
PAUSE_SECONDS = 1.0
"""A parent that cannot work for longer is not responsive, on a free processor."""

# For workers as they are in a run, with torch in memory, one after the other in one pool. The last
# looks for what the one before did to torch and numpy.
WARM = (
    *("labels_by_path", "ignore_signals", "fork_bomb", "memory_by_tensor", "ptrace"),
    *("contract_in_memory", "contract_in_memory_again"),
)

# Lent to files that define `attack` only: an honest model around it.
MODEL = """

def escaped(what):
    import sys

    print("ESCAPED", what, file=sys.stderr, flush=True)


if "Model" not in globals():

    class Model:
        def __init__(self, params):
            pass

        def fit(self, train, budget):
            yield 0, None  # for the clock of the parent
            attack(train, budget)

        def score(self, users):
            if "bad_score" in globals():
                return bad_score(users)
            return [[0.0] * users.n_items] * len(users)

        def state(self):
            return bad_state() if "bad_state" in globals() else {}

        def load(self, state):
            pass
"""


@dataclass(frozen=True)
class Attack:
    """One file, as its docstring tells it."""

    name: str
    source: str
    expect: tuple[str, ...]
    words: str
    unconfined: str
    seconds: float
    promise: str


def read(path: Path) -> Attack:
    source = path.read_text()
    told = ast.get_docstring(ast.parse(source)) or ""
    fields = dict(
        line.split(": ", 1) for line in told.splitlines() if re.match(r"[A-Z]\w+: ", line)
    )
    assert {"Promise", "Expect"} <= set(fields), f"{path.name} does not say what it attacks"
    expect = tuple(fields["Expect"].split(" or "))
    # Workers here are light: who needs torch must import it within its own time. Who will be
    # stopped for its memory gets time for that on a busy machine.
    patient = "import torch" in source or expect == ("memory",)
    return Attack(
        name=path.stem,
        source=source,
        expect=expect,
        words=fields.get("Words", ""),
        unconfined=fields.get("Unconfined", ""),
        seconds=float(fields.get("Seconds", 60 if patient else LIMITS.seconds)),
        promise=fields["Promise"],
    )


ATTACKS = [read(path) for path in CANDIDATES]


@dataclass
class Host:
    """What there is to steal, to change and to reach on the host."""

    folder: Path
    view: Path
    servers: list[socket.socket] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)

    def contacts(self) -> int:
        """How often somebody connected or sent a datagram since last asked."""
        count = 0
        for server in self.servers:
            with contextlib.suppress(BlockingIOError):
                while True:
                    if server.type == socket.SOCK_DGRAM:
                        server.recv(100)
                    else:
                        server.accept()[0].close()
                    count += 1
        return count

    def fill(self, source: str) -> str:
        for name, value in self.values.items():
            source = source.replace(f"@{name}@", value)
        return source


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("host")
    view = write_small_view(folder / "run" / "view")
    (view / "labels.npy").write_bytes(b"the held-out part")  # even if a task were so careless
    (folder / "home").mkdir()
    (folder / "home" / "id_ed25519").write_text("".join(TOKEN))
    (folder / "archive.sqlite").touch()
    canary = folder / "canary"
    canary.mkdir()
    canary.chmod(0o777)
    shared = Path(f"/dev/shm/evolver-test-{os.getpid()}")
    shared.write_text("shared")
    tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
    unix, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    tcp.bind(("127.0.0.1", 0))
    udp.bind(("127.0.0.1", 0))
    unix.bind(str(folder / "socket"))
    abstract.bind(f"\0evolver-test-{os.getpid()}")
    for server in (tcp, unix, abstract):
        server.listen()
    made = Host(folder, view, [tcp, udp, unix, abstract])
    for server in made.servers:
        server.setblocking(False)
    made.values = {
        "LABELS": str(view / "labels.npy"),
        "HOME_SECRET": str(folder / "home" / "id_ed25519"),
        "ARCHIVE": str(folder / "archive.sqlite"),
        "CANARY": str(canary),
        "RUN": str(folder),
        "TCP": str(tcp.getsockname()[1]),
        "UDP": str(udp.getsockname()[1]),
        "UNIX": str(folder / "socket"),
        "ABSTRACT": f"evolver-test-{os.getpid()}",
        "TOKEN_A": TOKEN[0],
        "TOKEN_B": TOKEN[1],
        "PARENT": str(os.getpid()),
    }
    yield made
    shared.unlink()
    for server in made.servers:
        server.close()


@dataclass
class Box:
    """A sandbox, and who sees all that lives in it."""

    sandbox: PooledSandbox
    witness: Witness
    slowness: float

    def run(self, job: Job) -> Execution:
        """Run a candidate; nothing of it lives a second after its end, or after its deadline."""
        first_seen: list[float] = []
        execution = self.sandbox.run(job, lambda _: first_seen.append(time.monotonic()) is None)
        patience = KILL_SECONDS + ALLOWANCE * self.slowness
        assert not self.witness.left(seconds=patience)
        if first_seen:
            assert time.monotonic() - first_seen[0] < job.limits.seconds + patience
        return execution


@contextlib.contextmanager
def boxed(chosen: Launcher, view: Path, *, light: bool = True) -> Iterator[Box]:
    witness = Witness(chosen)
    limits = LIMITS if light else dataclasses.replace(LIMITS, memory_bytes=1 << 30)
    warm = make_spec(view, limits, "cpu")
    with PooledSandbox(witness, workers=1, warm=warm, light=light) as sandbox:
        yield Box(sandbox, witness, slowness())


@pytest.fixture(scope="module")
def box(
    request: pytest.FixtureRequest, host: Host, launcher: Callable[[str], Launcher]
) -> Iterator[Box]:
    with boxed(launcher(request.param), host.view) as made:
        yield made


def job(host: Host, attack: Attack) -> Job:
    limits = dataclasses.replace(LIMITS, seconds=attack.seconds)
    source = host.fill(attack.source) + MODEL
    return small_job(host.view, source, limits=limits, want_weights="weights" in attack.name)


def ended_as(execution: Execution) -> str:
    outcome = execution.outcome
    return outcome.kind if isinstance(outcome, Failed) else "completed"


@pytest.mark.parametrize("box", WALLS, indirect=True, scope="module")
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_is_contained(box: Box, host: Host, attack: Attack, tmp_path: Path) -> None:
    with heartbeat(tmp_path) as parent:
        execution = box.run(job(host, attack))
    check_contained(execution, attack, host)
    if "responsive" in attack.promise:
        assert parent.longest_pause < PAUSE_SECONDS * box.slowness


def check_contained(execution: Execution, attack: Attack, host: Host) -> None:
    text = f"{execution.outcome}\n{execution.stdout}\n{execution.stderr}"
    assert "ESCAPED" not in text, text
    check_end(execution, attack)
    assert not list((host.folder / "canary").iterdir())
    assert host.contacts() == 0


@pytest.mark.parametrize("wall", WALLS)
def test_workers_of_a_run_contain_as_well(
    wall: str, host: Host, launcher: Callable[[str], Launcher]
) -> None:
    by_name = {attack.name: attack for attack in ATTACKS}
    with boxed(launcher(wall), host.view, light=False) as box:
        for name in WARM:
            attack = by_name[name]
            wanted = job(host, attack)
            limits = dataclasses.replace(wanted.limits, memory_bytes=1 << 30)
            execution = box.run(dataclasses.replace(wanted, limits=limits))
            check_contained(execution, attack, host)


def test_the_security_page_names_every_attack() -> None:
    """One line a promise with the tests that hold it: none is missing, none is made up."""
    page = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    table = page.split("## Promises")[1].split("## ")[0]
    named = re.findall(r"`(\w+)`", table.replace("`memory` |", "|").replace("| `fit` ", "| "))
    attacks = [name for name in named if not name.startswith("test_")]
    assert sorted(attacks) == sorted(attack.name for attack in ATTACKS)
    assert all(name in globals() for name in named if name.startswith("test_"))


ON_TRUST = [attack for attack in ATTACKS if attack.unconfined == "same"]
NEEDS_WALLS = [attack for attack in ATTACKS if attack.unconfined == "escapes"]


@pytest.mark.parametrize("box", ["unconfined"], indirect=True, scope="module")
@pytest.mark.parametrize("attack", ON_TRUST, ids=lambda attack: attack.name)
def test_is_stopped_without_walls(box: Box, host: Host, attack: Attack) -> None:
    execution = box.run(job(host, attack))
    check_end(execution, attack)
    assert not list((host.folder / "canary").iterdir())


@pytest.mark.parametrize("box", ["unconfined"], indirect=True, scope="module")
@pytest.mark.parametrize("attack", NEEDS_WALLS, ids=lambda attack: attack.name)
def test_needs_walls(box: Box, host: Host, attack: Attack) -> None:
    """What walls stop does work without them, so these tests cannot pass by a broken attack."""
    execution = box.sandbox.run(job(host, attack))
    assert "ESCAPED" in execution.stderr, execution
    host.contacts()
    (host.folder / "canary" / "evil").unlink(missing_ok=True)


def check_end(execution: Execution, attack: Attack) -> None:
    text = f"{execution.outcome}\n{execution.stdout}\n{execution.stderr}"
    assert ended_as(execution) in attack.expect, text[:5000]
    outcome = execution.outcome
    if isinstance(outcome, Failed):
        assert attack.words in outcome.reason
        assert 0 < len(outcome.reason) < 4000
    for shown in (execution.stdout, execution.stderr, str(outcome)):
        assert all(char.isprintable() or char in "\n\t" for char in shown)
        assert len(shown) < 200_000


@pytest.mark.parametrize("box", [*WALLS, "unconfined"], indirect=True, scope="module")
def test_the_run_goes_on(box: Box, host: Host) -> None:
    """After all that, an honest candidate gets what it deserves, on the parent's clock."""
    started = time.monotonic()
    outcome = completed(box.run(small_job(host.view, limits=LIMITS)))
    assert isinstance(outcome, Completed)
    assert 0 < outcome.fit_seconds + outcome.score_seconds < time.monotonic() - started


def test_clocks_of_candidates_do_not_count(host: Host, launcher: Callable[[str], Launcher]) -> None:
    attack = next(one for one in ATTACKS if one.name == "stopped_clock")
    with PooledSandbox(launcher("unconfined"), workers=1, light=True) as sandbox:
        assert completed(sandbox.run(job(host, attack))).fit_seconds > 0.3
