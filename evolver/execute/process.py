"""One started worker as the parent holds it: pipes, a way to kill the tree, what it uses."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from evolver.execute.usage import Usage

Stream = Literal["protocol", "stdout", "stderr"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a worker is started for. A spare serves any job with an equal spec."""

    view: Path
    threads: int
    device: str
    memory_bytes: int
    scratch_bytes: int
    processes: int
    warm: bool = True
    """Whether torch is imported before a job comes; without, a worker is there sooner."""


class Process(Protocol):
    """A worker that was started; owned by one thread at a time."""

    def readable(self) -> dict[int, Stream]:
        """Descriptors to read, and the one of them that says that it ended (as "protocol")."""
        ...

    def read(self, descriptor: int) -> list[tuple[Stream, bytes]]:
        """What is there now; empty bytes mean that the stream ended."""
        ...

    def write(self, data: memoryview) -> int:
        """Write what fits now and say how much that was. Raises BrokenPipeError."""
        ...

    @property
    def writable(self) -> int:
        """The descriptor to wait on when nothing more fits."""
        ...

    def ended(self) -> str | None:
        """How it ended ("exit code 3", "killed by SIGSEGV"), or None while it runs."""
        ...

    def usage(self) -> Usage:
        """What the whole tree uses now."""
        ...

    def terminate(self) -> None:
        """Send the whole tree the signal that cannot be ignored, without waiting for its death.
        Safe to call twice, and from another thread than the owner's."""
        ...

    def close(self) -> None:
        """Wait until it is gone and free all that is held for it. Safe to call twice."""
        ...


class Launcher(Protocol):
    """Starts workers behind one kind of wall."""

    name: str

    def launch(self, spec: Spec) -> Process:
        """Start a worker, without waiting for it to get warm. Raises SandboxUnavailable."""
        ...

    def close(self) -> None: ...


def how_it_ended(code: int) -> str:
    """An exit code in words. Above 128 it is a signal, as shells and init programs pass it on."""
    number = code - 128 if code > 128 else -code
    with contextlib.suppress(ValueError):
        if number > 0:
            return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


class PipedProcess:
    """A child process with four pipes: protocol in and out, standard output and error."""

    def __init__(
        self,
        arguments: list[str],
        *,
        environment: dict[str, str],
        passed: tuple[int, ...] = (),
        usage: Callable[[int], Usage],
        kill_tree: Callable[[int], None],
        on_close: Callable[[], None] = lambda: None,
    ) -> None:
        stdout_read, stdout_write = os.pipe()
        try:
            self._popen = subprocess.Popen(
                [one.replace("{stdout}", str(stdout_write)) for one in arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=(stdout_write, *passed),
                bufsize=0,
                cwd="/",
                start_new_session=True,  # a Ctrl-C at the terminal is ours alone
            )
        except BaseException:
            os.close(stdout_read)
            raise
        finally:
            os.close(stdout_write)
        pipes = self._popen.stdin, self._popen.stdout, self._popen.stderr
        self._pipes = [pipe for pipe in pipes if pipe is not None]
        self._in, protocol, stderr = (pipe.fileno() for pipe in self._pipes)
        self._ending = os.pidfd_open(self._popen.pid)
        self._streams: dict[int, Stream] = {
            protocol: "protocol",
            stdout_read: "stdout",
            stderr: "stderr",
        }
        self._stdout = stdout_read
        self._usage = usage
        self._kill_tree = kill_tree
        self._on_close = on_close
        self._closed = False
        for descriptor in (self._in, *self._streams):
            os.set_blocking(descriptor, False)
        for descriptor in (self._in, protocol):
            with contextlib.suppress(OSError):  # over the user's quota of pipe memory: go slower
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def writable(self) -> int:
        return self._in

    def readable(self) -> dict[int, Stream]:
        return {**self._streams, self._ending: "protocol"}

    def read(self, descriptor: int) -> list[tuple[Stream, bytes]]:
        if descriptor == self._ending:
            return [("protocol", b"")] if self._popen.poll() is not None else []
        stream = self._streams[descriptor]
        try:
            return [(stream, os.read(descriptor, 1 << 18))]
        except BlockingIOError:
            return []

    def write(self, data: memoryview) -> int:
        try:
            return os.write(self._in, data)
        except BlockingIOError:
            return 0

    def ended(self) -> str | None:
        code = self._popen.poll()
        return None if code is None else how_it_ended(code)

    def usage(self) -> Usage:
        return self._usage(self._popen.pid)

    def terminate(self) -> None:
        if self._popen.poll() is None:
            self._kill_tree(self._popen.pid)
            with contextlib.suppress(ProcessLookupError):
                self._popen.kill()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self.terminate()
        self._popen.wait()
        for pipe in self._pipes:
            pipe.close()
        os.close(self._stdout)
        os.close(self._ending)
        self._on_close()
