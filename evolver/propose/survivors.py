"""Tunes what survived the search: each of the best programs as often as the baselines were."""

from __future__ import annotations

from collections.abc import Sequence

from evolver.core import (
    Brief,
    Candidate,
    Entry,
    Failed,
    Parameter,
    Tuner,
    Unusable,
    Value,
)
from evolver.propose.programs import (
    Identify,
    Parameters,
    Program,
    fitting,
    most_baseline_trials,
    observations,
    programs,
    settings,
)

PROPOSER = "tuning"
KEEP = 3
"""So many of the best programs are tuned, as of the baselines."""


class SurvivorsProposer:
    """New values for the programs that the search found, in the last phase of a run.

    The best programs with tunables get trials in turn, the best one first, until each had as many
    as the most tuned baseline; trials that it had in the search count. Programs of which reviewers
    banned or rejected a trial are left out. Who they are is fixed by
    what was recorded before the phase (`brief.tuning`), so the turns are the same whatever
    finishes first. The first trial of each starts from the best values of its parent, where names
    match and these values are news; then the tuner suggests. A pure function of the brief.
    """

    name = PROPOSER

    def __init__(self, tuner: Tuner, parameters: Parameters, identify: Identify) -> None:
        self._tuner = tuner
        self._parameters = parameters
        self._identify = identify

    def can(self, brief: Brief) -> bool:
        """Whether a survivor still lacks trials; if not, the search may go on."""
        return self._turn(brief) is not None

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """The next trial of the survivor whose turn it is."""
        found = self._turn(brief)
        if found is None:
            return Unusable(
                asked=Candidate(source="", proposer=self.name, operator="tune"),
                why=Failed(kind="contract", reason="no survivor is short of trials"),
            )
        identity, fresh = found
        known = programs(brief.history, self._identify, brief.metric)
        program = next(p for p in known if p.identity == identity)
        leader = program.best(brief.metric)
        if leader is None:
            raise RuntimeError("a survivor without a score was chosen")
        space = self._parameters(leader.candidate.source) or ()
        observed = observations(program.trials, self._parameters, space, brief.metric)
        values = self._inherited(program, leader, space, known, brief.metric) if fresh else None
        if values is None or any(values == dict(o.point) for o in observed):
            values = dict(self._tuner.suggest(space, observed, brief.seed + brief.number))
        return _trial(leader, values)

    def _turn(self, brief: Brief) -> tuple[str, bool] | None:
        """Whose turn it is, and whether it is the first one; None where nobody lacks trials."""
        if brief.tuning is None:
            return None
        start, end = brief.tuning
        before = [e for e in brief.history if e.number < start]
        turns = self._turns(before, end - start, brief.metric)
        at = brief.number - start
        return (turns[at], turns[at] not in turns[:at]) if at < len(turns) else None

    def _turns(self, before: Sequence[Entry], slots: int, metric: str) -> list[str]:
        """The survivors in turn, as far as the slots go: better ones are served in full first."""
        known = programs(before, self._identify, metric)
        target = most_baseline_trials(known)
        survivors = [
            p
            for p in known
            if not p.baseline
            and all(e.standing != "barred" for e in p.trials)
            and (best := p.best(metric)) is not None
            and self._parameters(best.candidate.source)
        ][:KEEP]
        short: dict[str, int] = {}
        for program in survivors:
            short[program.identity] = max(0, min(target - len(program.trials), slots))
            slots -= short[program.identity]
        turns: list[str] = []
        while any(short.values()):
            for identity, left in short.items():
                if left:
                    turns.append(identity)
                    short[identity] -= 1
        return turns

    def _inherited(
        self,
        program: Program,
        leader: Entry,
        space: Sequence[Parameter],
        known: Sequence[Program],
        metric: str,
    ) -> dict[str, Value] | None:
        """The leader's settings with the best values of its parent's program in them."""
        parents = program.trials[0].candidate.parents[:1]
        for other in known:
            best = other.best(metric)
            if other is program or best is None:
                continue
            if any(e.candidate.id in parents for e in other.trials):
                theirs = fitting(settings(best, self._parameters), space)
                return settings(leader, self._parameters) | theirs if theirs else None
        return None


def _trial(leader: Entry, values: dict[str, Value]) -> Candidate:
    origin = leader.candidate
    point = None
    if origin.point is not None:
        point = {**origin.point, **{n: v for n, v in values.items() if n in origin.point}}
    return Candidate(
        source=origin.source,
        values=values,
        parents=(origin.id,),
        name=origin.name,
        idea=origin.idea,
        family=origin.family,
        proposer=PROPOSER,
        operator="tune",
        point=point,
        space=origin.space,
    )
