"""What a sandbox costs: seconds beyond fit and scoring, and candidates an hour.

    python -m benchmarks.sandbox [--runs 10] [--seconds 20] [--json]

Warm: a spare worker was ready. Cold: none was. Beside it, what a bare `python -c "import torch"`
costs, which is what a sandbox without warm workers pays for every candidate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from evolver.core import Completed, Execution, Limits
from evolver.errors import SandboxUnavailable
from evolver.execute.choose import choose
from evolver.execute.pool import PooledSandbox, make_spec
from evolver.testing_sandbox import POPULAR, small_job, small_model, write_small_view

LIMITS = Limits(seconds=60, memory_bytes=4 << 30, threads=1)
BAR_SECONDS = 0.15
BASE = os.environ.get("EVOLVER_TEST_DOCKER_BASE")  # a base image that is here already
ONE_SECOND = "end = time.perf_counter() + 1\nwhile time.perf_counter() < end: pass"


def overhead(execution: Execution) -> float:
    """Seconds that were neither training nor answering."""
    outcome = execution.outcome
    if not isinstance(outcome, Completed):
        raise SystemExit(f"the candidate failed: {outcome}")
    own = outcome.fit_seconds + outcome.score_seconds + outcome.latency_ms.sum() / 1000
    return execution.seconds - own


def cold(name: str, view: Path, runs: int) -> list[float]:
    times = []
    for _ in range(runs):
        with PooledSandbox(choose(name, BASE), workers=1) as box:
            times.append(overhead(box.run(small_job(view, POPULAR, limits=LIMITS))))
    return times


def warm(name: str, view: Path, runs: int, settle: float) -> list[float]:
    times = []
    with PooledSandbox(choose(name, BASE), workers=1, warm=make_spec(view, LIMITS, "cpu")) as box:
        for _ in range(runs):
            time.sleep(settle)
            times.append(overhead(box.run(small_job(view, POPULAR, limits=LIMITS))))
    return times


def an_hour(name: str, view: Path, seconds: float) -> float:
    """Candidates an hour where each trains for one second, one worker a core."""
    workers = os.cpu_count() or 1
    job = small_job(view, small_model(fit=ONE_SECOND), limits=LIMITS)
    done = []
    with PooledSandbox(
        choose(name, BASE), workers=workers, warm=make_spec(view, LIMITS, "cpu")
    ) as box:
        started = time.monotonic()

        def run() -> None:
            while time.monotonic() < started + seconds:
                overhead(box.run(job))
                done.append(time.monotonic() - started)

        side_by_side(run, workers)
    return 3600 * len(done) / max(done)


def bare() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import torch"], check=True)
    return time.monotonic() - started


def bare_an_hour(seconds: float) -> float:
    done = []
    started = time.monotonic()

    def run() -> None:
        while time.monotonic() < started + seconds:
            source = f"import time, torch\n{ONE_SECOND}"
            subprocess.run([sys.executable, "-c", source], check=True)
            done.append(time.monotonic() - started)

    side_by_side(run, os.cpu_count() or 1)
    return 3600 * len(done) / max(done)


def side_by_side(run: object, workers: int) -> None:
    threads = [threading.Thread(target=run) for _ in range(workers)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch_seconds = statistics.median(bare() for _ in range(3))
    rows = {"bare subprocess": {"cold": torch_seconds, "an_hour": bare_an_hour(given.seconds)}}
    with tempfile.TemporaryDirectory() as folder:
        view = write_small_view(Path(folder))
        for name in ("bubblewrap", "docker", "unconfined"):
            try:
                times = warm(name, view, given.runs, settle=2.5 * torch_seconds)
            except SandboxUnavailable as error:
                print(f"{name}: left out, {error}", file=sys.stderr)
                continue
            rows[name] = {
                "warm": statistics.median(times),
                "warm_worst": max(times),
                "cold": statistics.median(cold(name, view, max(2, given.runs // 3))),
                "an_hour": an_hour(name, view, given.seconds),
            }
    if given.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds beyond fit and scoring")
    print(f"{'':16} {'warm':>7} {'worst':>7} {'cold':>7}   1-s candidates an hour")
    for name, row in rows.items():
        cells = [
            f"{row[key]:7.3f}" if key in row else " " * 7 for key in ("warm", "warm_worst", "cold")
        ]
        print(f"{name:16} {' '.join(cells)}   {row['an_hour']:8.0f}")
    worst = max((row["warm"] for row in rows.values() if "warm" in row), default=0.0)
    print(f"bar: warm median under {BAR_SECONDS} s: {'met' if worst < BAR_SECONDS else 'MISSED'}")


if __name__ == "__main__":
    main()
