"""Earlier runs as experience for a search: what they tried of each typed space, and on what data.

Read once and kept in the run's folder as `experience.json`, so that a run resumes as it began
whatever becomes of the earlier ones.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf, isfinite
from pathlib import Path
from typing import Any

from evolver.config import runs_folder
from evolver.core import Entry, Observation
from evolver.errors import ConfigError, UsageError
from evolver.run import Run, reopen
from evolver.tune.experience import Experience, regime

FILE = "experience.json"


def experience(run: Run) -> tuple[Experience, ...]:
    """What the runs that the configuration names have taught, one for each; none where it names
    none.

    Raises UsageError where there is no run at a place, ConfigError where no run has a point of a
    typed space, or where one judged on the same data split otherwise: what it searched on may be
    what this run seals.
    """
    places = run.config.propose.experience
    if not places:
        return ()
    kept = run.folder / FILE
    if not kept.exists():
        found = [told for folder in _runs(places, run) if (told := _gather(run, folder))]
        if not found:
            raise ConfigError(
                f"no candidate of a search space in {', '.join(places)}; "
                "--experience takes runs of a typed search"
            )
        new = kept.with_suffix(".new")
        new.write_text(json.dumps(found), encoding="utf-8")
        new.replace(kept)
    return tuple(_read(told) for told in json.loads(kept.read_text(encoding="utf-8")))


def _runs(places: Sequence[str], run: Run) -> list[Path]:
    """The folders of the runs: a place is a run's folder, its name, or a folder of runs."""
    found: dict[Path, None] = {}
    for place in places:
        options = [Path(place), runs_folder() / place]
        own = [option for option in options if (option / "archive.sqlite").exists()][:1]
        inside = sorted(path.parent for path in Path(place).glob("*/archive.sqlite"))
        if not own and not inside:
            raise UsageError(f"--experience {place}: there is no run, and no folder of runs")
        found |= dict.fromkeys(path.resolve() for path in own or inside)
    return [path for path in found if path != run.folder.resolve()]


def _gather(run: Run, folder: Path) -> dict[str, Any] | None:
    """What one run tried of typed spaces, oldest first; None where it tried nothing of any."""
    other = reopen(folder)
    try:
        same_data = other.facts["dataset"]["fingerprint"] == run.facts["dataset"]["fingerprint"]
        if same_data and other.facts["split"]["fingerprint"] != run.facts["split"]["fingerprint"]:
            raise ConfigError(
                f"{folder} searched the same data split otherwise, so it may have seen what this "
                "run seals; leave it out of --experience, or split alike"
            )
        measured = (other.metric, *other.config.evaluate.also)
        metric = run.metric if run.metric in measured else other.metric
        observed = [_told(entry, metric) for entry in other.archive.history()]
        observed = [told for told in observed if told["point"]]
        told = {"run": folder.name, "regime": regime(other.profile), "observed": observed}
        return told if observed else None
    finally:
        other.archive.close()


def _told(entry: Entry, metric: str) -> dict[str, Any]:
    """One trial as JSON, which has no -inf: what was stopped without a score has `partial` null."""
    partial = entry.partial(metric)
    return {
        "point": dict(entry.candidate.point or {}),
        "score": entry.score(metric),
        "stopped": partial is not None,
        "partial": partial if partial is not None and isfinite(partial) else None,
    }


def _read(told: dict[str, Any]) -> Experience:
    observed = tuple(
        Observation(
            point=trial["point"],
            score=trial["score"],
            partial=-inf if trial["stopped"] and trial["partial"] is None else trial["partial"],
        )
        for trial in told["observed"]
    )
    return Experience(observed=observed, regime=tuple(told["regime"]))
