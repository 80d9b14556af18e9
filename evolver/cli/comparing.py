"""Carries a comparison out: plans it, shows it while it runs, prints and writes what it found."""

from __future__ import annotations

import json
import secrets
import shlex
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from evolver.cli import options
from evolver.comparing.claims import all_claims, before, cautions, scope
from evolver.comparing.conduct import ENDINGS, conduct
from evolver.comparing.outcome import Result, read_result
from evolver.comparing.page import markdown, page
from evolver.comparing.spec import FILE, Spec, grown, make_spec, read_spec, write_spec
from evolver.comparing.table import Grid, as_json, grids
from evolver.config import STAGED, RunConfig, runs_folder
from evolver.core import Failed, Scored, Stopped
from evolver.errors import EvolverError
from evolver.evolve import Event
from evolver.metrics.replicates import replicates_needed, smallest_p
from evolver.run import reopen
from evolver.text import one_line, printable


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command line asked for; None where it said nothing."""

    place: Path
    config: RunConfig
    arms: list[str] | None
    seeds: int | None
    reference: str | None
    judge_promotion: bool
    json: bool


def place(out: Path | None) -> Path:
    """The comparison's folder."""
    return out or runs_folder() / f"compare-{time.strftime('%Y-%m-%d')}-{secrets.token_hex(3)}"


def known(folder: Path) -> Spec | None:
    """What the folder already holds."""
    return read_spec(folder)


def carry_out(wanted: Wanted, old: Spec | None) -> None:
    """Run what is left, then print the table and write the page. Exits 130 where interrupted."""
    spec = _spec(wanted, old)
    console = Console(stderr=True)
    wanted.place.mkdir(parents=True, exist_ok=True)
    if spec != old:
        write_spec(wanted.place, spec)
    _opening(console, spec, wanted.place)
    watcher = Watcher(spec, console)
    try:
        with watcher:
            finished = conduct(spec, wanted.place, watcher, judge_promotion=wanted.judge_promotion)
    except EvolverError:
        if old is None:
            _forget(wanted.place)
        raise
    result = read_result(spec, wanted.place)
    if result is not None:
        _write(wanted.place, result)
        if wanted.json:
            print(json.dumps(as_json(result), indent=2))  # noqa: T201
        else:
            show(Console(), result)
    if not finished:
        console.print(Text("Interrupted; what is recorded is kept.", "yellow"))
        console.print(Text(f"Next: evolver compare -o {wanted.place}", "bold"), soft_wrap=True)
        raise SystemExit(130)
    if not wanted.json:
        page_file = wanted.place / "compare.html"
        Console().print(Text(f"Next: open {page_file}", "bold"), soft_wrap=True)


def _spec(wanted: Wanted, old: Spec | None) -> Spec:
    if old is None:
        arms = wanted.arms or _default_arms(wanted.config)
        draft = make_spec(wanted.config, arms, wanted.seeds or 1, wanted.reference)
        if wanted.seeds is not None:
            return draft
        enough = replicates_needed(len(draft.pairs()))
        return make_spec(wanted.config, arms, enough, wanted.reference)
    arms = wanted.arms or [arm.label for arm in old.arms]
    seeds = len(old.seeds) if wanted.seeds is None else wanted.seeds
    new = make_spec(wanted.config, arms, seeds, wanted.reference or old.reference)
    return grown(old, new, wanted.place)


def _default_arms(config: RunConfig) -> list[str]:
    arms = ["random", "tpe"]
    return [*arms, "llm:no-archive", "llm", "hybrid"] if config.propose.models else arms


def _forget(folder: Path) -> None:
    """Leave nothing behind of a comparison in which nothing was measured yet: our own files, and
    the folder if nothing else is in it."""
    for archive in folder.glob("start/*/archive.sqlite"):
        run = reopen(archive.parent)
        measured = run.archive.history()
        run.archive.close()
        if measured:
            return
    for name in ("start", "runs", "records"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (FILE, ENDINGS, "run.lock"):
        (folder / name).unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()


def _opening(console: Console, spec: Spec, folder: Path) -> None:
    """What will be done, before it begins."""
    runs, total = len(spec.arms) * len(spec.seeds), spec.config.budget.candidates
    labels = ", ".join(arm.label for arm in spec.arms)
    console.print(
        f"{len(spec.arms)} arms ({printable(labels)}), {len(spec.seeds)} seeds, {total} "
        "candidates each, the first of them shared trials of the baselines",
        highlight=False,
    )
    asking = sum(arm.kind in ("llm", "hybrid") for arm in spec.arms) * len(spec.seeds)
    budget = spec.config.budget
    if asking and (budget.usd or budget.tokens):
        most = [f"${budget.usd * asking:.2f}"] if budget.usd else []
        most += [f"{budget.tokens * asking:,} tokens"] if budget.tokens else []
        console.print(f"{asking} runs ask a model: {' and '.join(most)} at most for all of them")
    pairs = len(spec.pairs())
    smallest = min(1.0, smallest_p(len(spec.seeds)) * pairs)
    warning = before(len(spec.arms), pairs, len(spec.seeds), smallest)
    if warning is not None:
        console.print(Text(f"warning: {warning}", "yellow"))
    console.print(f"{runs} runs in {folder}", highlight=False, soft_wrap=True)


class Watcher:
    """Shows a comparison while it runs: a bar on a terminal, one line a candidate."""

    def __init__(self, spec: Spec, console: Console) -> None:
        self._console = console
        self._metric = spec.config.evaluate.metric
        total = spec.config.budget.candidates
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console
        )
        self._total = total
        self._task: TaskID | None = None

    def __enter__(self) -> Watcher:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def __call__(self, label: str, seed: int, event: Event | None) -> None:
        """Take note of one event of the search of this arm and seed; None: its turn begins."""
        where = f"{printable(label) or 'baselines'}, seed {seed}"
        if event is None:
            if self._console.is_terminal:
                if self._task is None:
                    self._task = self._progress.add_task("", total=self._total)
                self._progress.update(self._task, description=where, completed=0)
            return
        if event.kind != "finished":
            return
        if self._task is not None:
            self._progress.update(self._task, completed=event.number + 1)
        self._console.print(self._line(where, event), soft_wrap=True)

    def _line(self, where: str, event: Event) -> Text:
        line = Text(f"{where:<28} #{event.number:<4} ")
        line.append(f"{one_line(event.candidate.name or event.candidate.family, 28):<28} ")
        found = event.evaluation
        if isinstance(found, Failed):
            reason = one_line((found.reason.strip().splitlines() or [""])[-1], 120)
            return line.append(f"{found.kind}: ", "red").append(reason)
        if isinstance(found, Stopped):
            return line.append(f"stopped: {one_line(found.reason, 120)}", "dim")
        if isinstance(found, Scored):
            line.append(f"{found.metrics[self._metric]:.4f}")
            line.append(f"  {event.seconds:6.1f} s" if event.seconds else "    known", "dim")
        return line


def show(console: Console, result: Result) -> None:
    """The tables, what may be claimed, and what to know before believing it."""
    for grid in grids(result):
        console.print(_table(grid))
        console.print(Text(grid.note, "dim"))
        console.print()
    for line in all_claims(result):
        console.print(Text(f"• {line}", "bold"))
    for line in cautions(result):
        console.print(Text(f"note: {printable(line)}", "yellow"))
    console.print(Text(scope(result), "dim"))


def _table(grid: Grid) -> Table:
    table = Table(box=box.SIMPLE_HEAD, title=Text(grid.title, "bold"), title_justify="left")
    table.padding = (0, 1, 0, 0)
    for name, side in grid.columns:
        number = side == ">"
        table.add_column(Text(name), justify="right" if number else "left", no_wrap=number)
    for row in grid.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _write(folder: Path, result: Result) -> None:
    command = command_of(result.spec)
    (folder / "compare.html").write_text(page(result, command), encoding="utf-8")
    (folder / "compare.md").write_text(markdown(result, command), encoding="utf-8")
    (folder / "result.json").write_text(
        json.dumps(as_json(result), indent=2) + "\n", encoding="utf-8"
    )


def command_of(spec: Spec) -> str:
    """The command line that does the same again in a new folder; what only a settings file can say
    is in compare.json."""
    config = spec.config
    data = options.data_flags(config.data, config.split.kind, config.split.repeats)
    words = ["evolver", "compare", *data]
    words += [] if config.task == "retrieval" else ["--task", config.task]
    words += ["--arms", ",".join(arm.label for arm in spec.arms)]
    words += ["--seeds", str(len(spec.seeds)), "--reference", spec.reference]
    evaluate = config.evaluate
    metric = evaluate.reward.relevance if config.task in STAGED else evaluate.metric
    words += ["--metric", metric, "--candidates", str(config.budget.candidates)]
    limit, one = config.budget.seconds, config.execute.seconds
    for flag, value in (
        ("--seed", config.seed or None),
        ("--time", f"{limit:g}s" if limit else None),
        ("--usd", config.budget.usd),
        ("--tokens", config.budget.tokens),
        ("--api-base", config.propose.api_base),
        ("--workers", config.execute.workers or None),
        ("--threads", config.execute.threads or None),
        ("--candidate-time", f"{one:g}s" if one else None),
        ("--device", config.execute.device if config.execute.device != "auto" else None),
    ):
        words += [flag, str(value)] if value is not None else []
    for space in config.propose.spaces:
        words += ["--space", space]
    for model in config.propose.models:
        words += ["--model", model]
    return shlex.join(words)
