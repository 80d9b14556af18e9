"""What a run found about the module that it exports, for the model card."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from evolver import __version__
from evolver.agents.rewards import INNER
from evolver.config import STAGED
from evolver.core import Entry, PartName, Scored
from evolver.credits import credits_of, judged_pipeline
from evolver.export.card import Ancestor, CardFacts, Comparison, Measured, Rival, Serving
from evolver.metrics.statistics import mean_interval, paired_bootstrap
from evolver.run import Run
from evolver.sealed import Reading
from evolver.summary import Summary, is_baseline

MOST_ANCESTORS = 40


def card(opened: Run, found: Summary, reading: Reading, licence: str = "") -> CardFacts:
    """What the model card says, from the archive and the one reading of the test part. `licence` is
    the exporter's word."""
    profile, scored = opened.profile, reading.scored
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
        rival_name=reading.baseline.candidate.name if reading.baseline else "",
        rival=_rival(reading.baseline),
        comparisons=_comparisons(opened, found, reading),
        evidence=_evidence(opened, found, reading),
        limits=_limits(opened, reading),
        run=opened.folder.name,
        lineage=_lineage(opened, reading.winner),
        agents=_agents(opened, reading) if opened.task.name in STAGED else (),
        licence=licence,
        seeds=(opened.seed,),
        fit_seconds=scored.fit_seconds,
        latency_ms_p50=scored.latency_ms_p50,
        latency_ms_p99=scored.latency_ms_p99,
        peak_bytes=scored.peak_bytes,
        parameters=scored.parameters,
        measured_on=str(opened.facts["versions"]["platform"]),
    )


def _lineage(opened: Run, winner: Entry) -> tuple[Ancestor, ...]:
    """The module and all that it descends from, as far as this run knows."""
    by_id = {e.candidate.id: e for e in reversed(opened.archive.history())}
    found: dict[int, Entry] = {}
    waiting = [winner]
    while waiting and len(found) < MOST_ANCESTORS:
        entry = waiting.pop(0)
        if entry.number not in found:
            found[entry.number] = entry
            waiting += [by_id[p] for p in entry.candidate.parents if p in by_id]
    ancestors = sorted((e for e in found.values() if e is not winner), key=lambda e: -e.number)
    return tuple(_ancestor(entry) for entry in (winner, *ancestors))


def _ancestor(entry: Entry) -> Ancestor:
    made = entry.candidate
    return Ancestor(
        number=entry.number,
        id=made.id,
        operator=made.operator,
        proposer=made.proposer,
        writer=made.author or made.model,
        prompt=made.prompt_hash or "",
    )


def _agents(opened: Run, reading: Reading) -> tuple[Serving, ...]:
    """Who serves in a pipeline: alone on the test part, and in the whole on the search part."""
    document = judged_pipeline(opened, reading.winner)
    shares = credits_of(opened, reading.winner)
    credits_ = {} if shares is None else {each.agent: each for each in shares.agents}
    found = []
    for name in document.serving:
        credit = credits_.get(name)
        values = reading.scored.per_user.get(f"{INNER}{name}")
        found.append(
            Serving(
                name=name,
                stage=document.agents[name].stage,
                family=document.facts(name).family,
                own=None if values is None else _interval(f"{INNER}{name}", values),
                credit=None if credit is None else credit.shapley,
                lost=None if credit is None else credit.leave_one_out,
            )
        )
    return tuple(found)


def _rival(entry: Entry | None) -> Rival:
    return "tuned baseline" if entry is None or is_baseline(entry) else "earlier challenger"


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
                rival=_measured(opened, baseline) if baseline else (),
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
    config = opened.config.evaluate
    relevance = (config.reward.relevance,) if opened.task.name in STAGED else ()
    wanted = dict.fromkeys((opened.metric, *relevance, *config.also))
    return tuple(name for name in wanted if name in scored.per_user)


def _measured(opened: Run, scored: Scored) -> tuple[Measured, ...]:
    return tuple(_interval(name, scored.per_user[name]) for name in _metrics(opened, scored))


def _interval(metric: str, per_user: NDArray[np.float32]) -> Measured:
    mean, low, high = mean_interval(per_user)
    return Measured(metric=metric, value=mean, low=low, high=high)


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
    if reading.baseline is None and is_baseline(reading.winner):
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
