"""The finals of a run as rows for tables and lines for people, from what the archive recorded."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from evolver.report.data import ReportData
from evolver.standing import Judged
from evolver.text import one_line

SAID = {"promote": "promoted", "reject": "rejected"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRow:
    """One verdict. Texts that need evidence are "-" where it was refused before it was compared."""

    number: int
    name: str
    against: str
    decision: str
    difference: str
    p_value: str
    allowed: str
    reading: str
    minimum: str
    seeds: str
    broken: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RailRow:
    """One guardrail or slice: what was measured of both sides and the worst that was let pass."""

    name: str
    challenger: str
    incumbent: str
    limit: str
    held: bool


def final_rows(data: ReportData) -> list[FinalRow]:
    """The verdicts in the order in which they were given."""
    judged = () if data.gate is None else data.gate.judged
    return [_row(data, each) for each in judged]


def _row(data: ReportData, judged: Judged) -> FinalRow:
    texts = dict.fromkeys(
        ("difference", "p_value", "allowed", "reading", "minimum", "seeds", "broken"), "-"
    )
    evidence = judged.evidence
    if evidence is not None:
        e = evidence
        accepted = e.get("accepted", ())
        broken = [
            f"{rail['name']} (accepted)" if rail["name"] in accepted else str(rail["name"])
            for rail in e["guardrails"]
            if not rail["held"]
        ]
        texts = {
            "difference": f"{e['difference']:+.4f} [{e['low']:+.4f}, {e['high']:+.4f}]",
            "p_value": f"{e['p_value']:.2g}",
            "allowed": f"{e['allowed']:.2g}",
            "reading": str(e["reading"]),
            "minimum": f"{e['minimum_effect']:.4f}",
            "seeds": f"{e['seeds'][0]} and {e['seeds'][1]}",
            "broken": ", ".join(broken) or "none",
        }
    return FinalRow(
        number=judged.number,
        name=name_of(data, judged.number),
        against=name_of(data, judged.against),
        decision=SAID[judged.decision],
        reason=one_line(judged.reason, 300),
        **texts,
    )


def rail_rows(judged: Judged) -> list[RailRow]:
    """Guardrails and slices of one verdict; none where nothing was compared."""
    if judged.evidence is None:
        return []
    return [_rail(rail) for rail in judged.evidence["guardrails"]]


def _rail(rail: Mapping[str, Any]) -> RailRow:
    show = _SHOWN.get(str(rail["name"]), "{:.4f}".format)
    return RailRow(
        name=one_line(str(rail["name"]), 60),
        challenger=show(rail["challenger"]),
        incumbent=show(rail["incumbent"]),
        limit=show(rail["limit"]),
        held=bool(rail["held"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Priced:
    """A challenger that only broken guardrails kept from promotion, and the words to accept it."""

    number: int
    flags: str


def priced(data: ReportData) -> Priced | None:
    """The first one that is better beyond luck at a price, where nothing was promoted."""
    if data.gate is None or data.gate.promotion is not None:
        return None
    for each in data.gate.judged:
        e = each.evidence
        if e is None or e["p_value"] > e["allowed"] or e["difference"] < e["minimum_effect"]:
            continue
        broken = [str(rail["name"]) for rail in e["guardrails"] if not rail["held"]]
        names = [shlex.quote(name.partition(" (")[0].replace(" ", "-")) for name in broken]
        flags = " ".join(f"--accept {name}" for name in names)
        return Priced(number=each.number, flags=f"--candidate {each.number} {flags}")
    return None


_SHOWN: dict[str, Callable[[float], str]] = {
    "latency p99 (ms)": lambda value: f"{value:.2f}",
    "peak memory (bytes)": lambda value: f"{value / (1 << 20):,.0f} MiB",
}


def name_of(data: ReportData, number: int) -> str:
    """A candidate's name with its number."""
    entry = data.by_number.get(number)
    name = one_line(entry.candidate.name, 60) if entry else ""
    return f"{name} (#{number})" if name else f"candidate #{number}"


def finals_lines(data: ReportData, number: int | None = None) -> list[str]:
    """What the finals came to, a paragraph each: of one candidate, or of all of them."""
    standing = data.gate
    if standing is None or standing.incumbent is None:
        return ["There is no tuned baseline yet, so nobody to be judged against."]
    incumbent = name_of(data, standing.incumbent.number)
    judged = [each for each in standing.judged if number in (None, each.number)]
    lines = [
        f"{name_of(data, each.number)} against {name_of(data, each.against)}. {each.paragraph}"
        for each in judged
    ]
    if standing.waiting and (number is None or not judged):
        waiting = ", ".join(name_of(data, entry.number) for entry in standing.waiting)
        lines.append(f"Not judged yet: {waiting}. The incumbent is {incumbent}.")
    if not lines and standing.behind is not None:
        best = standing.behind.number
        lines.append(
            f"Nobody was judged: the best challenger, {name_of(data, best)}, is not ahead of "
            f"{incumbent} on the search part ({data.metric} {data.figure(best).value:.4f} against "
            f"{data.figure(standing.incumbent.number).value:.4f}), where it was chosen."
        )
    return lines or [f"There is no challenger. The incumbent is {incumbent}."]
