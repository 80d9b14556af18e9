"""Results too good to be true: who is above what should be reached on the search part."""

from __future__ import annotations

from evolver.archive.findings import Finding
from evolver.bench import CANARIES, as_data
from evolver.core import Entry
from evolver.evaluate.canaries import RESULT_CANARIES, Alarm
from evolver.run import Run


class Suspicion:
    """Looks at scores of one run on the search part, as its task says."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def of(self, entry: Entry, rival: float | None) -> Alarm | None:
        """Whether an entry is too good beside `rival`, the score of the best baseline; None where
        the entry is that baseline, which is then held against what can be reached, if that is
        known.

        What is found is recorded, once; that a baseline was looked at is, too.
        """
        run, value = self._run, entry.score(self._run.metric)
        if value is None or (rival is None and not run.task.bounded):
            return None
        alarm = run.task.too_good(value, rival, run.fold("search"), run.config.evaluate, run.seed)
        if alarm is not None or rival is None:
            self._record(entry, alarm)
        return alarm

    def _record(self, entry: Entry, alarm: Alarm | None) -> None:
        data = {
            "asked": RESULT_CANARIES[2:],
            "alarms": [] if alarm is None else [as_data(alarm)],
        }
        if not self.looked_at(entry):
            self._run.archive.findings.add(
                Finding(
                    number=entry.number,
                    about=CANARIES,
                    part="search",
                    seed=self._run.seed,
                    data=data,
                )
            )

    def looked_at(self, entry: Entry) -> bool:
        """Whether what was found of an entry is recorded."""
        findings = self._run.archive.findings.of(entry.number)
        asked = [f.data.get("asked", ()) for f in findings if f.about == CANARIES]
        return any(RESULT_CANARIES[2] in names for names in asked)
