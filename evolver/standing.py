"""Where a run stands: who is the incumbent, who was judged, who waits. Reads the archive only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from evolver.core import Entry, Scored
from evolver.evaluate.fingerprint import program_digest
from evolver.floor import best_baseline
from evolver.propose.baselines import is_baseline
from evolver.run import Run

State = Literal["promoted", "rejected", "not judged", "none ahead", "nothing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A final verdict on one challenger. `evidence`: a `promotion.Evidence` as data, or None where
    it was refused before anything was compared."""

    number: int
    against: int
    decision: Literal["promote", "reject"]
    reason: str
    paragraph: str
    evidence: Mapping[str, Any] | None

    @property
    def promoted(self) -> bool:
        return self.decision == "promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """incumbent: the last one promoted, else the best tuned baseline. `waiting`: challengers ahead
    of it on the search part that are still to be judged, best first; `behind`: the best challenger
    where none is ahead. `test_read`: whether the sealed test was read for what was promoted."""

    state: State
    incumbent: Entry | None
    judged: tuple[Judged, ...]
    waiting: tuple[Entry, ...]
    behind: Entry | None
    test_read: bool

    @property
    def promotion(self) -> Judged | None:
        """The last verdict that promoted, if any."""
        return next((each for each in reversed(self.judged) if each.promoted), None)


def judged_in(run: Run) -> tuple[Judged, ...]:
    """Final verdicts, oldest first; of those on the same pair the last."""
    found: dict[tuple[int, int], Judged] = {}
    for row in run.archive.verdicts():
        if row["verdict"] not in ("promote", "reject"):
            continue
        pair = (row["number"], row["against"])
        found.pop(pair, None)
        found[pair] = Judged(
            number=row["number"],
            against=row["against"],
            decision=row["verdict"],
            reason=row["evidence"].get("reason", ""),
            paragraph=row["paragraph"],
            evidence=row["evidence"].get("evidence"),
        )
    return tuple(found.values())


def standing_of(run: Run) -> Standing:
    """Read the archive. Needs no data."""
    judged = judged_in(run)
    promoted = next((each for each in reversed(judged) if each.promoted), None)
    baseline = best_baseline(run)
    incumbent = baseline if promoted is None else run.archive.entry(promoted.number)
    ranked = challengers(run, incumbent, most=max(1, run.config.promote.finalists))
    floor = None if incumbent is None else incumbent.score(run.metric)
    ahead = [e for e in ranked if floor is not None and (e.score(run.metric) or 0.0) > floor]
    done = {each.number for each in judged}
    waiting = [e for e in ahead[: run.config.promote.finalists] if e.number not in done]
    readings = run.archive.readings("test")
    return Standing(
        state=_state(judged, promoted, waiting, incumbent),
        incumbent=incumbent,
        judged=judged,
        waiting=tuple(waiting),
        behind=ranked[0] if ranked and not ahead else None,
        test_read=promoted is not None and any(promoted.number in r["numbers"] for r in readings),
    )


def challengers(run: Run, incumbent: Entry | None, *, most: int) -> list[Entry]:
    """The best that the search proposed, best first on the search part; of several settings of one
    program only the best. No further program is parsed once there are `most`."""
    entries = [e for e in run.archive.history() if isinstance(e.evaluation, Scored)]
    entries.sort(key=lambda e: (-(e.score(run.metric) or 0.0), e.number))
    same = None if incumbent is None else incumbent.candidate.id
    seen: set[str] = set()
    kept: list[Entry] = []
    for entry in entries:
        if len(kept) == most:
            break
        if is_baseline(entry) or entry.candidate.id == same:
            continue
        digest = program_digest(entry.candidate.source)
        if digest not in seen:
            seen.add(digest)
            kept.append(entry)
    return kept


def _state(
    judged: tuple[Judged, ...],
    promoted: Judged | None,
    waiting: list[Entry],
    incumbent: Entry | None,
) -> State:
    if promoted is not None:
        return "promoted"
    if waiting:
        return "not judged"
    if judged:
        return "rejected"
    return "none ahead" if incumbent is not None else "nothing"
