"""The showcase beside typed search at equal compute, and its replay.

    evolver evolve DATA/ml-100k --proposer tpe ... -o TPE      # any run on the same data and split
    python -m benchmarks.showcase beside TPE                   # a table of docs/showcase/README.md
    python -m benchmarks.showcase quick QUICK.jsonl --seconds 30
    evolver evolve DATA/ml-100k --config docs/showcase/config.json --replay QUICK.jsonl -o AGAIN
    python -m benchmarks.showcase again AGAIN                  # are these the recorded numbers?

`beside` counts seconds of fitting and scoring of what either search proposed, baselines apart, and
compares the best that each had found by then. `quick` makes a record of those candidates that train
for no longer than that, for a replay in minutes; the whole record is replayed the same way. `again`
compares every metric of each candidate that both judged, and writes docs/showcase/README.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evolver import run as runs
from evolver.core import Entry, Scored
from evolver.propose.baselines import is_baseline

RECORD = Path(__file__).parents[1] / "docs" / "showcase"
README = RECORD / "README.md"
BESIDE = "<!-- beside: begin -->", "<!-- beside: end -->"
REPLAYED = "<!-- replayed: begin -->", "<!-- replayed: end -->"
ALIKE = 1e-9
METRIC = "ndcg@10"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One scored proposal: when it was made, what it scored, how long it fitted and scored."""

    number: int
    name: str
    score: float
    seconds: float


def kept(name: str) -> list[dict[str, Any]]:
    """The lines of one of the record's files."""
    return [json.loads(line) for line in (RECORD / name).read_text("utf-8").splitlines()]


def scored() -> dict[int, dict[str, Any]]:
    """By number: the record's evaluations that are a score."""
    return {row["number"]: row for row in kept("evaluations.jsonl") if "scored" in row}


def took(found: Mapping[str, Any]) -> float:
    """Seconds of fitting and scoring of a recorded score."""
    return float(found["fit_seconds"] + found["score_seconds"])


def recorded() -> list[Trial]:
    """What the agent proposed and was scored, in its order."""
    judged = scored()
    return [
        Trial(
            number=row["number"],
            name=row["candidate"]["name"],
            score=judged[row["number"]]["scored"]["metrics"][METRIC],
            seconds=took(judged[row["number"]]["scored"]),
        )
        for row in kept("candidates.jsonl")
        if row["candidate"]["proposer"] == "mailbox" and row["number"] in judged
    ]


def searched(place: Path) -> list[Trial]:
    """What the search of a run proposed and was scored, in its order."""
    return [
        Trial(
            number=entry.number,
            name=entry.candidate.name,
            score=entry.evaluation.metrics[METRIC],
            seconds=entry.evaluation.fit_seconds + entry.evaluation.score_seconds,
        )
        for entry in _history(place)
        if isinstance(entry.evaluation, Scored) and not is_baseline(entry)
    ]


def _history(place: Path) -> list[Entry]:
    opened = runs.reopen(place)
    try:
        return opened.archive.history()
    finally:
        opened.archive.close()


def within(trials: Sequence[Trial], seconds: float) -> list[Trial]:
    """Those that were done when so many seconds had been spent, one after the other."""
    done, spent = [], 0.0
    for trial in trials:
        spent += trial.seconds
        if spent > seconds:
            break
        done.append(trial)
    return done


def beside(place: Path) -> None:
    """Write the table of both searches at the seconds that the cheaper one had."""
    agent, typed = recorded(), searched(place)
    least = min(sum(t.seconds for t in agent), sum(t.seconds for t in typed))
    rows = [
        f"| at | minutes | agent: proposals | best {METRIC} | typed: proposals | best {METRIC} |",
        "| --- | ---: | ---: | --- | ---: | --- |",
    ]
    for label, seconds in (("a quarter", least / 4), ("half", least / 2), ("equal compute", least)):
        cells = [f"| {label} | {seconds / 60:.1f}"]
        for trials in (within(agent, seconds), within(typed, seconds)):
            best = max(trials, key=lambda t: t.score)
            cells.append(f"{len(trials)} | {best.score:.4f} (#{best.number} {best.name})")
        rows.append(" | ".join(cells) + " |")
    _put(BESIDE, "\n".join(rows))


def quick(place: Path, seconds: float) -> None:
    """Write a record of the candidates that took no longer, numbered anew."""
    fast = {number for number, row in scored().items() if took(row["scored"]) <= seconds}
    rows = kept("candidates.jsonl")
    chosen = [row for row in rows if row["number"] in fast]
    with place.open("w", encoding="utf-8") as file:
        for number, row in enumerate(chosen):
            file.write(json.dumps(row | {"number": number}, ensure_ascii=False) + "\n")
    print(f"{len(chosen)} of {len(rows)} candidates in {place}")


def again(places: Sequence[Path]) -> None:
    """Compare all metrics of replays with the record's, to rounding, and write what was found.
    Exits 1 where one differs that the clock did not stop."""
    known = scored()
    numbers = {row["id"]: number for number, row in known.items()}
    same, different = 0, []
    repeated = set()
    for entry in itertools.chain.from_iterable(map(_history, places)):
        number = numbers.get(entry.candidate.id)
        if isinstance(entry.evaluation, Scored) and number is not None:
            repeated.add(number)
            before = known[number]["scored"]
            now = entry.evaluation.metrics
            if alike(before["metrics"], now):
                same += 1
            else:
                different.append(
                    f"- #{number} {entry.candidate.name}: {before['metrics'][METRIC]:.4f} then, "
                    f"{now[METRIC]:.4f} now; it trained for {before['fit_seconds']:.0f} s then, "
                    f"{entry.evaluation.fit_seconds:.0f} s now"
                )
    left = sorted(known.keys() - repeated)
    lines = [
        f"Of the {len(known)} recorded scores {same + len(different)} were repeated: {same} have "
        f"the recorded numbers in every metric (to {ALIKE:g}), {len(different)} others.",
        *different,
        "Not repeated: " + (", ".join(f"#{number}" for number in left) or "none") + ".",
    ]
    _put(REPLAYED, "\n".join(lines))
    raise SystemExit(1 if different else 0)


def alike(before: Mapping[str, float], now: Mapping[str, float]) -> bool:
    """Are these the same metrics with the same values, to rounding?"""
    return before.keys() == now.keys() and all(
        math.isclose(before[name], now[name], rel_tol=ALIKE, abs_tol=ALIKE) for name in before
    )


def _put(markers: tuple[str, str], text: str) -> None:
    """Write between these markers of the showcase's README, and print."""
    begin, end = markers
    before, _, rest = README.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(end)
    README.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("beside", "again", "quick"):
        command = commands.add_parser(name)
        command.add_argument("place", type=Path, nargs="+" if name == "again" else None)
        if name == "quick":
            command.add_argument("--seconds", type=float, default=30.0)
    arguments = parser.parse_args()
    if arguments.command == "quick":
        quick(arguments.place, arguments.seconds)
    elif arguments.command == "again":
        again(arguments.place)
    else:
        beside(arguments.place)


if __name__ == "__main__":
    main()
