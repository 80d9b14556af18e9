"""Fills a report's values from a run's archive. Reads only what was recorded; needs no data."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from evolver import __version__
from evolver.ablations import contributions
from evolver.agents.document import parse
from evolver.archive.findings import OBSERVABLES
from evolver.archive.select import places
from evolver.bench import CANARIES
from evolver.core import Entry, PartName, Scored
from evolver.evaluate.canaries import DATA_CANARIES, RESULT_CANARIES, Alarm
from evolver.evaluate.diagnostics import Row
from evolver.floor import floor_of
from evolver.metrics.statistics import mean_interval, paired_bootstrap
from evolver.report.data import (
    Canary,
    Contest,
    Cost,
    Figure,
    PartReading,
    ReportData,
    Slice,
)
from evolver.report.pipeline import agent_lines, best_shares
from evolver.report.whom import diagnosis
from evolver.run import Run, asks_somebody
from evolver.standing import judged_in, standing_of
from evolver.summary import distinct, is_baseline
from evolver.trials import tuned

INTERVALS = 60
"""How many of the best candidates get an interval, besides those that led for a while."""
PARTS: tuple[PartName, ...] = ("search", "promotion", "test")


def gather(run: Run, *, now: float | None = None) -> ReportData:
    """Everything that a report shows of a run, whether it has ended or not.

    The winner is what was promoted, else the best of all entries on the search part; it is shown
    beside the incumbent that it replaced, else the best tuned baseline. Other parts are shown where
    they were read; this reads none.
    """
    data = evidence(run, outline(run, now=now))
    ranked = places(data.entries, run.config.select, run.metric, run.seed)
    data = replace(
        data,
        intervals=_intervals(run, data),
        trials=tuned(data.entries, run.metric),
        places={n: place.words for n, place in ranked.items()},
    )
    return data if data.best is None else replace(data, **_of_winner(run, data, data.best))


def outline(run: Run, *, now: float | None = None) -> ReportData:
    """What lists and links need: the entries, who leads, what reviewers said. Cheap, whatever the
    number of entries: no user's value is read and no program is parsed."""
    entries = run.archive.history()
    leader = run.archive.best(entries)
    baseline = run.archive.best(e for e in entries if is_baseline(e))
    challenger = run.archive.best(e for e in entries if not is_baseline(e))
    promotion = next((each for each in reversed(judged_in(run)) if each.promoted), None)
    if promotion is not None:
        leader = run.archive.entry(promotion.number)
        baseline = run.archive.entry(promotion.against)
    opinions = run.archive.reviews.opinions()
    return ReportData(
        run=run.folder.name,
        metric=run.metric,
        created=time.strftime("%Y-%m-%d %H:%M", time.localtime(now)),
        evolver_version=__version__,
        entries=entries,
        ids=run.archive.ids(),
        baselines=frozenset(e.number for e in entries if is_baseline(e)),
        winner=leader.number if leader else None,
        baseline=baseline.number if baseline else None,
        challenger=challenger.number if challenger else None,
        standing={n: o.words for n, o in opinions.items() if o.words},
        comments={n: o.comments for n, o in opinions.items() if o.comments},
    )


def evidence(run: Run, data: ReportData) -> ReportData:
    """An outline with what a verdict stands on, what it cost and how to repeat it."""
    facts = run.facts
    floor = floor_of(run)
    return replace(
        data,
        contests=tuple(_contests(run, data.best, data.best_baseline)) if data.best else (),
        noise=None if floor is None else floor.noise.seed_deviation,
        floor=floor,
        gate=standing_of(run),
        canaries=tuple(_canaries(run)),
        readings=tuple(_readings(run)),
        agents=tuple(agent_lines(run)),
        pipeline=best_shares(run),
        cost=_cost(run, data),
        data={
            "name": str(facts["dataset"]["name"]),
            "fingerprint": str(facts["dataset"]["fingerprint"]),
            "split": f"{facts['split']['kind']}, fingerprint {facts['split']['fingerprint']}",
            **{key: f"{facts['profile'][key]:,}" for key in ("users", "items", "rows")},
        },
        settings=_settings(run),
        versions={name: str(version) for name, version in facts["versions"].items() if version},
        repeat=_repeat(run),
        warnings=(
            *_warnings(run, data.best),
            *canary_lines(run.canaries),
            *(str(warning) for warning in facts["warnings"]),
        ),
    )


def _repeat(run: Run) -> tuple[str, ...]:
    """Commands that run this again, from beside the run's folder: a report travels, and where it
    was made is nobody's business. What models or people wrote is repeated from its record."""
    name = run.folder.name
    if not asks_somebody(run.config):
        return (shlex.join(["evolver", "evolve", "--config", f"{name}/config.json"]),)
    data = [run.settled.data.path] if run.config.data.path else []
    replay = ["--config", "record/config.json", "--replay", "record/candidates.jsonl"]
    return (
        shlex.join(["evolver", "record", name, "-o", "record"]),
        shlex.join(["evolver", "evolve", *data, *replay]),
    )


def canary_lines(alarms: Iterable[Alarm]) -> list[str]:
    """What canaries said, a line each; an alarm is only there because somebody accepted it."""
    return [
        f"accepted alarm, {alarm.canary}: {alarm.detail}"
        if alarm.severity == "alarm"
        else f"canary, {alarm.canary}: {alarm.detail}"
        for alarm in alarms
    ]


def _canaries(run: Run) -> Iterable[Canary]:
    """What canaries said, of the data and of candidates; those that were silent by name only."""
    loud = list(run.canaries)
    for name in DATA_CANARIES:
        said = [alarm for alarm in loud if alarm.canary == name]
        for alarm in said:
            word = "accepted alarm" if alarm.severity == "alarm" else "warning"
            yield Canary(name=name, where="data", says=f"{word}: {alarm.detail}")
        if not said and "canaries" in run.facts:
            looked = name in run.task.looks_for
            says = "silent" if looked else f"not looked for in {run.task.name}"
            yield Canary(name=name, where="data", says=says)
    for finding in run.archive.findings.about(CANARIES):
        where = f"#{finding.number}, {finding.part} part"
        alarms = {alarm["canary"]: alarm["detail"] for alarm in finding.data["alarms"]}
        before = RESULT_CANARIES[:2] if finding.part == "promotion" else tuple(alarms)
        asked = finding.data.get("asked", before)
        for name in asked:
            says = f"alarm: {alarms[name]}" if name in alarms else "silent"
            yield Canary(name=name, where=where, says=says)


def _readings(run: Run) -> Iterable[PartReading]:
    parts: tuple[PartName, ...] = ("promotion", "test")
    for part in parts:
        for row in run.archive.readings(part):
            yield PartReading(
                part=part,
                numbers=tuple(row["numbers"]),
                who=row["who"],
                when=time.strftime("%Y-%m-%d %H:%M", time.localtime(row["created"])),
                why=row["why"],
                forced=bool(row["forced"]),
            )


def _intervals(run: Run, data: ReportData) -> dict[int, tuple[float, float]]:
    wanted = {*data.leaders, *(entry.number for entry in distinct(data.ranked)[:INTERVALS])}
    wanted |= {entry.number for entry in (data.best, data.best_baseline) if entry}
    return intervals(run, sorted(wanted))


def intervals(run: Run, numbers: Iterable[int]) -> dict[int, tuple[float, float]]:
    """By number: the 95% interval of the metric on the search part, where users were measured."""
    found = {}
    for number in numbers:
        values = _values(run, number, "search")
        if values is not None:
            _, low, high = mean_interval(values)
            found[number] = (low, high)
    return found


def _values(run: Run, number: int, part: PartName) -> np.ndarray[Any, Any] | None:
    """The metric of each user: on the promotion part the mean over the seeds that were measured,
    elsewhere with the run's own seed, which everybody has. None if it was not measured."""
    rows = [
        scored.per_user[run.metric]
        for seed, scored in run.archive.evaluations(number, part).items()
        if isinstance(scored, Scored)
        and run.metric in scored.per_user
        and (part == "promotion" or seed == run.seed)  # where everybody was measured once
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
            readings=max(1, len(readings)) if part != "search" else 1,
            forced=any(reading["forced"] for reading in readings),
        )


def _figure(values: np.ndarray[Any, Any]) -> Figure:
    mean, low, high = mean_interval(values)
    return Figure(value=mean, low=low, high=high)


def _of_winner(run: Run, data: ReportData, leader: Entry) -> dict[str, Any]:
    """For whom the winner is good, what its parts bring, what it says of itself."""
    seen = [f for f in run.archive.findings.of(leader.number) if f.about == OBSERVABLES]
    found: dict[str, Any] = {
        "contributions": contributions(run, leader),
        "observed": dict(seen[-1].data) if seen else {},
    }
    told = diagnosis(run, data, leader.number)
    if told is None:
        return found
    place = next((n for n, duel in enumerate(told.duels) if duel.against == "baseline"), None)
    rival = data.best_baseline
    other = rival.evaluation.metrics if rival and isinstance(rival.evaluation, Scored) else {}
    return found | {
        "duels": told.duels,
        "breadth": {name: (value, other.get(name)) for name, value in told.breadth.items()},
        "slices": tuple(_slice(row, place) for row in told.rows),
    }


def _slice(row: Row, place: int | None) -> Slice:
    if place is None:
        return Slice(name=row.name, winner=row.value, users=row.users)
    duel = row.duels[place]
    return Slice(
        name=row.name,
        winner=row.value,
        baseline=row.value - duel.difference,
        users=row.users,
        low=duel.low,
        high=duel.high,
    )


def _cost(run: Run, data: ReportData) -> Cost:
    bills = run.archive.bills()
    budget = run.config.budget
    limits = {
        "candidates": f"{budget.candidates}",
        "time": "" if budget.seconds is None else f"{budget.seconds:g} s",
        "dollars": "" if budget.usd is None else f"{budget.usd:g}",
        "tokens": "" if budget.tokens is None else f"{budget.tokens:,}",
    }
    priced = [bill.usd for bill in bills if bill.usd is not None]
    return Cost(
        wall_seconds=run.archive.seconds_used(),
        sandbox_seconds=sum(entry.seconds for entry in data.entries),
        usd=sum(priced) if priced or not bills else None,
        unpriced_requests=sum(bill.unpriced for bill in bills),
        requests=sum(bill.requests for bill in bills),
        tokens_in=sum(bill.tokens_in for bill in bills),
        tokens_out=sum(bill.tokens_out for bill in bills),
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


def _settings(run: Run) -> dict[str, str]:
    """What is not at its empty value, by its place. A pipeline, pages long, is told in a line."""
    found = dict(_flat(run.config.model_dump(mode="json")))
    for place in ("propose.pipeline", "evaluate.upstream"):
        if place in found:
            found[place] = parse(found[place]).outline
    return found


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, "", [], ()):
            yield (
                f"{prefix}{name}",
                ", ".join(map(str, value)) if isinstance(value, list) else str(value),
            )
