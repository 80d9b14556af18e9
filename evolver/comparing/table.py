"""A comparison as rows of text, for a terminal, a page and Markdown alike; and as JSON values."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from statistics import mean
from typing import Any

from evolver.comparing.claims import (
    all_claims,
    amount,
    cautions,
    scope,
)
from evolver.comparing.outcome import Estimate, Pair, Result
from evolver.report.html import duration
from evolver.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table: its title, the head of each column ("<" text, ">" number), rows of cells, notes."""

    title: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def grids(result: Result) -> list[Grid]:
    """The tables of a comparison; those that would be empty are left out."""
    found = [_arms(result)]
    if result.pairs:
        title = f"Differences in the final {result.metric}, at equal candidates"
        found.append(_pairs(result, result.pairs, title))
    if result.compute_pairs:
        title = f"Differences in {result.metric} at equal training time"
        found.append(_pairs(result, result.compute_pairs, title))
    if result.promotion:
        found.append(_pairs(result, result.promotion, "The winners on the promotion part"))
    return [*found, _costs(result)]


def _arms(result: Result) -> Grid:
    judged = any(run.promotion is not None for run in result.runs)
    columns = [
        ("arm", "<"),
        (f"final {result.metric}", ">"),
        ("over the tuned baselines", ">"),
        ("own best", ">"),
        ("at equal training", ">"),
        *([("promotion part", ">")] if judged else []),
    ]
    rows = []
    for arm in result.spec.arms:
        gains = [
            run.final - run.start
            for run in result.of(arm.label)
            if run.final is not None and run.start is not None
        ]
        cells = [
            one_line(arm.label, 60),
            value(result.final(arm.label)),
            f"{mean(gains):+.4f}" if gains else "-",
            value(result.own(arm.label), short=True),
            value(result.at_equal_compute(arm.label), short=True),
        ]
        rows.append((*cells, *([value(result.judged(arm.label))] if judged else [])))
    start = result.start
    many = len(result.seeds)
    seeds = f"Means over {many} seeds with 95% intervals" if many != 1 else "One seed, no interval"
    note = f"{seeds}; final: the best of a run, its {result.slots} shared trials of the baselines "
    note += "included; own best: the best that the arm proposed; at equal training: the best "
    note += "when a run had used the seconds of training and scoring of the cheapest arm with its "
    note += f"seed ({_seconds(result)}). Tuned baselines: {value(start)}."
    return Grid(title="Arms", columns=tuple(columns), rows=tuple(rows), note=note)


def _seconds(result: Result) -> str:
    return f"{duration(mean(result.compute.values()))} on average" if result.compute else "none yet"


def _pairs(result: Result, pairs: tuple[Pair, ...], title: str) -> Grid:
    columns = (
        ("arm", "<"),
        ("against", "<"),
        ("difference", ">"),
        ("+/=/-", ">"),
        ("p", ">"),
        ("corrected", ">"),
        ("", "<"),
    )
    rows = tuple(
        (
            one_line(pair.arm, 60),
            one_line(pair.other, 60),
            amount(pair.difference),
            f"{pair.wins}/{pair.ties}/{pair.losses}",
            f"{pair.p:.2g}",
            f"{pair.p_corrected:.2g}",
            _verdict(pair),
        )
        for pair in pairs
    )
    note = (
        "Paired by seed; +/=/-: seeds ahead, even, behind. p: exact, two-sided, under random "
        "signs; corrected for the number of pairs by Holm."
    )
    return Grid(title=title, columns=columns, rows=rows, note=note)


def _verdict(pair: Pair) -> str:
    if not pair.shown:
        return "not told apart"
    return "better" if pair.better else "worse"


def _costs(result: Result) -> Grid:
    asked = any(run.requests for run in result.runs)
    columns = [
        ("arm", "<"),
        ("runs", ">"),
        ("tried", ">"),
        ("repeats", ">"),
        ("failed or stopped", "<"),
        ("training", ">"),
        ("wall-clock", ">"),
    ]
    if asked:
        columns += [("waiting for models", ">"), ("requests", ">"), ("tokens", ">"), ("$", ">")]
    rows = []
    for arm in result.spec.arms:
        runs = [run for run in result.runs if run.label == arm.label]
        failed: Counter[str] = Counter()
        for run in runs:
            failed.update(run.failed)
        cells = [
            one_line(arm.label, 60),
            str(len(runs)),
            str(sum(len(run.best) for run in runs)),
            str(sum(run.repeats for run in runs)),
            ", ".join(f"{n} {kind}" for kind, n in failed.most_common()) or "none",
            duration(sum(run.seconds[-1] for run in runs if run.seconds)),
            duration(sum(run.wall_seconds for run in runs)),
        ]
        if asked:
            cells += [
                duration(sum(run.model_seconds for run in runs)),
                f"{sum(run.requests for run in runs):,}",
                f"{sum(run.tokens for run in runs):,}",
                f"{sum(run.usd for run in runs):.4f}",
            ]
        rows.append(tuple(cells))
    note = (
        "Totals over all runs, the search alone. Training: seconds of all workers added up, "
        "scoring included. Repeats cost no training. The baselines, once for each seed and shared "
        f"by all arms, took {duration(result.shared_seconds)} of training."
    )
    return Grid(title="What it took", columns=tuple(columns), rows=tuple(rows), note=note)


def value(estimate: Estimate | None, *, short: bool = False) -> str:
    """0.2134 [0.2101, 0.2167]."""
    if estimate is None:
        return "-"
    if short or estimate.low is None or estimate.high is None:
        return f"{estimate.mean:.4f}"
    return f"{estimate.mean:.4f} [{estimate.low:.4f}, {estimate.high:.4f}]"


def facts(result: Result) -> list[tuple[str, str]]:
    """The terms that were equal for all arms."""
    config = result.spec.config
    budget = config.budget
    caps = [
        f"{budget.seconds:g} s" if budget.seconds else "",
        f"${budget.usd:g}" if budget.usd else "",
        f"{budget.tokens:,} tokens" if budget.tokens else "",
    ]
    return [
        ("data", result.data),
        ("candidates", f"{result.searched} of each search, after {result.slots} shared trials"),
        ("seeds", f"{len(result.spec.seeds)}: {', '.join(map(str, result.spec.seeds))}"),
        ("limits of one candidate", f"{result.candidate_seconds:g} s, {_gib(config)} GiB"),
        ("limits of one run", ", ".join(cap for cap in caps if cap) or "candidates alone"),
        ("side by side", f"{result.workers}; {result.lag} in flight at most"),
        ("search spaces", ", ".join(config.propose.spaces) or "all bundled ones"),
        ("models", ", ".join(config.propose.models) or "none"),
        ("reference", result.spec.reference),
    ]


def _gib(config: Any) -> str:
    return f"{config.execute.memory_gib:g}"


def as_json(result: Result) -> dict[str, Any]:
    """Everything as plain JSON values."""
    spec = result.spec
    return {
        "comparison": result.folder,
        "data": result.data,
        "metric": result.metric,
        "part": result.part,
        "reference": spec.reference,
        "seeds": list(spec.seeds),
        "compared_seeds": list(result.seeds),
        "slots": result.slots,
        "candidates": spec.config.budget.candidates,
        "arms": [
            {
                "arm": arm.label,
                "model": arm.model,
                "final": _numbers(result.final(arm.label)),
                "own": _numbers(result.own(arm.label)),
                "at_equal_compute": _numbers(result.at_equal_compute(arm.label)),
                "promotion": _numbers(result.judged(arm.label)),
            }
            for arm in spec.arms
        ],
        "pairs": [_pair(pair) for pair in result.pairs],
        "compute_seconds": {str(seed): used for seed, used in result.compute.items()},
        "compute_pairs": [_pair(pair) for pair in result.compute_pairs],
        "promotion_pairs": [_pair(pair) for pair in result.promotion],
        "runs": [asdict(run) | {"final": run.final} for run in result.runs],
        "claims": all_claims(result),
        "scope": scope(result),
        "cautions": cautions(result),
    }


def _numbers(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else asdict(estimate)


def _pair(pair: Pair) -> dict[str, Any]:
    return asdict(pair) | {"shown": pair.shown}
