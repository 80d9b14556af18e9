"""What a run of pipelines or re-rankers found, beside what every run shows: stages, objectives,
credits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from evolver.agents.promotion import VERDICTS
from evolver.agents.rewards import OBJECTIVES, PART
from evolver.agents.rounds import START
from evolver.config import STAGED
from evolver.core import Entry, Scored
from evolver.credits import best_pipeline, credits_of, judged_pipeline, lines_of, start_of
from evolver.evaluate.fingerprint import program_digest
from evolver.finals import AGAINST_START
from evolver.floor import best_baseline
from evolver.propose.baselines import is_baseline
from evolver.report.shares import UNMEASURED, Shares, shares_of
from evolver.report.terminal import plain_table
from evolver.run import Run
from evolver.standing import standing_of
from evolver.text import printable

IDENTITY = "identity"
"""The family of the re-ranker that changes nothing."""


def pipeline_view(run: Run) -> RenderableType:
    """The best pipeline beside the start and the tuned single best retriever, or the best re-ranker
    beside identity and the zoo's best; nothing where none has a score."""
    best = _best(run)
    if best is None:
        return Text()
    shares = shares_of(run, best)
    return Group(
        Text(),
        parts_table(run, _sides(run, best)),
        Text(),
        stage_table(shares),
        *[Text(printable(line)) for line in (*shares.lines, *_verdicts(run))],
    )


def agent_lines(run: Run) -> Iterator[str]:
    """The same as lines of text, for reports; none for runs of anything else."""
    best = _best(run) if run.task.name in STAGED else None
    if best is None:
        return
    for name, entry in _sides(run, best):
        parts = ", ".join(f"{n} {_metric(entry, f'{PART}{n}'):.4f}" for n in OBJECTIVES)
        yield f"{name} #{entry.number}: {run.metric} {_metric(entry, run.metric):.4f} ({parts})"
    yield f"the best pipeline: {judged_pipeline(run, best).outline}"
    if run.task.name == "pipeline":
        found = credits_of(run, best)
        yield from lines_of(found) if found is not None else (UNMEASURED,)
        yield from _verdicts(run)


def pipeline_data(run: Run) -> dict[str, Any] | None:
    """The same as JSON-able data; None where `pipeline_view` has nothing to show."""
    best = _best(run)
    if best is None:
        return None
    shares = shares_of(run, best)
    return {
        "sides": {
            name: {
                "number": entry.number,
                "outline": judged_pipeline(run, entry).outline,
                "reward": entry.score(run.metric),
                **{part: _metric(entry, f"{PART}{part}") for part in OBJECTIVES},
                "trials": len(_same_side(run, entry)),
                "seconds": sum(each.seconds for each in _same_side(run, entry)),
            }
            for name, entry in _sides(run, best)
        },
        "agents": [asdict(agent) for agent in shares.agents],
        "credits": list(shares.lines),
        "verdicts": _verdicts(run),
    }


def best_shares(run: Run) -> Shares | None:
    """What the agents of the best pipeline take and earn; None for runs of anything else."""
    best = _best(run) if run.task.name in STAGED else None
    return None if best is None else shares_of(run, best)


def _best(run: Run) -> Entry | None:
    promotion = standing_of(run).promotion
    best = run.archive.entry(promotion.number) if promotion else _leader(run)
    return best if best is not None and isinstance(best.evaluation, Scored) else None


def _leader(run: Run) -> Entry | None:
    if run.task.name == "pipeline":
        return best_pipeline(run)
    return run.archive.best(e for e in run.archive.history() if not is_baseline(e))


def _sides(run: Run, best: Entry) -> list[tuple[str, Entry]]:
    if run.task.name == "pipeline":
        found = {"best pipeline": best, "start": start_of(run), "single best": best_baseline(run)}
    else:
        found = {"best": best, "identity": _identity(run), "best of the zoo": best_baseline(run)}
    return [(name, entry) for name, entry in found.items() if entry is not None]


def _identity(run: Run) -> Entry | None:
    known = (e for e in run.archive.history() if is_baseline(e))
    return next((e for e in known if e.candidate.family == IDENTITY), None)


def _verdicts(run: Run) -> list[str]:
    return [str(row["paragraph"]) for row in run.archive.verdicts() if _ours(row["verdict"])]


def parts_table(run: Run, sides: Sequence[tuple[str, Entry]]) -> Table:
    """The outer reward and its objectives on the search part, one column a side."""
    table = plain_table()
    table.add_column("search part", no_wrap=True)
    for name, entry in sides:
        table.add_column(Text(f"{name} #{entry.number}"), justify="right")
    names = [(run.metric, run.metric), *((n, f"{PART}{n}") for n in OBJECTIVES)]
    for label, metric in names:
        values = [_metric(entry, metric) for _, entry in sides]
        weight = run.config.evaluate.reward.weights.get(label, 0.0)  # type: ignore[call-overload]
        unit = {"latency": " (ms)", "cost": " (s)"}.get(label, "")
        weighed = "" if label == run.metric else f", weight {weight:g}"
        table.add_row(f"{label}{unit}{weighed}", *(f"{value:.4f}" for value in values))
    trained = [sum(e.seconds for e in _same_side(run, entry)) for _, entry in sides]
    table.add_row("seconds of its trials", *(f"{value:.0f}" for value in trained))
    return table


def stage_table(shares: Shares) -> Table:
    """Each agent of a pipeline: items of a user, what it takes, its inner reward, its credit."""
    table = plain_table()
    table.add_column("agent", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    for name in ("seconds", "1 user", "inner reward", "Shapley", "lost without"):
        table.add_column(name, justify="right")
    for row in shares.agents:
        table.add_row(
            Text(row.agent),
            f"{row.stage} {row.items}",
            _cell(row.seconds, ".1f"),
            _cell(row.latency_ms, ".2f", " ms"),
            _cell(row.inner, ".4f"),
            _cell(row.shapley, "+.4f"),
            _cell(row.leave_one_out, "+.4f"),
        )
    return table


def _cell(value: float | None, form: str, unit: str = "") -> str:
    return "-" if value is None else f"{value:{form}}{unit}"


def _ours(verdict: str) -> bool:
    return verdict == AGAINST_START or verdict in VERDICTS.values()


def _metric(entry: Entry, name: str) -> float:
    found = entry.evaluation
    return float(found.metrics.get(name, float("nan"))) if isinstance(found, Scored) else 0.0


def _same_side(run: Run, entry: Entry) -> list[Entry]:
    """The trials whose time a side took: those of its proposer; the start's own for the start. Of a
    re-ranker those of its program."""
    if entry.candidate.operator == START:
        return [entry]
    if run.task.name == "reranking":
        program = program_digest(entry.candidate.source)
        history = run.archive.history()
        return [e for e in history if program_digest(e.candidate.source) == program]
    who = entry.candidate.proposer
    return [e for e in run.archive.history() if e.candidate.proposer == who]
