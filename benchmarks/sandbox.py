"""What a sandbox costs: seconds beyond fit and scoring, and candidates an hour.

    python benchmarks/sandbox.py [--rounds 7] [--seconds 20] [--write]

Warm: a spare worker was ready. Cold: none was. Beside it, what a bare `python -c "import torch"`
costs, which is what a sandbox without warm workers pays for every candidate. All are measured in
turn, round by round, so that a busy machine is as busy for each; compare the ratios. --write puts
the table into docs/security.md. The Docker sandbox is left out where no engine answers; name a
base image that is here already in EVOLVER_TEST_DOCKER_BASE.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from evolver.core import Completed, Execution, Limits
from evolver.errors import SandboxUnavailable
from evolver.execute.choose import choose
from evolver.execute.machine import cores
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.testing_sandbox import POPULAR, small_job, small_model, write_small_view

LIMITS = Limits(seconds=60, memory_bytes=4 << 30, threads=1)
BAR_SECONDS = 0.15
BASE = os.environ.get("EVOLVER_TEST_DOCKER_BASE")  # a base image that is here already
ONE_SECOND = "end = time.perf_counter() + 1\nwhile time.perf_counter() < end: pass"
NAMES = ("bubblewrap", "docker", "unconfined")
BARE = "bare subprocess"
MARKS = "<!-- begin sandbox costs -->", "<!-- end sandbox costs -->"


def overhead(execution: Execution) -> float:
    """Seconds that were neither training nor answering."""
    outcome = execution.outcome
    if not isinstance(outcome, Completed):
        raise SystemExit(f"the candidate failed: {outcome}")
    own = outcome.fit_seconds + outcome.score_seconds + outcome.latency_ms.sum() / 1000
    return execution.seconds - own


def opened(name: str, view: Path, workers: int, *, warm: bool) -> PooledSandbox:
    spec = make_spec(view, LIMITS, "cpu") if warm else None
    return PooledSandbox(choose(name, BASE), workers=workers, warm=spec)


def cold(name: str, view: Path) -> float:
    with opened(name, view, 1, warm=False) as box:
        return overhead(box.run(small_job(view, POPULAR, limits=LIMITS)))


def bare() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - started


def overheads(names: list[str], view: Path, rounds: int) -> dict[tuple[str, str], list[float]]:
    """Seconds by (name, "warm" or "cold"), one of each a round."""
    times: dict[tuple[str, str], list[float]] = {}

    def note(name: str, kind: str, seconds: float) -> float:
        times.setdefault((name, kind), []).append(seconds)
        return seconds

    with contextlib.ExitStack() as stack:
        boxes = {name: stack.enter_context(opened(name, view, 1, warm=True)) for name in names}
        for _ in range(rounds):
            imported = note(BARE, "cold", bare())
            for name in names:
                note(name, "cold", cold(name, view))
            time.sleep(3 * imported)  # spares import torch too
            for name, box in boxes.items():
                job = small_job(view, POPULAR, limits=LIMITS)
                note(name, "warm", overhead(box.run(job)))
                time.sleep(3 * imported)
    return times


def an_hour(once: Callable[[], object], seconds: float) -> float:
    """How often an hour, one at a time on each core."""
    done: list[float] = []
    started = time.monotonic()

    def run() -> None:
        while time.monotonic() < started + seconds:
            once()
            done.append(time.monotonic() - started)

    threads = [threading.Thread(target=run) for _ in range(cores())]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 3600 * len(done) / max(done)


def sandboxed_an_hour(name: str, view: Path, seconds: float) -> float:
    job = small_job(view, small_model(fit=ONE_SECOND), limits=LIMITS)
    with opened(name, view, cores(), warm=True) as box:
        return an_hour(lambda: overhead(box.run(job)), seconds)


def bare_an_hour(seconds: float) -> float:
    source = f"import time, torch\n{ONE_SECOND}"
    return an_hour(lambda: subprocess.run([sys.executable, "-c", source], check=True), seconds)


def table(
    names: list[str], times: dict[tuple[str, str], list[float]], hourly: dict[str, list[float]]
) -> str:
    """Markdown; every ratio is to the bare subprocess of the same run."""
    unit, often = statistics.median(times[BARE, "cold"]), statistics.mean(hourly[BARE])
    lines = [
        "| | warm s | of bare | worst warm s | cold s | of bare | 1-s candidates/h | of bare |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in (BARE, *names):
        cells = [name]
        if (name, "warm") in times:
            median, worst = statistics.median(times[name, "warm"]), max(times[name, "warm"])
            cells += [f"{median:.3f}", f"{median / unit:.3f}", f"{worst:.3f}"]
        else:
            cells += [""] * 3
        slow, rate = statistics.median(times[name, "cold"]), statistics.mean(hourly[name])
        cells += [f"{slow:.2f}", f"{slow / unit:.2f}", f"{rate:.0f}", f"{rate / often:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    worst = max(statistics.median(times[name, "warm"]) for name in names)
    verdict = "met by all" if worst < BAR_SECONDS else "missed"
    load = os.getloadavg()[0]
    lines += [
        "",
        f"{cores()} cores, a load of {load:.1f}, {len(times[BARE, 'cold'])} rounds. Seconds are "
        "beyond fit and scoring; for the bare subprocess, those of `import torch`. Bar: a warm "
        f"median under {BAR_SECONDS} s: {verdict}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    names = []
    for name in NAMES:
        try:
            choose(name, BASE).close()
            names.append(name)
        except SandboxUnavailable as error:
            print(f"{name}: left out, {error}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        view = write_small_view(Path(folder))
        times = overheads(names, view, given.rounds)
        hourly: dict[str, list[float]] = {}
        for _ in range(2):  # halves, apart in time
            hourly.setdefault(BARE, []).append(bare_an_hour(given.seconds / 2))
            for name in names:
                rate = sandboxed_an_hour(name, view, given.seconds / 2)
                hourly.setdefault(name, []).append(rate)
    whole = table(names, times, hourly)
    print(whole)
    if given.write:
        page = Path(__file__).parents[1] / "docs" / "security.md"
        text = page.read_text(encoding="utf-8")
        before, rest = text.split(MARKS[0])
        after = rest.split(MARKS[1])[1]
        page.write_text(f"{before}{MARKS[0]}\n{whole}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
