"""What a run tells whoever is asked for candidates by prompt, beyond the brief."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from evolver.agents.authoring import Authoring
from evolver.agents.document import Document
from evolver.agents.identity import digest, pieces
from evolver.agents.planner import Planner
from evolver.core import Entry, Failed, Scored
from evolver.credits import credits_of, lost_without
from evolver.evaluate.diagnostics import diagnose
from evolver.evaluate.fingerprint import normalised_digest, shingles
from evolver.evaluate.slices import Slice, unnamed
from evolver.propose.prompted import Judgement
from evolver.run import Run


def judgement(run: Run) -> Judgement:
    """For candidates that are one program."""

    def check(source: str) -> Failed | None:
        found = run.task.inspect(source)
        return found if isinstance(found, Failed) else None

    def per_user(entry: Entry) -> Mapping[str, NDArray[np.float32]]:
        return run.archive.per_user(entry.number, "search", run.seed)

    def whole(entry: Entry) -> Scored | None:
        found = entry.evaluation
        users = per_user(entry)
        return replace(found, per_user=users) if isinstance(found, Scored) and users else None

    @cache
    def slices() -> tuple[Slice, ...]:
        if run.config.propose.reveal_names:
            return run.slices
        profile = run.profile
        users, items = (list(profile.get(f"{side}_features", ())) for side in ("user", "item"))
        return unnamed(run.slices, users, items)

    def diagnosis(entry: Entry, others: Sequence[tuple[str, Entry]]) -> str:
        own = whole(entry)
        rivals = [(name, found) for name, other in others if (found := whole(other)) is not None]
        return "" if own is None else str(diagnose(own, slices(), run.metric, rivals))

    return Judgement(
        check=check,
        digest=normalised_digest,
        pieces=shingles,
        proposed=run.archive.proposed,
        per_user=per_user,
        diagnose=diagnosis,
    )


def judgement_of_pipelines(run: Run, start: Document, skipped: Collection[str]) -> Judgement:
    """For candidates that are pipelines; the search begins with `start`. skipped: models of the zoo
    that are too large for the data."""
    reward = run.config.evaluate.reward
    return replace(
        judgement(run),
        digest=digest,
        pieces=pieces,
        language=Authoring(reward, skipped, lambda entry: _earned(run, entry)),
        planned=Planner(start, reward, run.config.propose.without),
    )


def _earned(run: Run, entry: Entry) -> Mapping[str, str]:
    """What each agent of a pipeline was measured to earn, as far as it was."""
    lost, found = lost_without(run, entry), {}
    for agent, value in lost.items():
        found[agent] = f"{value:+.4f} lost without it"
    if lost and (shares := credits_of(run, entry)) is not None:
        for each in shares.agents:
            found[each.agent] = (
                f"{each.shapley:+.4f} (Shapley), {each.leave_one_out:+.4f} lost without it"
            )
    return found
