"""Which typed search does best at equal compute? `evolver compare` on real data, written to docs.

    python -m benchmarks.compare_arms DATA/ml-100k --seeds 3 --candidates 12 [--out FOLDER]

Killed? The same command with the same --out goes on. The table, the sentences and the figures in
docs/compare.md are what `evolver compare` wrote itself; nobody types them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "compare.md"
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="a folder or file that evolver reads")
    parser.add_argument("--arms", default="random,tpe,cmaes,evolution")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--candidates", type=int, default=12)
    parser.add_argument("--candidate-time", default="60s")
    parser.add_argument("--space", default="linear", help="one that is cheap to train")
    parser.add_argument("--out", type=Path, default=Path("runs/compare-arms"))
    told = parser.parse_args()
    words = ["compare", told.data, "--arms", told.arms, "--seeds", str(told.seeds)]
    words += ["--candidates", str(told.candidates), "--candidate-time", told.candidate_time]
    words += ["--space", told.space]
    words += ["--out", str(told.out), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "evolver", *words], stdout=subprocess.PIPE, check=True, text=True
    )
    result = json.loads(done.stdout)
    found = (told.out / "compare.md").read_text(encoding="utf-8")
    found = found.replace(told.data, f"DATA/{Path(told.data).name}").strip()
    where = (
        f"Run by `benchmarks/compare_arms.py` on {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {len(result['runs'])} runs, on a machine that had "
        "other work to do."
    )
    text = DOCS.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    whole = f"{before}{BEGIN}\n\n{where}\n\n{found}\n\n{END}{after}"
    DOCS.write_text(whole, encoding="utf-8")
    print(f"wrote {DOCS}")


if __name__ == "__main__":
    main()
