"""Fills a report's values from a run's archive. Reads only what was recorded; needs no data."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from evolver import __version__
from evolver.core import Entry, PartName, Scored
from evolver.metrics.statistics import mean_interval, paired_bootstrap
from evolver.report.data import Contest, Cost, Figure, ReportData, Slice
from evolver.run import Run
from evolver.summary import Summary, is_baseline, summarise

INTERVALS = 60
"""How many of the best candidates get an interval, besides those that led for a while."""
PARTS: tuple[PartName, ...] = ("search", "promotion", "test")


def gather(run: Run, *, now: float | None = None) -> ReportData:
    """Everything that a report shows of a run, whether it has ended or not.

    The winner is the best of all entries on the search part. Other parts are shown where they
    were read; this reads none.
    """
    found = summarise(run)
    entries = run.archive.history()
    leader, baseline = found.leader, found.baseline
    facts = run.facts
    opinions = run.archive.reviews.opinions()
    return ReportData(
        run=run.folder.name,
        metric=run.metric,
        created=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
        evolver_version=__version__,
        entries=entries,
        baselines=frozenset(e.number for e in entries if is_baseline(e)),
        winner=leader.number if leader else None,
        baseline=baseline.number if baseline else None,
        challenger=found.challenger.number if found.challenger else None,
        intervals=_intervals(run, found),
        contests=tuple(_contests(run, leader, baseline)) if leader else (),
        slices=_slices(run, leader, baseline),
        trials=found.trials,
        cost=_cost(run, found),
        data={
            "name": str(facts["dataset"]["name"]),
            "fingerprint": str(facts["dataset"]["fingerprint"]),
            "split": f"{facts['split']['kind']}, fingerprint {facts['split']['fingerprint']}",
            **{key: f"{facts['profile'][key]:,}" for key in ("users", "items", "rows")},
        },
        settings=dict(_flat(run.config.model_dump(mode="json"))),
        versions={name: str(version) for name, version in facts["versions"].items() if version},
        repeat=(shlex.join(["evolver", "evolve", "--config", str(run.folder / "config.json")]),),
        standing={n: o.words for n, o in opinions.items() if o.words},
        comments={n: o.comments for n, o in opinions.items() if o.comments},
        warnings=(*_warnings(run, leader), *(str(warning) for warning in facts["warnings"])),
    )


def _intervals(run: Run, found: Summary) -> dict[int, tuple[float, float]]:
    wanted = {entry.number for entry in found.ranking[:INTERVALS]}
    best = -np.inf
    for entry in run.archive.history():
        score = entry.score(run.metric)
        if score is not None and score > best:
            best = score
            wanted.add(entry.number)
    wanted |= {entry.number for entry in (found.leader, found.baseline) if entry}
    intervals = {}
    for number in sorted(wanted):
        values = _values(run, number, "search")
        if values is not None:
            _, low, high = mean_interval(values)
            intervals[number] = (low, high)
    return intervals


def _values(run: Run, number: int, part: PartName) -> np.ndarray[Any, Any] | None:
    """The metric of each user, as the mean over the seeds that were measured; None if none was."""
    rows = [
        scored.per_user[run.metric]
        for scored in run.archive.evaluations(number, part).values()
        if isinstance(scored, Scored) and run.metric in scored.per_user
    ]
    if not rows or len({len(row) for row in rows}) != 1:
        return None
    mean: np.ndarray[Any, Any] = np.mean(np.asarray(rows, dtype=np.float64), axis=0)
    return mean


def _contests(run: Run, leader: Entry, baseline: Entry | None) -> Iterable[Contest]:
    for part in PARTS:
        ours = _values(run, leader.number, part)
        if ours is None:
            continue
        same = baseline is None or baseline.candidate.id == leader.candidate.id
        theirs = None if same or baseline is None else _values(run, baseline.number, part)
        gain = None
        if theirs is not None and len(theirs) == len(ours):
            gain = paired_bootstrap(ours, theirs, seed=run.seed)
        readings = run.archive.readings(part)
        yield Contest(
            part=part,
            users=len(ours),
            winner=_figure(ours),
            baseline=None if theirs is None else _figure(theirs),
            difference=None
            if gain is None
            else Figure(value=gain.difference, low=gain.low, high=gain.high),
            readings=max(1, len(readings)),
            forced=any(reading["forced"] for reading in readings),
        )


def _figure(values: np.ndarray[Any, Any]) -> Figure:
    mean, low, high = mean_interval(values)
    return Figure(value=mean, low=low, high=high)


def _slices(run: Run, leader: Entry | None, baseline: Entry | None) -> tuple[Slice, ...]:
    """Groups of users that the evaluator reports apart: "ndcg@10[unseen]" and the like."""
    if leader is None or not isinstance(leader.evaluation, Scored):
        return ()
    rival = baseline.evaluation if baseline else None
    other = rival.metrics if isinstance(rival, Scored) else {}
    start = f"{run.metric}["
    return tuple(
        Slice(name=f"{name[len(start) : -1]} users", winner=value, baseline=other.get(name))
        for name, value in leader.evaluation.metrics.items()
        if name.startswith(start)
    )


def _cost(run: Run, found: Summary) -> Cost:
    exchanges = run.archive.exchanges()
    budget = run.config.budget
    limits = {
        "candidates": f"{budget.candidates}",
        "time": "" if budget.seconds is None else f"{budget.seconds:g} s",
        "dollars": "" if budget.usd is None else f"{budget.usd:g}",
        "tokens": "" if budget.tokens is None else f"{budget.tokens:,}",
    }
    priced = any(exchange.usd is not None for exchange in exchanges)
    return Cost(
        wall_seconds=found.seconds,
        sandbox_seconds=sum(entry.seconds for entry in run.archive.history()),
        usd=found.usd if priced or not exchanges else None,
        unpriced_requests=found.unpriced_calls,
        requests=len(exchanges),
        tokens_in=sum(exchange.tokens_in for exchange in exchanges),
        tokens_out=sum(exchange.tokens_out for exchange in exchanges),
        budget={name: text for name, text in limits.items() if text},
    )


def _warnings(run: Run, leader: Entry | None) -> Iterable[str]:
    readings = run.archive.readings("test")
    if len(readings) > 1 or any(reading["forced"] for reading in readings):
        yield (
            f"The sealed test part was read {len(readings)} times. What was chosen after the "
            "first reading may owe its figure to luck."
        )
    if readings and leader is not None and leader.number not in readings[-1]["numbers"]:
        numbers = ", ".join(f"#{number}" for number in readings[-1]["numbers"])
        yield f"The sealed test part was read for {numbers}, not for the winner shown here."


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            yield (
                f"{prefix}{name}",
                ", ".join(map(str, value)) if isinstance(value, list) else str(value),
            )
