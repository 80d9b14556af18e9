"""One candidate from first frame to last, driven and timed by the parent."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from evolver.core import Completed, Failed, FailureKind, Job, Progress
from evolver.execute.asked import Asked, BadOutput
from evolver.execute.frames import Frame
from evolver.execute.machine import inside
from evolver.execute.text import harmless, shortened
from evolver.execute.worker import DeadlinePassed, Ended, Worker

Watch = Callable[[Progress], bool]

FIT_SHARE = 0.75  # of the seconds; the rest is for scoring and for stopping
LATENCY_SHARE = 0.03  # of the seconds, at most, go to asking for single users
LATENCY_ROWS = 50
LATENCY_UNCOUNTED = 3  # the first requests pay for lazy set-up
ONNX_SECONDS = 600.0
MOST_PROGRESS = 2000
MOST_WEIGHTS = 2 << 30
MOST_REASON = 3000
MOST_OBSERVED = 16
MOST_NAME = 40
CLAIMABLE: tuple[FailureKind, ...] = ("contract", "crash", "memory", "invalid_output")


@dataclass(slots=True)
class Session:
    """What is known of one job while it runs."""

    worker: Worker
    job: Job
    queries: Asked
    watch: Watch | None
    started: float
    stopping: bool = False
    reports: list[Progress] = field(default_factory=list)
    doing: str = "fit"
    claimed_peak: int = 0
    """What the runner says it used; counts only where its processes cannot be seen from here."""

    @property
    def hard(self) -> float:
        return self.started + self.job.limits.seconds

    @property
    def soft(self) -> float:
        return self.started + self.job.limits.seconds * FIT_SHARE


def serve(worker: Worker, job: Job, queries: Asked, watch: Watch | None) -> Completed | Failed:
    """Train and ask; whatever the candidate does, this returns soon after its deadline."""
    session = Session(worker, job, queries, watch, time.monotonic())
    try:
        return _serve(session)
    except Ended as end:
        return end.failed
    except BadOutput as error:
        return Failed(kind="invalid_output", reason=str(error))
    except DeadlinePassed:
        return _too_late(session)


def _serve(session: Session) -> Completed:
    job, worker = session.job, session.worker
    fitted = _fit(session)
    fit_seconds = time.monotonic() - session.started
    weights = _checked_weights(fitted.payload) if job.want_weights else None
    rows = np.arange(len(session.queries)) if job.served is None else job.served
    session.doing = "a single request"
    latency = _latency(session, rows)
    session.doing = "scoring"
    answers, score_seconds = _ask_all(session, rows)
    probed = None if job.probe is None else _ask_all(session, rows[job.probe])[0]
    onnx = _onnx(session) if job.want_onnx else None
    worker.look()
    return Completed(
        answers=answers,
        fit_seconds=fit_seconds,
        score_seconds=score_seconds,
        latency_ms=latency,
        parameters=_count(fitted),
        peak_bytes=worker.peak_bytes or session.claimed_peak,
        progress=tuple(session.reports),
        weights=weights,
        probed=probed,
        observed=_observed(fitted),
        onnx=onnx,
    )


def _fit(session: Session) -> Frame:
    """Wait for the trained model; at the soft deadline ask it to stop."""
    job = session.job
    session.worker.send(
        {
            "type": "fit",
            "values": dict(job.candidate.values),
            "seed": job.seed,
            "seconds": job.limits.seconds * FIT_SHARE,
            "threads": job.limits.threads,
            "device": inside(job.device),
            "want_weights": job.want_weights,
            "ablate": job.ablate,
        },
        job.candidate.source.encode("utf-8", errors="surrogatepass"),
    )
    most = min(MOST_WEIGHTS, job.limits.memory_bytes) if job.want_weights else 0
    while True:
        until = session.hard if session.stopping else session.soft
        try:
            frame = session.worker.wait(until=until, most_payload=most)
        except DeadlinePassed:
            if session.stopping:
                raise
            _stop(session)
            continue
        if frame.kind == "progress":
            _report(session, frame)
        elif frame.kind == "fitted":
            return frame
        else:
            raise Ended(_claimed(frame))


def _stop(session: Session) -> None:
    session.stopping = True
    session.worker.send({"type": "stop"})


def _report(session: Session, frame: Frame) -> None:
    step, loss = frame.header.get("step"), frame.header.get("loss")
    report = Progress(
        step=step if type(step) is int and abs(step) < 2**62 else 0,
        loss=float(loss) if type(loss) in (int, float) and math.isfinite(loss) else None,  # type: ignore[arg-type]
        seconds=time.monotonic() - session.started,
    )
    if len(session.reports) < MOST_PROGRESS:
        session.reports.append(report)
    if session.watch and not session.stopping and not session.watch(report):
        _stop(session)


def _latency(session: Session, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Milliseconds of requests for one user or row each, spread evenly over those asked for."""
    if not len(rows):
        return np.zeros(0)
    picks = rows[np.linspace(0, len(rows) - 1, LATENCY_ROWS + LATENCY_UNCOUNTED).astype(np.int64)]
    until = time.monotonic() + LATENCY_SHARE * session.job.limits.seconds
    times = []
    for row in picks:
        before = time.monotonic()
        block = session.queries.block(np.array([row]))
        block.checked(_ask(session, block), session.job.k)
        times.append((time.monotonic() - before) * 1000)
        if time.monotonic() > until:
            break
    return np.array(times[LATENCY_UNCOUNTED:] or times[-1:])


def _ask_all(session: Session, rows: NDArray[np.int64]) -> tuple[NDArray[Any], float]:
    """The answers for all rows, in blocks, and the seconds that waiting for them took."""
    k, step = session.job.k, session.queries.block_rows
    answers = session.queries.blank(len(rows), k)
    seconds = 0.0
    for start in range(0, len(rows), step):
        block = session.queries.block(rows[start : start + step])
        before = time.monotonic()
        payload = _ask(session, block)
        seconds += time.monotonic() - before
        answers[start : start + step] = block.checked(payload, k)
    return answers, seconds


def _ask(session: Session, block: Asked) -> bytes:
    session.worker.send(*block.request(session.job.k))
    most = block.most_bytes(session.job.k)
    frame = session.worker.wait(until=session.hard, most_payload=most)
    if frame.kind != block.reply:
        raise Ended(_claimed(frame))
    claimed = frame.header.get("peak_bytes")
    if type(claimed) is int and 0 <= claimed < 2**50:
        session.claimed_peak = max(session.claimed_peak, claimed)
    return frame.payload


def _onnx(session: Session) -> bytes:
    """The graph of the model's scorer. Making it takes the machine's time, not the candidate's."""
    session.doing = "making an ONNX graph"
    session.worker.send({"type": "onnx"})
    most = min(MOST_WEIGHTS, session.job.limits.memory_bytes)
    frame = session.worker.wait(until=time.monotonic() + ONNX_SECONDS, most_payload=most)
    if frame.kind != "onnx":
        raise Ended(_claimed(frame))
    return frame.payload


def _claimed(frame: Frame) -> Failed:
    """A failure as the runner reports it. It can only speak against its own candidate."""
    kind, reason = frame.header.get("kind"), frame.header.get("reason")
    if frame.kind != "failed" or kind not in CLAIMABLE or not isinstance(reason, str):
        return Failed(kind="invalid_output", reason="it sent a reply that was not asked for")
    return Failed(kind=kind, reason=shortened(harmless(reason), MOST_REASON))


def _count(fitted: Frame) -> int:
    count = fitted.header.get("parameters")
    if type(count) is not int or not 0 <= count < 2**53:
        raise BadOutput("it sent a number of parameters that is none")
    return count


def _observed(fitted: Frame) -> dict[str, float]:
    """What the model says of itself: a claim, so names are made harmless and numbers finite."""
    found = fitted.header.get("observed", {})
    if not isinstance(found, dict) or len(found) > MOST_OBSERVED:
        raise BadOutput(f"it observed what is not {MOST_OBSERVED} named numbers at most")
    kept: dict[str, float] = {}
    for name, value in found.items():
        if type(value) not in (int, float) or not abs(value) < 2**62:  # no NaN, nothing endless
            raise BadOutput("it observed what is not a finite number")
        kept[shortened(harmless(name), MOST_NAME)] = float(value)
    return kept


def _checked_weights(payload: bytes) -> bytes:
    """Safetensors that load here: header, types, shapes and sizes agree."""
    try:
        safetensors.numpy.load(payload)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise BadOutput(f"its weights are not safetensors: {error}") from None
    return payload


def _too_late(session: Session) -> Failed:
    limit = session.job.limits.seconds
    told = f"budget.seconds was {limit * FIT_SHARE:.3g}"
    after = f" after {len(session.reports)} reports of progress" if session.reports else ""
    return Failed(
        kind="timeout",
        reason=f"killed at its limit of {limit:.3g} s, during {session.doing}{after} ({told})",
    )
