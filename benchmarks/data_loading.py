"""How long it takes, and how much memory, to read and split large files.

Writes files like MovieLens 20M (users, items and times drawn with a long tail), then reads each
in a fresh process, once with an empty cache and once more from it:

    python benchmarks/data_loading.py --rows 1000000 20000000 --kinds csv parquet

Seconds are wall-clock after imports, and processor seconds of loading and splitting for machines
that are busy with something else; memory is the peak of the whole process. Bars for loading and
splitting: a million rows of CSV in under 1 s, twenty million in under 15 s and under 4 GB.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

CHILD = """
import json, sys, time
from pathlib import Path
import polars, scipy.sparse
from evolver.config import DataConfig, SplitConfig
from evolver.data.formats import load
from evolver.data.split import make_fold, make_split
def peak():
    # Not getrusage: what this process was started from would count.
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l)
    return int(line.split()[1]) * 1024
clock = time.perf_counter
marks, cpu = [clock()], time.process_time()
data = load(DataConfig(path=sys.argv[1]))
marks.append(clock())
split = make_split(data, SplitConfig(), 0)
marks.append(clock())
cpu = time.process_time() - cpu
read_peak = peak()
fold = make_fold(data, split, "test", False)
marks.append(clock())
seconds = [b - a for a, b in zip(marks, marks[1:])]
print(json.dumps([len(data), *seconds, cpu, read_peak, peak()]))
"""


def write(folder: Path, rows: int, kind: str) -> Path:
    """A file of `rows` ratings, sorted by user as MovieLens publishes them."""
    path = folder / f"ratings-{rows}.{kind}"
    rng = np.random.default_rng(rows)
    n_users, n_items = max(50, rows // 145), max(50, min(27_000, rows // 50))
    users = np.sort(rng.integers(1, n_users + 1, rows))
    items = np.minimum(rng.pareto(0.8, rows) * 30, n_items - 1).astype(np.int64)
    # A user's ratings lie within months of a beginning of the user's own.
    begins = rng.integers(789_652_009, 1_400_000_000, n_users + 1)
    times = begins[users] + (rng.random(rows) ** 3 * 2e7).astype(np.int64)
    frame = pl.DataFrame(
        {
            "userId": users,
            "movieId": rng.permutation(130_000)[items] + 1,
            "rating": rng.integers(1, 11, rows) / 2,
            "timestamp": times,
        }
    )
    if kind == "parquet":
        frame.write_parquet(path)
    elif kind == "csv":
        frame.write_csv(path)
    else:
        with gzip.open(path, "wb", compresslevel=1) as packed:
            frame.write_csv(packed)
    return path


def measure(path: Path, cache: Path) -> list[float]:
    """Rows, seconds to load, split and fold, processor seconds, peaks before and after folding."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        env={**os.environ, "EVOLVER_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"reading {path} failed:\n{done.stderr[-2000:]}")
    result: list[float] = json.loads(done.stdout)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000, 20_000_000])
    parser.add_argument("--kinds", nargs="+", choices=["csv", "csv.gz", "parquet"], default=["csv"])
    parser.add_argument("--folder", type=Path, help="where to write; a temporary one by default")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, polars {pl.__version__}")
    print("| file | rows | MB | load s | split s | its CPU s | its peak GB | fold s | peak GB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for rows in options.rows:
            for kind in options.kinds:
                path = write(folder, rows, kind)
                size = path.stat().st_size / 1e6
                for run in ("first", "again"):
                    found = measure(path, folder / "cache")
                    n, load, split, fold, cpu, read_peak, peak = found
                    print(
                        f"| {kind}, {run} | {n:,} | {size:.0f} | {load:.2f} | {split:.2f} | "
                        f"{cpu:.2f} | {read_peak / 1e9:.2f} | {fold:.2f} | {peak / 1e9:.2f} |",
                        flush=True,
                    )
                path.unlink()


if __name__ == "__main__":
    main()
