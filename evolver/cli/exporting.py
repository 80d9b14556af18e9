"""What `evolver export` does: refit, read the sealed test once, write the package, say so."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from evolver import run, sealed
from evolver.agents.staged import Staged
from evolver.archive.lock import exclusive
from evolver.config import STAGED
from evolver.core import Candidate, Entry, Scored
from evolver.data.split import PARTS
from evolver.errors import UsageError
from evolver.evaluate.check import complete_values
from evolver.execute.choose import open_sandbox
from evolver.export.evidence import card
from evolver.export.graph import checked, need_packages
from evolver.export.names import check_destination, check_name
from evolver.export.package import Parity, write_package
from evolver.export.pipeline_package import write_pipeline_package
from evolver.export.table_package import write_table_package
from evolver.report.safe import printable
from evolver.sealed import Reading
from evolver.summary import Summary, is_baseline, summarise

_PARITY_USERS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command's words."""

    place: Path | None
    out: Path
    name: str
    candidate: str | None
    overwrite: bool
    reread_test: bool
    licence: str
    onnx: bool
    json: bool


def carry_out(wanted: Wanted) -> None:
    """Export what is wanted and print what the test said."""
    check_name(wanted.name)
    check_destination(wanted.out, overwrite=wanted.overwrite)
    opened = run.reopen(wanted.place or run.latest())
    if wanted.onnx and opened.task.name in STAGED:
        raise UsageError("a pipeline has no one graph that scores; export it without --onnx")
    found = summarise(opened)
    winner, rival = pair(found, opened, wanted.candidate)
    if wanted.onnx:
        _need_scorer(winner)
    console = Console(stderr=True)
    with exclusive(opened.folder):
        for line in unpromoted(found, opened, winner):
            console.print(Text(line, "yellow"), soft_wrap=True)
        console.print(
            f"refitting #{winner.number} {printable(winner.candidate.name)} on all but the test "
            "part, beside the incumbent …",
            highlight=False,
        )
        sandbox = opened.staged(
            open_sandbox(
                opened.config.execute.model_copy(update={"device": opened.plan.device}),
                warm_view=opened.view("test"),
                workers=1,
                threads=opened.plan.threads,
                run=opened.folder.name,
            )
        )
        try:
            reading = sealed.read_test(
                opened,
                sandbox,
                winner,
                rival,
                force=wanted.reread_test,
                want_onnx=wanted.onnx,
            )
        finally:
            sandbox.close()
        place_written = _write(opened, found, reading, wanted)
    if wanted.json:
        print(json.dumps(_as_json(opened, reading, place_written), indent=2))  # noqa: T201
    else:
        _show(Console(), opened, found, reading, wanted.name, place_written)


def _need_scorer(winner: Entry) -> None:
    """Raise UsageError where no ONNX graph can be made, before anything is read."""
    need_packages()
    if not sealed.facts_of(winner).has_scorer:
        name = printable(winner.candidate.name)
        raise UsageError(
            f"#{winner.number} {name} offers no scorer() to make an ONNX graph of; export without "
            "--onnx, or see docs/export.md for what its program would need"
        )


def pair(found: Summary, opened: run.Run, wanted: str | None) -> tuple[Entry, Entry | None]:
    """What to export, and what to show it beside: the incumbent that it replaced, where it was
    promoted, else the best tuned baseline."""
    promotion = found.standing.promotion
    if wanted is None and promotion is not None:
        wanted = str(promotion.number)
    winner = choose(found, opened, wanted or "best")
    for each in found.standing.judged:
        if each.promoted and each.number == winner.number:
            return winner, opened.archive.entry(each.against)
    return winner, found.baseline


def rival(entry: Entry) -> str:
    """What an exported module is shown beside, in words."""
    return "best tuned baseline" if is_baseline(entry) else "earlier challenger that it replaced"


def unpromoted(found: Summary, opened: run.Run, winner: Entry) -> list[str]:
    """What is to be said before one that is not promoted is exported: its model card needs the
    sealed test, which then stays closed for whatever is promoted later. Empty where it is."""
    if winner.number in {each.number for each in found.standing.judged if each.promoted}:
        return []
    lines = [f"#{winner.number} leads or was chosen; it is not promoted"]
    if not opened.archive.readings("test"):
        first = f"; `evolver promote {opened.folder}` comes first" if found.standing.waiting else ""
        lines.append(
            f"this opens the sealed test for #{winner.number}: whatever this run promotes later "
            f"can read it with --reread-test only, which every report shows{first}"
        )
    return lines


def choose(found: Summary, opened: run.Run, wanted: str) -> Entry:
    """The entry that the user means. Raises UsageError when there is none or it has no score."""
    if wanted == "best":
        if found.leader is None:
            raise UsageError(f"no candidate of {opened.folder} has a score yet; evolver resume it")
        return found.leader
    matches = [
        e
        for e in opened.archive.history()
        if str(e.number) == wanted.removeprefix("#") or e.candidate.id == wanted
    ]
    if not matches:
        raise UsageError(f"{opened.folder} has no candidate {wanted}; see `evolver status`")
    if not isinstance(matches[0].evaluation, Scored):
        raise UsageError(f"candidate {wanted} has no score: {matches[0].evaluation.reason}")
    return matches[0]


def _write(opened: run.Run, found: Summary, reading: Reading, wanted: Wanted) -> Path:
    if isinstance(reading.outcome, Staged):
        return write_pipeline_package(
            wanted.out,
            wanted.name,
            candidate=_as_pipeline(opened, reading.winner, reading.outcome),
            outcome=reading.outcome,
            dataset=opened.dataset,
            fold=opened.fold("test"),
            card=card(opened, found, reading, wanted.licence),
            tie_seed=opened.seed,
            overwrite=wanted.overwrite,
        )
    facts = sealed.facts_of(reading.winner)
    values = complete_values(facts, reading.winner.candidate.values)
    fold, weights = opened.fold("test"), reading.outcome.weights or b""
    if opened.task.name == "ranking":
        return write_table_package(
            wanted.out,
            wanted.name,
            candidate=reading.winner.candidate,
            values=values,
            weights=weights,
            table=opened.dataset,
            fold=fold,
            rows=np.flatnonzero(opened.split.assignment == PARTS.index("test")),
            probabilities=reading.outcome.answers,
            card=card(opened, found, reading, wanted.licence),
            overwrite=wanted.overwrite,
        )
    served = run_rows(opened, serves_unseen=facts.serves_unseen)
    taken = min(_PARITY_USERS, len(served))
    parity = Parity(rows=served[:taken], lists=reading.outcome.answers[:taken])
    model = reading.outcome.onnx
    graph = None
    if model is not None:
        graph = checked(
            model,
            fold.queries,
            parity.rows,
            parity.lists,
            repeats=fold.repeats,
            tie_seed=opened.seed,
        )
    return write_package(
        wanted.out,
        wanted.name,
        candidate=reading.winner.candidate,
        values=values,
        weights=weights,
        dataset=opened.dataset,
        fold=fold,
        card=card(opened, found, reading, wanted.licence),
        parity=parity,
        tie_seed=opened.seed,
        serves_unseen=facts.serves_unseen,
        graph=graph,
        overwrite=wanted.overwrite,
    )


def _as_pipeline(opened: run.Run, winner: Entry, outcome: Staged) -> Candidate:
    """What was judged as a pipeline as one: of a re-ranker its whole pipeline, made from it."""
    candidate = winner.candidate
    if opened.task.name == "pipeline":
        return candidate
    return replace(candidate, source=outcome.document.text(), values={}, parents=(candidate.id,))


def run_rows(opened: run.Run, *, serves_unseen: bool) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The query rows that a candidate is asked for on the test part."""
    known = opened.fold("test").queries.known
    rows = np.arange(len(known)) if serves_unseen else np.flatnonzero(known)
    return rows.astype(np.int64)


def _as_json(opened: run.Run, reading: Reading, place: Path) -> dict[str, Any]:
    gain = reading.gain
    return {
        "package": str(place),
        "run": str(opened.folder),
        "candidate": {"number": reading.winner.number, "id": reading.winner.candidate.id},
        "test": dict(reading.scored.metrics),
        "baseline": None
        if reading.baseline is None or reading.baseline_scored is None
        else {
            "number": reading.baseline.number,
            "name": reading.baseline.candidate.name,
            "is": rival(reading.baseline),
            "test": dict(reading.baseline_scored.metrics),
        },
        "gain": None
        if gain is None
        else {"difference": gain.difference, "low": gain.low, "high": gain.high},
        "readings": reading.readings,
    }


def _show(
    console: Console,
    opened: run.Run,
    found: Summary,
    reading: Reading,
    name: str,
    place: Path,
) -> None:
    metric = found.metric
    users = int(opened.profile["parts"]["test"]["queries"])
    value = reading.scored.metrics[metric]
    searched = reading.winner.score(metric) or 0.0
    line = Text()
    line.append(f"sealed test: {metric} {value:.4f}", "bold")
    line.append(f" over {users:,} users (search part: {searched:.4f})")
    console.print(line)
    if reading.baseline is None and not is_baseline(reading.winner):
        console.print("No baseline has a score to compare it with.")
    elif reading.baseline is None:
        console.print("This is the best tuned baseline itself; the search found nothing better.")
    elif reading.baseline_scored is None:
        console.print(f"The {rival(reading.baseline)} failed when refitted; see the archive.")
    elif reading.gain is not None:
        held = reading.baseline_scored.metrics[metric]
        gain = reading.gain
        verdict = (
            "confirmed" if gain.low > 0 else ("refuted" if gain.high < 0 else "not told from noise")
        )
        holder = printable(reading.baseline.candidate.name)
        console.print(
            f"{rival(reading.baseline)} ({holder}): {held:.4f}; "
            f"gain {gain.difference:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]: {verdict}",
            highlight=False,
            soft_wrap=True,
        )
    if reading.readings > 1:
        console.print(Text(f"the test part was read {reading.readings} times", "yellow"))
    console.print(f"wrote {place}", highlight=False, soft_wrap=True)
    console.print(
        f"Next: read {place.name}/MODEL_CARD.md; pip install {place} && python -m {name} check",
        highlight=False,
        soft_wrap=True,
    )
