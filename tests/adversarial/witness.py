"""Sees what candidates cannot hide: all processes of a sandbox, and how the parent gets on."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evolver.execute.process import Launcher, Process, Spec
from evolver.execute.unconfined import MARK
from evolver.execute.usage import tree


class Witness:
    """A launcher that knows all processes of the worker that was used last, whatever they are
    called, wherever they moved: by their namespace, which they cannot leave, and without walls by
    the mark in their environment, which they get at their birth."""

    def __init__(self, inner: Launcher) -> None:
        self.name = inner.name
        self._inner = inner
        self._sign: tuple[str, str] | None = None
        self._held: int | None = None

    def launch(self, spec: Spec) -> Process:
        seen: Any = Seen(self._inner.launch(spec), self)
        return seen

    def close(self) -> None:
        self._let_go()
        self._inner.close()

    def note(self, pid: int) -> None:
        """The worker of this process is the one that is used."""
        self._let_go()
        deepest = tree(pid)[-1]
        place = Path(f"/proc/{deepest}/ns/pid")
        space = str(place.readlink())
        if space != str(Path("/proc/self/ns/pid").readlink()):
            self._sign = "ns/pid", space
            # While it is open, its number is not given to the sandbox that is started next.
            self._held = os.open(place, os.O_RDONLY)
            return
        words = Path(f"/proc/{deepest}/environ").read_text().split("\0")
        self._sign = "environ", next(word for word in words if word.startswith(f"{MARK}="))

    def alive(self) -> list[str]:
        """Its processes that still live."""
        assert self._sign is not None, "no worker was used"
        return [str(place) for place in Path("/proc").glob("[0-9]*") if self._is_one(place)]

    def left(self, seconds: float) -> list[str]:
        """What still lives so many seconds from now, or nothing as soon as nothing does."""
        until = time.monotonic() + seconds
        while (found := self.alive()) and time.monotonic() < until:
            time.sleep(0.01)
        return found

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _is_one(self, place: Path) -> bool:
        what, sign = self._sign or ("", "")
        with contextlib.suppress(OSError):
            if "\nState:\tZ" in (place / "status").read_text():
                return False
            if what == "ns/pid":
                return str((place / what).readlink()) == sign
            return sign.encode() in (place / what).read_bytes().split(b"\0")
        return False


class Seen:
    """A worker's process that tells the witness when it is first written to: then it is used."""

    def __init__(self, process: Any, witness: Witness) -> None:
        self._process = process
        self._witness = witness
        self._told = False

    def write(self, data: memoryview) -> int:
        if not self._told:
            self._told = True
            pid = getattr(self._process, "pid", None) or self._process._pid
            self._witness.note(pid)
        return self._process.write(data)  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._process, name)


def slowness() -> float:
    """How many times longer work takes here now than on a processor of its own; 1 or more."""
    started, worked = time.monotonic(), time.process_time()
    while time.process_time() < worked + 0.1:
        pass
    return max(1.0, (time.monotonic() - started) / 0.1)


@dataclass
class Heartbeat:
    """Work of the parent that wants to be done every hundredth of a second."""

    beats: list[float] = field(default_factory=list)

    @property
    def longest_pause(self) -> float:
        """Seconds between two beats, at most."""
        return max(b - a for a, b in zip(self.beats, self.beats[1:], strict=False))


@contextmanager
def heartbeat(folder: Path) -> Iterator[Heartbeat]:
    """Takes memory, writes a file and starts nothing, again and again, until the block ends."""
    found, over = Heartbeat(), threading.Event()

    def beat() -> None:
        while not over.wait(0.01):
            (folder / "beat").write_bytes(bytearray(1 << 16))
            found.beats.append(time.monotonic())

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()
