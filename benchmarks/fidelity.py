"""How well does a cheap judging foretell the full one, and what does it save?

    python -m benchmarks.fidelity measure sample
    python -m benchmarks.fidelity measure ml-100k DATA/ml-100k
    python -m benchmarks.fidelity curves sample             # losses of trials of one program
    python -m benchmarks.fidelity write                     # the tables of docs/evaluation.md

39 different candidates (every model of the zoo at its defaults, random values of its
tunables, points of every search space) are judged on the whole search part and on each cheaper
form of it, in the sandbox, as a run would. Measured is how the order of their scores agrees:
Spearman's and Kendall's rank correlation with 95% intervals (bootstrap over candidates), the share
of the best third that the cheap form would have sent on, and the share of the training rows that is
left, which is what a program that trains step by step costs.

`curves` asks whether the loss that a program reports foretells its score among its own settings,
and replays the median rule on what was recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from evolver import zoo
from evolver.config import DataConfig, EvaluateConfig, ExecuteConfig, SplitConfig
from evolver.core import Candidate, Completed, Failed, Job, Limits, Progress, Scored
from evolver.data.formats import load
from evolver.data.split import Fold, make_fold, make_split
from evolver.evaluate.check import inspect_source
from evolver.evaluate.halving import MedianRule
from evolver.evaluate.reduce import Reduction, reduced, sliver
from evolver.execute.choose import open_sandbox
from evolver.tasks.retrieval import evaluate, list_length, served_rows, write_view
from evolver.tune.registry import tuner
from evolver.tune.space import load_space

TABLES = Path(__file__).parent / "tables" / "fidelity"
DOCS = Path(__file__).parents[1] / "docs" / "evaluation.md"
BEGIN, END = "<!-- fidelity: begin -->", "<!-- fidelity: end -->"
JUDGED = EvaluateConfig(also=())
SPACES = ("linear", "matrix_graph", "sequential")
TRIALS = 9
KEPT = 1 / 3
"""The share that successive halving sends on."""
FIDELITIES: Mapping[str, Reduction | None] = {
    "full": Reduction(),
    "50% of the users": Reduction(users=0.5),
    "25% of the users": Reduction(users=0.25),
    "10% of the users": Reduction(users=0.1),
    "latest 50% of each history": Reduction(history=0.5),
    "latest 25% of each history": Reduction(history=0.25),
    "smoke sliver": None,
}


def candidates() -> list[Candidate]:
    """Different programs and different settings, always the same ones, cheap and dear mixed, so
    that what is measured first already says something."""
    found = []
    for baseline in zoo.BASELINES:
        source = zoo.source(baseline.name)
        facts = inspect_source(source)
        if isinstance(facts, Failed):
            raise ValueError(facts.reason)
        found.append(Candidate(source=source, name=baseline.name))
        for seed in range(2 if facts.tunables else 0):
            values = tuner("random").suggest(facts.tunables, (), seed)
            found.append(Candidate(source=source, name=f"{baseline.name} {seed}", values=values))
    for name in SPACES:
        space = load_space(name)
        points = [space.default()]
        for seed in range(4):
            points.append(space.repair(tuner("random").suggest(space.parameters, (), seed)))
        found += [space.compile(point) for point in points]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


# --- measuring ----------------------------------------------------------------------------------


def measure(name: str, path: str, arguments: argparse.Namespace) -> None:
    """Judge every candidate at every fidelity; what is recorded already is not repeated."""
    dataset = load(DataConfig(path=path))
    split = make_split(dataset, SplitConfig(), seed=0)
    whole = make_fold(dataset, split, "search", False)
    place = TABLES / f"fidelity-{name}.json"
    known: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {"scores": {}}
    known |= {"rows": len(whole.train), "users": len(whole.queries), "items": whole.train.n_items}
    config = ExecuteConfig(device="cpu", memory_gib=8.0)
    limits = Limits(seconds=arguments.seconds, memory_bytes=8 << 30)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_sandbox(config, None, workers=1, threads=1) as sandbox,
    ):
        folds: dict[str, tuple[Fold, Path]] = {}
        for fidelity, reduction in FIDELITIES.items():
            fold = sliver(whole, 0) if reduction is None else reduced(whole, reduction, 0)
            view = Path(folder) / fidelity.replace(" ", "-").replace("%", "")
            write_view(fold, view)
            folds[fidelity] = fold, view
        known["kept"] = {
            name: len(fold.train) / len(whole.train) for name, (fold, _) in folds.items()
        }
        for candidate in candidates():
            row = known["scores"].setdefault(candidate.id, {"name": candidate.name})
            for fidelity, (fold, view) in folds.items():
                if fidelity in row:
                    continue
                row[fidelity] = judged(
                    sandbox, fold, view, candidate, limits=limits, stop=FIDELITIES[fidelity] is None
                )
                print(f"{name}, {fidelity}: {candidate.name}: {row[fidelity]}", flush=True)
                place.write_text(json.dumps(known, indent=1) + "\n")


def judged(
    sandbox: Any, fold: Fold, view: Path, candidate: Candidate, *, limits: Limits, stop: bool
) -> dict[str, Any]:
    """Score and seconds of one candidate at one fidelity, with its losses."""
    facts = inspect_source(candidate.source)
    if isinstance(facts, Failed):
        raise ValueError(facts.reason)
    served = served_rows(facts, fold)
    job = Job(
        candidate=candidate,
        view=view,
        queries=len(fold.queries),
        items=fold.train.n_items,
        k=list_length(JUDGED),
        seed=0,
        limits=limits,
        served=served,
    )

    def twice(progress: Progress) -> bool:
        return progress.step < 2

    execution = sandbox.run(job, watch=twice if stop else None)
    found = evaluate(execution, fold, JUDGED, served)
    outcome = execution.outcome
    if not isinstance(found, Scored) or not isinstance(outcome, Completed):
        return {"failed": str(found)[:200], "seconds": round(execution.seconds, 3)}
    took = outcome.fit_seconds + outcome.score_seconds
    return {
        "score": found.metrics[JUDGED.metric],
        "seconds": round(took, 3),
        "losses": [[r.step, r.loss] for r in outcome.progress if r.loss is not None],
    }


def measure_curves(name: str, path: str, arguments: argparse.Namespace) -> None:
    """Train programs that report their loss with random settings, on a quarter of the users."""
    dataset = load(DataConfig(path=path))
    whole = make_fold(dataset, make_split(dataset, SplitConfig(), seed=0), "search", False)
    fold = reduced(whole, Reduction(users=0.25), 0)
    place = TABLES / f"curves-{name}.json"
    known: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    config = ExecuteConfig(device="cpu", memory_gib=8.0)
    limits = Limits(seconds=arguments.seconds, memory_bytes=8 << 30)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_sandbox(config, None, workers=1, threads=1) as sandbox,
    ):
        view = Path(folder) / "view"
        write_view(fold, view)
        for seed in range(TRIALS):
            for title, source in curved().items():
                facts = inspect_source(source)
                if isinstance(facts, Failed):
                    raise ValueError(facts.reason)
                rows = known.setdefault(title, [])
                if len(rows) > seed:
                    continue
                values = tuner("random").suggest(facts.tunables, (), seed)
                candidate = Candidate(source=source, values=values, name=title)
                found = judged(sandbox, fold, view, candidate, limits=limits, stop=False)
                rows.append({"values": dict(values), **found})
                print(f"{name}: {title} {seed}: {found.get('score')}", flush=True)
                place.write_text(json.dumps(known) + "\n")


def curved() -> dict[str, str]:
    """Programs that report a loss while they train."""
    space = load_space("matrix_graph")
    typed = space.compile(space.default())
    return {
        "bpr_mf": zoo.source("bpr_mf"),
        "sasrec": zoo.source("sasrec"),
        typed.name: typed.source,
    }


# --- what it says -------------------------------------------------------------------------------


def table(known: Mapping[str, Any], draws: int = 10_000) -> list[str]:
    """The rows of one data set, as Markdown."""
    rows = [r for r in known["scores"].values() if "score" in r.get("full", {})]
    lines = [
        "| judged on | candidates | Spearman | Kendall | of the best third sent on | the best is "
        "| training rows |",
        "| --- | ---: | --- | --- | ---: | ---: | ---: |",
    ]
    for fidelity in FIDELITIES:
        if fidelity == "full":
            continue
        both = [r for r in rows if "score" in r.get(fidelity, {})]
        cheap = np.array([r[fidelity]["score"] for r in both])
        full = np.array([r["full"]["score"] for r in both])
        if len(both) < 4:
            continue
        rho = interval(lambda a, b: stats.spearmanr(a, b).statistic, cheap, full, draws // 10)
        tau = interval(lambda a, b: stats.kendalltau(a, b).statistic, cheap, full, draws // 10)
        top = max(1, round(len(both) * KEPT))
        best = set(np.argsort(-full, kind="stable")[:top].tolist())
        sent = best & set(np.argsort(-cheap, kind="stable")[:top].tolist())
        place = int((cheap > cheap[int(np.argmax(full))]).sum()) + 1
        lines.append(
            f"| {fidelity} | {len(both)} | {rho} | {tau} | {len(sent)} of {top} "
            f"| {ordinal(place)} | {known['kept'][fidelity]:.0%} |"
        )
    return lines


def curve_table(known: Mapping[str, Any]) -> list[str]:
    """What the reported losses of one program say of its settings."""
    lines = [
        "| program | trials | Spearman of lowest loss and score | stopped by the rule "
        "| of its best third stopped | steps saved |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for title, every in known.items():
        rows = [row for row in every if row.get("losses")]
        if len(rows) < 4:
            continue
        scores = np.array([row["score"] for row in rows])
        lowest = np.array([min(loss for _, loss in row["losses"]) for row in rows])
        rho = interval(lambda a, b: stats.spearmanr(a, b).statistic, lowest, scores, 1_000)
        curves: list[list[Progress]] = []
        stopped, saved, total = [], 0, 0
        for place, row in enumerate(rows):
            curve = [Progress(step=step, loss=loss) for step, loss in row["losses"]]
            rule = MedianRule(list(curves))
            done = sum(1 for report in curve if rule(report))
            total += len(curve)
            if rule.reason:
                stopped.append(place)
                saved += len(curve) - done
            else:
                curves.append(curve)
        top = set(np.argsort(-scores, kind="stable")[: max(1, round(len(rows) * KEPT))].tolist())
        lines.append(
            f"| {title} | {len(rows)} | {rho} | {len(stopped)} | {len(top & set(stopped))} of "
            f"{len(top)} | {saved / total:.0%} |"
        )
    return lines


def interval(measure: Any, a: np.ndarray, b: np.ndarray, draws: int) -> str:
    """The value with its 95% percentile interval over candidates drawn anew."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(draws):
        rows = rng.integers(len(a), size=len(a))
        if len(set(rows.tolist())) > 2:
            found.append(measure(a[rows], b[rows]))
    low, high = np.percentile(found, [2.5, 97.5])
    return f"{measure(a, b):.2f} [{low:.2f}, {high:.2f}]"


def ordinal(place: int) -> str:
    """1st, 2nd, 3rd, 4th, ..."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(place if place < 20 else place % 10, "th")
    return f"{place}{ending}"


def write(names: Sequence[str]) -> None:
    """Put the tables between their markers."""
    parts = []
    for name in names:
        known = json.loads((TABLES / f"fidelity-{name}.json").read_text())
        full = [r["full"] for r in known["scores"].values() if "full" in r]
        parts += [
            f"**{name}**: {known['rows']:,} training rows, {known['users']:,} users asked for, "
            f"{known['items']:,} items. {len(full)} candidates in all; where a row has fewer, the "
            "others were not judged there.",
            "",
            *table(known),
            "",
        ]
    for name in names:
        place = TABLES / f"curves-{name}.json"
        if place.exists():
            head = (
                f"Losses of trials of one program with random settings, **{name}**, a quarter of "
                "the users:"
            )
            parts += [head, "", *curve_table(json.loads(place.read_text())), ""]
    page = DOCS.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{DOCS} must hold {BEGIN} and {END} once each")
    block = f"{BEGIN}\n" + "\n".join(parts).strip() + f"\n{END}"
    DOCS.write_text(page[: page.index(BEGIN)] + block + page[page.index(END) + len(END) :])


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, dest="command")
    for word, what in (
        ("measure", "judge all candidates at all fidelities"),
        ("curves", "train programs that report their loss with random settings"),
    ):
        measuring = commands.add_parser(word, help=what)
        measuring.add_argument("name")
        measuring.add_argument("path", nargs="?", default="", help="nothing: the bundled sample")
        measuring.add_argument("--seconds", type=float, default=120.0, help="the most for one")
    writing = commands.add_parser("write", help="write docs/evaluation.md from the tables")
    writing.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.name, arguments.path, arguments)
    elif arguments.command == "curves":
        measure_curves(arguments.name, arguments.path, arguments)
    else:
        known = sorted(p.stem.removeprefix("fidelity-") for p in TABLES.glob("fidelity-*.json"))
        write(arguments.names or known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
