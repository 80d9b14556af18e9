"""Do the zoo's models reach the figures that are published for them?

    python benchmarks/zoo.py gowalla --data FOLDER
    python benchmarks/zoo.py ml-1m --data FOLDER --models ease,sasrec --set epochs=12

FOLDER holds gowalla/ (train.txt, test.txt in the LightGCN format) and ml-1m/ (one user a line, in
order of time). Every model goes the way of any candidate: trained and asked in the sandbox,
measured outside on the whole catalogue without the training items. gowalla: the published split,
all of train.txt for training. ml-1m: each user's last item is held out. `--record` keeps what was
measured in docs/benchmarks.json and renders the tables of docs/benchmarks.md from it. Exit code 1
where a model misses its bar, or was not run though it has one.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evolver.config import DataConfig, EvaluateConfig, ExecuteConfig, SplitConfig
from evolver.core import Candidate, Completed, Failed, Job, Progress, Value
from evolver.data.formats import load
from evolver.data.split import Fold, make_fold, make_split
from evolver.errors import EvolverError, UsageError
from evolver.evaluate.check import check_values, inspect_source
from evolver.execute.choose import device_of, limits_of, open_sandbox
from evolver.tasks.retrieval import evaluate, list_length, served_rows, write_view
from evolver.zoo import BASELINES, source

NOTHING = "-"
DOCS = Path(__file__).resolve().parents[1] / "docs"


@dataclass(frozen=True, slots=True)
class Bar:
    """What a model must reach: each figure less a share of it, and that in so many seconds."""

    figures: tuple[float, float]
    """In the order of the data set's metrics."""
    tolerance: float = 0.0
    fit_seconds: float = math.inf

    def __str__(self) -> str:
        said = " / ".join(short(value) for value in self.figures)
        said += f", less {self.tolerance:.0%}" if self.tolerance else ""
        return said + (f", in {self.fit_seconds:g} s" if self.fit_seconds < math.inf else "")

    def reached(self, figures: Sequence[float], fit_seconds: float) -> bool:
        """Figures count as they are shown, with four decimals."""
        least = [round(value * (1 - self.tolerance), 4) for value in self.figures]
        found = [round(value, 4) for value in figures]
        return fit_seconds < self.fit_seconds and all(
            value >= wanted for value, wanted in zip(found, least, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Aim:
    """One model on one data set: the settings to use, what is published and what to reach."""

    values: Mapping[str, Value]
    published: str
    """As the source gives them, in the order of the data set's metrics."""
    bar: Bar | None = None


@dataclass(frozen=True, slots=True)
class Benchmark:
    split: str
    metrics: tuple[str, str]
    sources: str
    aims: Mapping[str, Aim]


BENCHMARKS: dict[str, Benchmark] = {
    "gowalla": Benchmark(
        split="published",
        metrics=("recall@20", "ndcg@20"),
        sources=(
            "Published: BARS leaderboard (reczoo/BARS), on the same split; many of these were "
            "selected on the test part. Shown for the graph filter: GF-CF; for item kNN: ItemCF. "
            "Bars: for popularity and the graph filter what was measured on two cores (the latter "
            "in the manner of Turbo-CF), for iALS a little under what 256 factors gave there, else "
            "what is published. Settings: iALS's "
            "exponent was chosen on the test part, among five. Of the other settings that are no "
            "defaults no record says where they were chosen: take them as chosen on the test part."
        ),
        aims={
            "popularity": Aim({}, "", Bar((0.0416, 0.0317), 0.01)),
            "item_knn": Aim({}, ".1570 / .1214", Bar((0.1570, 0.1214), 0.01)),
            "graph_filter": Aim(
                {"damping": 0.0, "user_exponent": 0.6, "power": 0.6},
                ".1849 / .1518",
                Bar((0.1830, 0.1513), 0.01, fit_seconds=10),
            ),
            "ease": Aim({}, ".1765 / .1467", Bar((0.1765, 0.1467), 0.03)),
            "ials": Aim({"factors": 256, "sweeps": 14, "exponent": 0.92}, "", Bar((0.17, 0.144))),
            "bpr_mf": Aim({}, ".1627 / .1378", Bar((0.1627, 0.1378), 0.03)),
            "lightgcn": Aim({"epochs": 30}, ".1820 / .1547", Bar((0.1820, 0.1547), 0.03)),
        },
    ),
    "ml-1m": Benchmark(
        split="order",
        metrics=("hit@10", "ndcg@10"),
        sources=(
            "Published: SASRec with sampled softmax, trained for many more epochs on a GPU, as "
            "reported with HSTU (Zhai et al., ICML 2024). Sources break ties in time differently: "
            "do not compare at the 0.01 level. Bars: what full-softmax SASRec had after 12 epochs "
            "on two cores, on its way to the published figures, and EASE there. All settings are "
            "defaults; nothing was chosen on this data."
        ),
        aims={
            "popularity": Aim({}, ""),
            "item_knn": Aim({}, ""),
            "graph_filter": Aim({}, ""),
            "ease": Aim({}, "", Bar((0.109, 0.054), 0.01)),
            "ials": Aim({}, ""),
            "bpr_mf": Aim({}, ""),
            "sasrec": Aim({}, ".2853 / .1603", Bar((0.2333, 0.1325))),
        },
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was measured, or why it was not."""

    data: str
    model: str
    settings: str
    seed: int
    published: str
    metrics: dict[str, float] = field(default_factory=dict)
    reason: str = ""
    steps: int = 0
    fit_seconds: float = 0.0
    score_seconds: float = 0.0
    parameters: int = 0
    machine: str = ""
    versions: str = ""
    date: str = ""

    @property
    def bar(self) -> Bar | None:
        return BENCHMARKS[self.data].aims[self.model].bar

    @property
    def reached(self) -> bool | None:
        """Whether it reaches its bar; None where it has none."""
        if self.bar is None:
            return None
        return bool(self.metrics) and self.bar.reached(
            tuple(self.metrics.values()), self.fit_seconds
        )


def main() -> int:
    arguments = parse()
    benchmark = BENCHMARKS[arguments.data_set]
    known = [each.name for each in BASELINES if each.name in benchmark.aims]
    names = arguments.models.split(",") if arguments.models else known
    for name in names:
        if name not in known:
            print(f"no model {name!r} for {arguments.data_set}; there are {', '.join(known)}")
            return 2
    try:
        dataset = load(DataConfig(path=str(arguments.data / arguments.data_set)))
        split = make_split(dataset, SplitConfig(kind=benchmark.split), seed=0)
        fold = make_fold(dataset, split, "test", repeats=False)
        print(
            f"{arguments.data_set}: {fold.train.n_users:,} users, {fold.train.n_items:,} items, "
            f"{len(fold.train):,} training rows, {len(fold.queries):,} users asked for"
        )
        rows = [measure(name, fold, arguments) for name in names]
    except EvolverError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n" + table(rows, benchmark))
    if arguments.record:
        record(rows)
        print(f"\nrecorded in {DOCS / 'benchmarks.json'} and {DOCS / 'benchmarks.md'}")
    missed = [row.model for row in rows if row.reached is False]
    if missed:
        print(f"not reached: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given = os.environ.get("EVOLVER_DATA")
    parser.add_argument("data_set", choices=sorted(BENCHMARKS))
    parser.add_argument("--data", type=Path, default=given, required=not given, metavar="FOLDER")
    parser.add_argument("--models", default="", help="names with commas between; all by default")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a tunable's value"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3_600.0, help="the most for one model")
    parser.add_argument("--memory-gib", type=float, default=8.0, help="the most for one model")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:0 ...")
    parser.add_argument("--sandbox", default="auto", help="auto, bubblewrap, unconfined ...")
    parser.add_argument("--record", action="store_true", help="write the result into docs/")
    return parser.parse_args()


def measure(name: str, fold: Fold, arguments: argparse.Namespace) -> Row:
    """Train one model in the sandbox and measure what it recommends, or say why not."""
    aim = BENCHMARKS[arguments.data_set].aims[name]
    values = {**aim.values, **dict(assignment(text) for text in arguments.set)}
    facts = inspect_source(source(name))
    wrong = facts if isinstance(facts, Failed) else check_values(facts, values)
    if isinstance(facts, Failed) or wrong is not None:
        raise UsageError(f"{name}: {wrong.reason if wrong else ''}")
    config = ExecuteConfig(
        sandbox=arguments.sandbox,
        seconds=arguments.seconds,
        memory_gib=arguments.memory_gib,
        device=arguments.device,
    )
    row = Row(
        data=arguments.data_set,
        model=name,
        settings=", ".join(f"{key} {value}" for key, value in values.items()) or "defaults",
        seed=arguments.seed,
        published=aim.published,
        machine=f"{device_of(config)}, {arguments.threads} threads",
        versions=f"torch {version('torch')}, numpy {version('numpy')}, scipy {version('scipy')}",
        date=datetime.now(UTC).date().isoformat(),
    )
    unfit = {each.name: each.unfit for each in BASELINES}[name]
    limits = limits_of(config, arguments.threads)
    train = fold.train
    reason = unfit(train.n_users, train.n_items, len(train), limits.memory_bytes, limits.seconds)
    if reason is not None:
        print(f"{name}: not run; {reason}")
        return replace(row, reason=reason)
    candidate = Candidate(source=source(name), values=values, name=name)
    return run(row, candidate, served_rows(facts, fold), fold, config)


def run(
    row: Row,
    candidate: Candidate,
    served: NDArray[np.int64] | None,
    fold: Fold,
    config: ExecuteConfig,
) -> Row:
    threads = int(row.machine.split(", ")[1].split()[0])
    judged = EvaluateConfig(
        metric=BENCHMARKS[row.data].metrics[0], also=BENCHMARKS[row.data].metrics[1:]
    )
    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder) / "view"
        write_view(fold, view)
        job = Job(
            candidate=candidate,
            view=view,
            queries=len(fold.queries),
            items=fold.train.n_items,
            k=list_length(judged),
            seed=row.seed,
            limits=limits_of(config, threads),
            served=served,
            device=device_of(config),
        )
        with open_sandbox(config, None, workers=1, threads=threads) as sandbox:
            execution = sandbox.run(job, watch=shown(row.model))
    evaluation = evaluate(execution, fold, judged, served)
    if isinstance(evaluation, Failed):
        print(f"{row.model}: {evaluation.kind}: {evaluation.reason}")
        return replace(row, reason=f"{evaluation.kind}: {evaluation.reason.splitlines()[0]}")
    progress = execution.outcome.progress if isinstance(execution.outcome, Completed) else ()
    done = replace(
        row,
        metrics={name: evaluation.metrics[name] for name in BENCHMARKS[row.data].metrics},
        steps=progress[-1].step if progress else 0,
        fit_seconds=evaluation.fit_seconds,
        score_seconds=evaluation.score_seconds,
        parameters=evaluation.parameters,
    )
    print(f"{row.model}: {figures(done)}, fit {done.fit_seconds:.1f} s", flush=True)
    return done


def shown(name: str) -> Callable[[Progress], bool]:
    """Prints every report, and never stops anybody."""

    def watch(progress: Progress) -> bool:
        loss = "" if progress.loss is None else f", loss {progress.loss:.4f}"
        print(f"  {name}: epoch {progress.step}{loss}, {progress.seconds:.0f} s", flush=True)
        return True

    return watch


def assignment(text: str) -> tuple[str, Value]:
    """ "factors=64" as ("factors", 64)."""
    name, given, value = text.partition("=")
    if not given:
        raise UsageError(f"--set {text!r}: write NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


def figures(row: Row) -> str:
    """ ".1828 / .1521" """
    return " / ".join(short(value) for value in row.metrics.values())


def short(value: float) -> str:
    """ ".1828" """
    return f"{value:.4f}".lstrip("0")


def table(rows: Sequence[Row], benchmark: Benchmark) -> str:
    """The rows as Markdown."""
    titles = ["model", "settings", f"published {' / '.join(benchmark.metrics)}", "bar", "measured"]
    titles += ["reached", "epochs", "fit s", "score s", "values kept", "where"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        start = [row.model, row.settings, row.published or NOTHING, str(row.bar or NOTHING)]
        reached = {True: "yes", False: "**no**", None: NOTHING}[row.reached]
        if row.metrics:
            where = f"{row.machine}; {row.versions}; {row.date}"
            took = [f"{row.fit_seconds:.1f}", f"{row.score_seconds:.1f}", f"{row.parameters:,}"]
            steps = str(row.steps or NOTHING)
            lines.append([*start, figures(row), reached, steps, *took, where])
        else:
            blank = [NOTHING] * (len(titles) - len(start) - 2)
            lines.append([*start, f"not run: {row.reason}", reached, *blank])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def record(rows: Sequence[Row], folder: Path = DOCS) -> None:
    """Put the rows in the place of earlier ones of the same model, settings and machine."""
    store = folder / "benchmarks.json"
    earlier = json.loads(store.read_text(encoding="utf-8")) if store.exists() else []
    kept = {key(row): row for row in (Row(**fields) for fields in earlier)}
    kept |= {key(row): row for row in rows}
    names = [baseline.name for baseline in BASELINES]
    ordered = sorted(kept.values(), key=lambda row: (row.data, names.index(row.model), key(row)))
    text = json.dumps([asdict(row) for row in ordered], indent=1)
    store.write_text(text + "\n", encoding="utf-8")
    page = folder / "benchmarks.md"
    page.write_text(rendered(page.read_text(encoding="utf-8"), ordered), encoding="utf-8")


def key(row: Row) -> tuple[str, ...]:
    return (row.data, row.model, row.settings, str(row.seed), row.machine)


def rendered(page: str, rows: Sequence[Row]) -> str:
    """The page with the table of every data set between its two markers."""
    for name, benchmark in BENCHMARKS.items():
        start, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if page.count(start) != 1 or page.count(end) != 1:
            raise UsageError(f"docs/benchmarks.md must hold {start} and {end} once each")
        mine = [row for row in rows if row.data == name]
        block = f"{start}\n{table(mine, benchmark)}\n\n{benchmark.sources}\n{end}"
        page = page[: page.index(start)] + block + page[page.index(end) + len(end) :]
    return page


if __name__ == "__main__":
    sys.exit(main())
