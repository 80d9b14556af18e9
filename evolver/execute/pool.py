"""Warm, single-use workers: one is getting ready while the one before it trains."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evolver.core import Execution, Failed, Job, Limits, Progress
from evolver.errors import SandboxUnavailable
from evolver.execute.machine import GPUShares
from evolver.execute.process import Launcher, Spec
from evolver.execute.queries import load_queries
from evolver.execute.serve import serve
from evolver.execute.worker import DeadlinePassed, Ended, Worker

logger = logging.getLogger(__name__)

START_SECONDS = 120.0


class PooledSandbox:
    """A `Sandbox` over one launcher. Runs at most `workers` candidates side by side.

    `warm`: what to start spares for now. `light`: workers without torch, for candidates that
    rarely need it, as in tests. `gpus`: over how many GPUs jobs for "cuda" are spread.
    """

    def __init__(
        self,
        launcher: Launcher,
        *,
        workers: int,
        warm: Spec | None = None,
        light: bool = False,
        gpus: int = 1,
    ) -> None:
        self.name = launcher.name
        self._launcher = launcher
        self._workers = workers
        self._places = threading.Semaphore(workers)
        self._lock = threading.Lock()
        self._spares: list[Worker] = []
        self._busy: set[Worker] = set()
        self._closed = False
        # Workers die with the thread that started them, so one thread that stays starts them all.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="evolver-start")
        self._undertaker = ThreadPoolExecutor(1, thread_name_prefix="evolver-bury")
        self._light = light
        self._gpus = GPUShares(gpus)
        if warm is not None:
            for device in self._gpus.devices(warm.device):
                self._keep_warm(self._fitted(warm, device))

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        """Train and query one candidate in a fresh worker. See `evolver.core.Sandbox`."""
        queries = load_queries(job.view)
        if (len(queries), queries.n_items) != (job.queries, job.items):
            raise SandboxUnavailable(
                f"the view {job.view} holds {len(queries)} queries over {queries.n_items} items, "
                f"the job says {job.queries} over {job.items}; write the view again"
            )
        with self._places, self._gpus.lend(job.device) as device:
            started = time.monotonic()
            worker = self._take(self._fitted(spec_of(job), device))
            try:
                outcome = serve(worker, job, queries, watch)
            finally:
                self._release(worker)
            if self._closed and isinstance(outcome, Failed):
                raise SandboxUnavailable("the sandbox was closed while a candidate ran")
        return Execution(
            outcome=outcome,
            seconds=time.monotonic() - started,
            stdout=worker.stdout.text(),
            stderr=worker.stderr.text(),
            sandbox=self.name,
        )

    def close(self) -> None:
        with self._lock:
            self._closed = True
            spares, self._spares = self._spares, []
            busy = list(self._busy)
        for worker in busy:
            worker.terminate()
        for worker in spares:
            self._bury(worker)
        self._starter.shutdown(wait=True)
        self._undertaker.shutdown(wait=True)
        self._launcher.close()

    def __enter__(self) -> PooledSandbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fitted(self, spec: Spec, device: str) -> Spec:
        return dataclasses.replace(spec, device=device, warm=not self._light)

    def _take(self, spec: Spec) -> Worker:
        """A warm worker for this spec, and a replacement for it under way."""
        trouble = ""
        for _ in range(self._workers + 1):  # spares may have died of old age
            worker = self._spare(spec) or self._start(spec)
            with self._lock:
                self._busy.add(worker)
            try:
                frame = worker.wait(until=time.monotonic() + START_SECONDS)
                if frame.kind == "ready":
                    self._keep_warm(spec)
                    return worker
                trouble = f"said {frame.kind!r} first"
            except Ended as end:
                trouble = end.failed.reason
            except DeadlinePassed:
                trouble = f"was not ready after {START_SECONDS:g} s"
            except BaseException:
                self._release(worker)
                raise
            self._release(worker)
            if self._closed:
                break
        raise SandboxUnavailable(f"a {self.name} worker does not start: {trouble}")

    def _spare(self, spec: Spec) -> Worker | None:
        with self._lock:
            for worker in self._spares:
                if worker.spec == spec:
                    self._spares.remove(worker)
                    return worker
        return None

    def _keep_warm(self, spec: Spec) -> None:
        """Start spares for this spec, as many as can be in use; drop spares of others first."""
        most = self._gpus.most(spec.device, self._workers)
        with self._lock:
            if self._closed:
                return
            mine = sum(worker.spec == spec for worker in self._spares)
            dropped = [worker for worker in self._spares if worker.spec != spec]
            dropped = dropped[: max(0, len(self._spares) + 1 - 2 * self._workers)]
            self._spares = [worker for worker in self._spares if worker not in dropped]
        for worker in dropped:
            self._bury(worker)
        for _ in range(most - mine):
            self._starter.submit(self._start_spare, spec, most)

    def _start_spare(self, spec: Spec, most: int) -> None:
        with self._lock:
            wanted = not self._closed and sum(w.spec == spec for w in self._spares) < most
        if not wanted:
            return
        try:
            worker = Worker(self._launcher.launch(spec), spec)
        except (SandboxUnavailable, OSError) as error:
            logger.warning("no spare worker could be started: %s", error)  # the next run will say
            return
        with self._lock:
            if not self._closed:
                self._spares.append(worker)
                return
        self._bury(worker)

    def _start(self, spec: Spec) -> Worker:
        if self._closed:
            raise SandboxUnavailable("the sandbox is closed")
        return self._starter.submit(lambda: Worker(self._launcher.launch(spec), spec)).result()

    def _release(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        self._bury(worker)

    def _bury(self, worker: Worker) -> None:
        """Kill it now; wait for its death where nobody waits for the next candidate."""
        worker.kill()
        try:
            self._undertaker.submit(worker.close)
        except RuntimeError:  # closed meanwhile
            worker.close()


def spec_of(job: Job) -> Spec:
    """What a worker must be started for to serve this job."""
    return make_spec(job.view, job.limits, job.device)


def make_spec(view: Path, limits: Limits, device: str) -> Spec:
    return Spec(
        view=view.resolve(),
        threads=limits.threads,
        device=device,
        memory_bytes=limits.memory_bytes,
        scratch_bytes=limits.scratch_bytes,
        processes=limits.processes,
    )
