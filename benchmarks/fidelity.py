"""How well does a cheap judging foretell the full one, and what does it save?

    python -m benchmarks.fidelity measure sample
    python -m benchmarks.fidelity measure ml-100k DATA/ml-100k
    python -m benchmarks.fidelity curves sample             # losses of trials of one program
    python -m benchmarks.fidelity write                     # the tables of docs/evaluation.md

39 different candidates (every model of the zoo at its defaults, random values of its
tunables, points of every search space) are judged on the whole search part and on each cheaper
form of it. Measured is how the order of their scores agrees:
Spearman's and Kendall's rank correlation with 95% intervals (bootstrap over candidates), the share
of the best third that the cheap form would have sent on, and the processor time that fitting and
scoring took, in all. Our own candidates only, so they run in this process and without a time limit.

`curves` asks whether the loss that a program reports foretells its score among its own settings,
and replays the median rule on what was recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import types
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from evolver import zoo
from evolver.config import DataConfig, EvaluateConfig, SplitConfig
from evolver.contract import Budget, Params
from evolver.core import Candidate, Completed, Execution, Failed, Progress
from evolver.data.formats import load
from evolver.data.split import Fold, make_fold, make_split
from evolver.evaluate.cascade import SMOKE_REPORTS
from evolver.evaluate.check import inspect_source
from evolver.evaluate.halving import MedianRule
from evolver.evaluate.reduce import Reduction, reduced, sliver
from evolver.tasks.retrieval import evaluate, list_length, served_rows
from evolver.tune.registry import tuner
from evolver.tune.space import bundled, load_space

TABLES = Path(__file__).parent / "tables"
DOCS = Path(__file__).parents[1] / "docs" / "evaluation.md"
BEGIN, END = "<!-- fidelity: begin -->", "<!-- fidelity: end -->"
JUDGED = EvaluateConfig(also=())
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
    for name in bundled():
        space = load_space(name)
        points = [space.default()]
        for seed in range(4):
            points.append(space.repair(tuner("random").suggest(space.parameters, (), seed)))
        found += [space.compile(point) for point in points]
    return [found[place] for place in np.random.default_rng(0).permutation(len(found))]


# --- measuring ----------------------------------------------------------------------------------


def measure(name: str, path: str) -> None:
    """Judge every candidate at every fidelity; what is recorded already is not repeated."""
    whole = whole_fold(path)
    place = TABLES / f"fidelity-{name}.json"
    known: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {"scores": {}}
    known |= {"rows": len(whole.train), "users": len(whole.queries), "items": whole.train.n_items}
    folds = {
        fidelity: sliver(whole, 0) if reduction is None else reduced(whole, reduction, 0)
        for fidelity, reduction in FIDELITIES.items()
    }
    for candidate in candidates():
        row = known["scores"].setdefault(candidate.id, {"name": candidate.name})
        for fidelity, fold in folds.items():
            if fidelity not in row:
                found = judged(candidate, fold, stop=FIDELITIES[fidelity] is None)
                found.pop("losses")
                row[fidelity] = found
                print(f"{name}, {fidelity}: {candidate.name}: {found}", flush=True)
                place.write_text(json.dumps(known, indent=1) + "\n")


def whole_fold(path: str) -> Fold:
    dataset = load(DataConfig(path=path))
    return make_fold(dataset, make_split(dataset, SplitConfig(), seed=0), "search", False)


def judged(candidate: Candidate, fold: Fold, *, stop: bool = False) -> dict[str, Any]:
    """Score, processor seconds of fitting and scoring, and losses of one of our own candidates.

    It runs in this process, so that its processor time can be told, and has all the time it wants.
    """
    facts = inspect_source(candidate.source)
    if isinstance(facts, Failed):
        raise ValueError(facts.reason)
    module = types.ModuleType("candidate")
    exec(compile(candidate.source, candidate.name, "exec"), module.__dict__)
    defaults = {p.name: p.default for p in facts.tunables}
    model = module.Model(Params(defaults | dict(candidate.values)))
    served = served_rows(facts, fold)
    rows = np.arange(len(fold.queries)) if served is None else served
    began = time.process_time()
    losses: list[list[float]] = []
    for place, (step, loss) in enumerate(model.fit(fold.train, Budget(seconds=1e6)) or ()):
        if loss is not None:
            losses.append([int(step), float(loss)])
        if stop and place + 1 >= SMOKE_REPORTS:
            break
    lists = [ranked(model, fold, rows[at : at + 512]) for at in range(0, len(rows), 512)]
    seconds = time.process_time() - began
    outcome = Completed(
        lists=np.concatenate(lists),
        fit_seconds=seconds,
        score_seconds=0.0,
        latency_ms=np.zeros(1),
        parameters=0,
        peak_bytes=0,
    )
    found = evaluate(Execution(outcome=outcome, seconds=seconds), fold, JUDGED, served)
    if isinstance(found, Failed):
        raise ValueError(f"{candidate.name}: {found.reason}")
    score = found.metrics[JUDGED.metric]
    return {"score": score, "seconds": round(seconds, 3), "losses": losses}


def ranked(model: Any, fold: Fold, rows: np.ndarray) -> np.ndarray:
    """(rows, k) int32: the best items that are not in each user's history."""
    queries = fold.queries
    sizes = np.diff(queries.indptr)[rows]
    indptr = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    places = np.repeat(queries.indptr[rows] - indptr[:-1], sizes) + np.arange(indptr[-1])
    users = replace(
        queries,
        ids=queries.ids[rows],
        known=queries.known[rows],
        indptr=indptr,
        items=queries.items[places],
        times=None if queries.times is None else queries.times[places],
    )
    scores = np.array(model.score(users), dtype=np.float32)
    scores[np.repeat(np.arange(len(rows)), sizes), users.items] = -np.inf
    k = list_length(JUDGED)
    return np.argsort(-scores, axis=1, kind="stable")[:, :k].astype(np.int32)


def measure_curves(name: str, path: str) -> None:
    """Train programs that report their loss with random settings, on the whole search part."""
    whole = whole_fold(path)
    place = TABLES / f"curves-{name}.json"
    known: dict[str, Any] = json.loads(place.read_text()) if place.exists() else {}
    for seed in range(TRIALS):
        for title, source in curved().items():
            facts = inspect_source(source)
            if isinstance(facts, Failed):
                raise ValueError(facts.reason)
            rows = known.setdefault(title, [])
            if len(rows) > seed:
                continue
            values = tuner("random").suggest(facts.tunables, (), seed)
            found = judged(Candidate(source=source, values=values, name=title), whole)
            rows.append({"values": dict(values), **found})
            print(f"{name}: {title} {seed}: {found['score']:.4f}", flush=True)
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
        "| processor time |",
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
        took = sum(r[fidelity]["seconds"] for r in both)
        whole = sum(r["full"]["seconds"] for r in both)
        rho = interval(lambda a, b: stats.spearmanr(a, b).statistic, cheap, full, draws // 10)
        tau = interval(lambda a, b: stats.kendalltau(a, b).statistic, cheap, full, draws // 10)
        top = max(1, round(len(both) * KEPT))
        best = set(np.argsort(-full, kind="stable")[:top].tolist())
        sent = best & set(np.argsort(-cheap, kind="stable")[:top].tolist())
        place = int((cheap > cheap[int(np.argmax(full))]).sum()) + 1
        lines.append(
            f"| {fidelity} | {len(both)} | {rho} | {tau} | {len(sent)} of {top} "
            f"| {ordinal(place)} | {took / whole:.0%} |"
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
            f"{known['items']:,} items; the full judging of the candidates took "
            f"{sum(each['seconds'] for each in full):.0f} s of one core.",
            "",
            *table(known),
            "",
        ]
    for name in names:
        place = TABLES / f"curves-{name}.json"
        if place.exists():
            head = f"Losses of trials of one program, random settings, **{name}**:"
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
    writing = commands.add_parser("write", help="write docs/evaluation.md from the tables")
    writing.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    if arguments.command == "measure":
        measure(arguments.name, arguments.path)
    elif arguments.command == "curves":
        measure_curves(arguments.name, arguments.path)
    else:
        known = sorted(p.stem.removeprefix("fidelity-") for p in TABLES.glob("fidelity-*.json"))
        write(arguments.names or known)
    return 0


if __name__ == "__main__":
    sys.exit(main())
