"""What a run found about the module that it exports, for the model card."""

from __future__ import annotations

import time

from evolver import __version__
from evolver.core import PartName, Scored
from evolver.export.card import CardFacts, Comparison, Measured
from evolver.metrics.statistics import mean_interval, paired_bootstrap
from evolver.run import Run
from evolver.sealed import Reading
from evolver.summary import Summary, is_baseline


def card(opened: Run, found: Summary, reading: Reading) -> CardFacts:
    """What the model card says, from the archive and the one reading of the test part."""
    winner, profile = reading.winner.candidate, opened.profile
    scored = reading.scored
    return CardFacts(
        data_name=str(opened.facts["dataset"]["name"]),
        data_fingerprint=str(opened.facts["dataset"]["fingerprint"]),
        split_kind=str(opened.facts["split"]["kind"]),
        split_fingerprint=str(opened.facts["split"]["fingerprint"]),
        created=time.strftime("%Y-%m-%d"),
        evolver_version=__version__,
        data={
            "users": f"{profile['users']:,}",
            "items": f"{profile['items']:,}",
            opened.task.rows: f"{profile['rows']:,}",
        },
        trained_on="everything before the test part",
        baseline_name=reading.baseline.candidate.name if reading.baseline else "",
        comparisons=_comparisons(opened, found, reading),
        evidence=_evidence(opened, found, reading),
        limits=_limits(opened, reading),
        run=opened.folder.name,
        models=(winner.proposer,),
        seeds=(opened.seed,),
        fit_seconds=scored.fit_seconds,
        latency_ms_p50=scored.latency_ms_p50,
        latency_ms_p99=scored.latency_ms_p99,
        peak_bytes=scored.peak_bytes,
        parameters=scored.parameters,
        measured_on=str(opened.facts["versions"]["platform"]),
    )


def _comparisons(opened: Run, found: Summary, reading: Reading) -> tuple[Comparison, ...]:
    parts = []
    parts_shown: tuple[PartName, ...] = ("search", "promotion", "test")
    for part in parts_shown:
        module = opened.archive.evaluations(reading.winner.number, part).get(opened.seed)
        other = reading.baseline or found.baseline
        held = opened.archive.evaluations(other.number, part).get(opened.seed) if other else None
        if not isinstance(module, Scored):
            continue
        baseline = held if isinstance(held, Scored) and reading.baseline else None
        note = {
            "search": "candidates were chosen on this part",
            "promotion": "the gate judged on it with several seeds; this is one of them",
            "test": _sealed(reading),
        }[part]
        parts.append(
            Comparison(
                part=part,
                users=len(module.per_user[opened.metric]),
                module=_measured(opened, module),
                baseline=_measured(opened, baseline) if baseline else (),
                difference=_differences(opened, module, baseline) if baseline else (),
                note=note,
            )
        )
    return tuple(parts)


def _sealed(reading: Reading) -> str:
    times = "once" if reading.readings == 1 else f"{reading.readings} times"
    return f"sealed until it was promoted or exported; read {times}"


def _metrics(opened: Run, scored: Scored) -> tuple[str, ...]:
    """The metrics that were asked for, as far as the data has what they need."""
    wanted = dict.fromkeys((opened.metric, *opened.config.evaluate.also))
    return tuple(name for name in wanted if name in scored.per_user)


def _measured(opened: Run, scored: Scored) -> tuple[Measured, ...]:
    found = []
    for metric in _metrics(opened, scored):
        mean, low, high = mean_interval(scored.per_user[metric])
        found.append(Measured(metric=metric, value=mean, low=low, high=high))
    return tuple(found)


def _differences(opened: Run, module: Scored, baseline: Scored) -> tuple[Measured, ...]:
    found = []
    for metric in _metrics(opened, module):
        ours, theirs = module.per_user[metric], baseline.per_user[metric]
        gain = paired_bootstrap(ours, theirs, seed=opened.seed)
        found.append(Measured(metric=metric, value=gain.difference, low=gain.low, high=gain.high))
    return tuple(found)


def _evidence(opened: Run, found: Summary, reading: Reading) -> tuple[str, ...]:
    tried = found.tried
    baselines = sum(is_baseline(e) for e in opened.archive.history())
    said = [
        f"{tried} candidates were trained, {baselines} of them trials of baselines.",
        "Compared with the incumbent by a paired bootstrap over users.",
    ]
    judged = [j for j in found.standing.judged if j.number == reading.winner.number]
    said += [f"The promotion gate: {each.paragraph}" for each in judged[-1:]]
    if not judged:
        said.append("The promotion gate has not judged this module.")
    if reading.baseline is None:
        said.append("This module is the best tuned baseline: the search found nothing better.")
    elif reading.gain is not None and reading.gain.low <= 0:
        said.append("On the sealed test the gain cannot be told from noise: its interval holds 0.")
    return tuple(said)


def _limits(opened: Run, reading: Reading) -> tuple[str, ...]:
    said = ["Measured offline, on logged interactions, which favour what was shown before."]
    if reading.readings > 1:
        said.append(f"The test part was read {reading.readings} times; later readings flatter.")
    if reading.scored.unserved:
        said.append(
            f"{reading.scored.unserved} of the test users were not in training and got the "
            "popularity ranking."
        )
    return tuple(said)
