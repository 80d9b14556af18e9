"""Results too good to be true: what can be reached on the search part, and who is above it."""

from __future__ import annotations

from evolver.archive.findings import Finding
from evolver.bench import CANARIES, as_data
from evolver.core import Entry
from evolver.evaluate.behaviour import Bounds, bounds, suspicious
from evolver.evaluate.canaries import RESULT_CANARIES, Alarm
from evolver.metrics.ranking import parse_metric, per_user
from evolver.run import Run
from evolver.tasks.popularity import popularity_lists
from evolver.tasks.retrieval import list_length


class Suspicion:
    """Looks at scores of one run on the search part. What can be reached there is worked out once,
    when the first score is looked at."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._reach: tuple[Bounds, float] | None = None

    def of(self, entry: Entry, rival: float | None) -> Alarm | None:
        """Whether an entry is too good beside `rival`, the score of the best baseline; None where
        the entry is that baseline, which is then held against neighbours who know the future.

        What is found is recorded, once; that a baseline was looked at is, too.
        """
        value = entry.score(self._run.metric)
        if value is None:
            return None
        limits, popularity = self._reached()
        best = limits.informed if rival is None else rival
        alarm = suspicious(value, limits, best, popularity)
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

    def _reached(self) -> tuple[Bounds, float]:
        """What can be reached, and what popularity reaches."""
        if self._reach is None:
            run = self._run
            fold, metric = run.fold("search"), parse_metric(run.metric)
            k = list_length(run.config.evaluate)
            lists = popularity_lists(fold.train, fold.queries, k, repeats=fold.repeats)
            labels = fold.labels
            values = per_user(lists, labels.indptr, labels.items, fold.train.n_items, [metric])
            self._reach = bounds(fold, metric, seed=run.seed), float(values[metric.name].mean())
        return self._reach
