"""Runs a comparison: every arm at the same budget, a few candidates at a time, in turn.

Whatever else the machine does then hits all arms alike, and a comparison that is stopped half-way
has come equally far with each. Seeds come one after the other, so that whole blocks are done first.
Nothing depends on the turns: a run proposes candidate n from what is recorded up to n - lag.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from evolver.archive.lock import exclusive
from evolver.archive.reviews import whoami
from evolver.comparing.arms import Arm
from evolver.comparing.spec import Spec, write_json
from evolver.comparing.stage import Stage
from evolver.core import Evaluation
from evolver.evolve import Ending, Event

ENDINGS = "endings.json"
TURN = 4
"""So many candidates for each worker are tried in one turn of an arm."""
_OVER = (Ending.CANDIDATES, Ending.TIME, Ending.MONEY)

Tell = Callable[[str, int, Event | None], None]
"""Told of each event: the arm's label ("" for the baselines), the seed, the event of its search;
None where its turn begins."""


def conduct(
    spec: Spec,
    folder: Path,
    tell: Tell = lambda label, seed, event: None,
    *,
    judge_promotion: bool = False,
) -> bool:
    """Do what is left to do. False where it was interrupted; faults of ours are raised.

    Kill it at any moment: called again, it goes on, and ends as if it had not been disturbed.
    """
    with exclusive(folder):
        conductor = _Conductor(spec, folder, tell)
        try:
            return conductor.search() and (not judge_promotion or conductor.judge())
        except KeyboardInterrupt:
            return False
        finally:
            conductor.stage.close()


class _Conductor:
    def __init__(self, spec: Spec, folder: Path, tell: Tell) -> None:
        self._spec = spec
        self._folder = folder
        self._tell = tell
        self._now = "", spec.seeds[0]
        self._endings = read_endings(folder)
        self.stage = Stage(spec, folder, lambda event: tell(*self._now, event))

    def search(self) -> bool:
        """Every arm with every seed; what can go wrong is found out before anything is trained."""
        if not any(self._left(seed) for seed in self._spec.seeds):
            return True
        self.stage.records()
        self.stage.preflight()
        return all(self._one_seed(seed) for seed in self._spec.seeds if self._left(seed))

    def _left(self, seed: int) -> list[Arm]:
        return [arm for arm in self._spec.arms if (arm.label, seed) not in self._endings]

    def _one_seed(self, seed: int) -> bool:
        """All arms of one seed, in turns whose order rotates."""
        self._turn("", seed)
        if self.stage.tune_baselines(seed) is not Ending.CANDIDATES:
            return False
        plan, total = self.stage.start(seed).plan, self._spec.config.budget.candidates
        through, turn = plan.baseline_slots, max(plan.lag, TURN * plan.workers)
        shift = seed
        while left := self._left(seed):
            through, shift = min(through + turn, total), shift + 1
            for arm in _rotated(left, shift):
                self._turn(arm.label, seed)
                ending = self.stage.search(arm, seed, through)
                if ending not in _OVER:
                    return False
                if ending is not Ending.CANDIDATES or through == total:
                    self._endings[arm.label, seed] = ending.value
                    _write_endings(self._folder, self._endings)
        return True

    def _turn(self, label: str, seed: int) -> None:
        self._now = label, seed
        self._tell(label, seed, None)

    def judge(self) -> bool:
        """Each run's best candidate on the promotion part; equal programs train once a seed."""
        who, last = whoami() or "unknown", self._spec.config.budget.candidates - 1
        for seed in self._spec.seeds:
            known: dict[str, Evaluation] = {}
            for arm in self._spec.arms:
                archive = self.stage.run(arm, seed).archive
                best = archive.best(archive.history(last))
                if best is not None:
                    name = best.candidate.id
                    known[name] = self.stage.judge(arm, seed, best, known.get(name), who)
        return True


def _rotated(arms: list[Arm], by: int) -> list[Arm]:
    by %= len(arms)
    return arms[by:] + arms[:by]


def read_endings(folder: Path) -> dict[tuple[str, int], str]:
    """Which runs are over, by arm and seed, each with why."""
    place = folder / ENDINGS
    if not place.exists():
        return {}
    rows = json.loads(place.read_text(encoding="utf-8"))
    return {(row["arm"], row["seed"]): row["ended"] for row in rows}


def _write_endings(folder: Path, endings: dict[tuple[str, int], str]) -> None:
    rows = [
        {"arm": label, "seed": seed, "ended": ended} for (label, seed), ended in endings.items()
    ]
    write_json(folder / ENDINGS, rows)
