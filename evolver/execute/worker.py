"""The parent's side of one worker: waits for frames, and meanwhile watches clock and memory."""

from __future__ import annotations

import contextlib
import selectors
import time
from typing import Any

from evolver.core import Failed
from evolver.execute.frames import BadFrame, Decoder, Frame, encode
from evolver.execute.process import Process, Spec, Stream
from evolver.execute.text import Capture

TICK_SECONDS = 0.05
MOST_OUTPUT = 16 << 20
WRITE_BYTES = 1 << 20


class Ended(Exception):  # noqa: N818 - how a job is told, not a fault of ours
    """The job is over, and why."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.reason)
        self.failed = failed


class DeadlinePassed(Exception):  # noqa: N818
    """Nothing came in time."""


class Worker:
    """Sends frames without ever blocking on a worker that does not read."""

    def __init__(self, process: Process, spec: Spec) -> None:
        self.spec = spec
        self.stdout, self.stderr = Capture(), Capture()
        self.peak_bytes = 0
        self._process = process
        self._decoder = Decoder()
        self._unsent = bytearray()
        self._gone = False
        self._next_look = 0.0
        self._select = selectors.DefaultSelector()
        self._reading = set(process.readable())
        for descriptor in self._reading:
            self._select.register(descriptor, selectors.EVENT_READ)

    def send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        self._unsent += encode(header, payload)
        self._write()

    def wait(self, *, until: float, most_payload: int = 0) -> Frame:
        """The next frame. Raises DeadlinePassed at `until` (monotonic seconds), Ended when the
        worker died or went over a limit."""
        while True:
            try:
                frame = self._decoder.next(most_payload)
            except BadFrame as error:
                raise Ended(Failed(kind="invalid_output", reason=f"it sent {error}")) from None
            if frame is not None:
                return frame
            if self._gone:
                raise Ended(self._why_it_ended())
            left = until - time.monotonic()
            if left <= 0:
                raise DeadlinePassed
            self._exchange(min(left, TICK_SECONDS))
            if time.monotonic() >= self._next_look:
                before = time.monotonic()
                self.look()
                took = time.monotonic() - before  # long when there are many processes
                self._next_look = before + max(TICK_SECONDS, 10 * took)

    def look(self) -> None:
        """Note what is used now. Raises Ended where that is more than allowed."""
        usage = self._process.usage()
        self.peak_bytes = max(self.peak_bytes, usage.peak_bytes)
        if usage.out_of_memory:
            raise Ended(self._over_memory())
        if usage.processes > self.spec.processes:
            raise Ended(Failed(kind="crash", reason=f"it had over {self.spec.processes} processes"))

    def terminate(self) -> None:
        """Kill it from another thread; the owner sees it end."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill it and take in what it printed last. Safe to call twice."""
        self._process.terminate()
        with contextlib.suppress(Ended):
            for descriptor in tuple(self._reading):
                self._read(descriptor)
        self._reading.clear()
        self._select.close()

    def close(self) -> None:
        """Wait until it is gone, after `kill`: its memory takes a while to be given back."""
        self._process.close()

    def _exchange(self, seconds: float) -> None:
        """Write and read what can be written and read within that time."""
        for key, events in self._select.select(seconds):
            if events & selectors.EVENT_WRITE:
                self._write()
            if events & selectors.EVENT_READ:
                self._read(key.fd)
        if self._gone:
            for descriptor in tuple(self._reading):
                while self._read(descriptor):
                    pass

    def _read(self, descriptor: int) -> bool:
        """Take in what is there and say whether there was anything."""
        parts = self._process.read(descriptor)
        for stream, data in parts:
            if not data:
                self._reading.discard(descriptor)
                self._select.unregister(descriptor)
                self._gone |= stream == "protocol"
                return False
            if stream == "protocol":
                self._decoder.feed(data)
            else:
                self._keep(stream, data)
        return bool(parts)

    def _keep(self, stream: Stream, data: bytes) -> None:
        (self.stdout if stream == "stdout" else self.stderr).feed(data)
        if self.stdout.total + self.stderr.total > MOST_OUTPUT:
            raise Ended(Failed(kind="crash", reason=f"it printed over {MOST_OUTPUT >> 20} MiB"))

    def _write(self) -> None:
        """Write what fits; ask to be told when more does."""
        descriptor = self._process.writable
        while self._unsent:
            with memoryview(self._unsent) as data:
                try:
                    written = self._process.write(data[:WRITE_BYTES])
                except BrokenPipeError:
                    written = len(data)  # it is gone, as reading will tell
            if not written:
                break
            del self._unsent[:written]
        events = selectors.EVENT_WRITE if self._unsent else 0
        events |= selectors.EVENT_READ if descriptor in self._reading else 0
        if descriptor in self._select.get_map():
            self._select.unregister(descriptor)
        if events:
            self._select.register(descriptor, events)

    def _why_it_ended(self) -> Failed:
        """Name the end of a process that ended without an answer."""
        patience = time.monotonic() + 1.0
        while (how := self._process.ended()) is None and time.monotonic() < patience:
            time.sleep(0.005)
        if self._process.usage().out_of_memory:
            return self._over_memory()
        if how is None:
            return Failed(kind="crash", reason="it closed its connection without an answer")
        last = self.stderr.text().strip()[-500:]
        note = f"; its last words were:\n{last}" if last else ""
        return Failed(kind="crash", reason=f"its process ended by itself ({how}){note}")

    def _over_memory(self) -> Failed:
        size = self.spec.memory_bytes / (1 << 30)
        return Failed(kind="memory", reason=f"it used more than the {size:.3g} GiB it may use")
