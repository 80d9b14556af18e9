"""A run as MLflow runs: one for the search, and under it one for each candidate."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from sqlalchemy.exc import SQLAlchemyError

from evolver.core import Entry, Evaluation, Failed, Scored, Stopped
from evolver.errors import UsageError
from evolver.evaluate.check import Facts, complete_values, inspect_source
from evolver.text import encodable, printable

RUN, NUMBER, ID = "evolver.run", "evolver.number", "evolver.candidate"
"""Tags by which what was logged before is found again."""
_PAGE = 1000
_STATUS: dict[type[Evaluation], str] = {Scored: "FINISHED", Stopped: "KILLED", Failed: "FAILED"}
_COSTS = ("fit_seconds", "score_seconds", "latency_ms_p50", "latency_ms_p99")
_SIZES = ("parameters", "peak_bytes")


def log_runs(
    entries: Sequence[Entry],
    metric: str,
    *,
    uri: str,
    experiment: str,
    name: str,
    settings: Mapping[str, Any],
) -> tuple[int, int]:
    """Log what `uri` does not have yet of the run `name`. Returns how many candidates were added,
    and how many it has then.

    What was begun and not ended, by a process that was killed, is logged again into the same MLflow
    run. Raises UsageError where the store cannot be used, or holds another run of that name.
    """
    try:
        log = _Log(uri, experiment, name)
        return log.all(entries, metric, settings)
    except (MlflowException, SQLAlchemyError, OSError) as error:
        reason = printable(str(error)).strip().splitlines()[0]
        raise UsageError(
            f"MLflow at {uri}: {reason}; give a tracking server or sqlite:///mlflow.db"
        ) from error


class _Log:
    """One run of evolver in one experiment of a tracking store."""

    def __init__(self, uri: str, experiment: str, name: str) -> None:
        self._client = MlflowClient(tracking_uri=uri)
        found = self._client.get_experiment_by_name(experiment)
        self._experiment: str = (
            found.experiment_id if found else self._client.create_experiment(experiment)
        )
        self._name = name

    def all(
        self, entries: Sequence[Entry], metric: str, settings: Mapping[str, Any]
    ) -> tuple[int, int]:
        known = {run.data.tags.get(NUMBER): run for run in self._known()}
        parent = known.pop(None).info.run_id if None in known else self._begin(self._name, {})
        self._client.log_dict(parent, dict(settings), "config.json")
        added = []
        for entry in entries:
            there = known.get(str(entry.number))
            if there is not None and there.data.tags.get(ID) != entry.candidate.id:
                raise UsageError(
                    f"MLflow holds another run named {self._name}: its candidate {entry.number} is "
                    f"{there.data.tags.get(ID)}, this one's is {entry.candidate.id}; give --name"
                )
            if there is None or there.info.status == "RUNNING":
                self._candidate(entry, parent, there and there.info.run_id)
                added.append(entry)
        self._progress(parent, entries, metric)
        self._client.set_terminated(parent)
        return len(added), len(entries)

    def _known(self) -> Iterable[Any]:
        """Every MLflow run that belongs to this one."""
        token = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=f"tags.`{RUN}` = '{self._name}'",
                max_results=_PAGE,
                page_token=token,
            )
            yield from page
            token = page.token
            if not token:
                return

    def _begin(self, title: str, tags: Mapping[str, str]) -> str:
        made = self._client.create_run(
            self._experiment, run_name=title, tags={RUN: self._name, **tags}
        )
        return str(made.info.run_id)

    def _candidate(self, entry: Entry, parent: str, begun: str | None) -> None:
        candidate = entry.candidate
        title = printable(f"#{entry.number} {candidate.name}".strip())
        here = begun or self._begin(
            title,
            {NUMBER: str(entry.number), ID: candidate.id, MLFLOW_PARENT_RUN_ID: parent},
        )
        now = int(time.time() * 1000)
        self._client.log_batch(
            here,
            metrics=[Metric(k, v, now, entry.number) for k, v in _metrics(entry).items()],
            params=[Param(k, str(v)) for k, v in _params(entry).items()],
            tags=[RunTag(k, v) for k, v in _tags(entry).items()],
        )
        self._client.log_text(here, encodable(candidate.source), "candidate.py")
        self._client.set_terminated(here, status=_STATUS[type(entry.evaluation)])

    def _progress(self, parent: str, entries: Sequence[Entry], metric: str) -> None:
        """The best so far, by the number of the candidate."""
        name = f"best {_key(metric)}"
        there = {point.step for point in self._client.get_metric_history(parent, name)}
        best, points = float("-inf"), []
        for entry in sorted(entries, key=lambda e: e.number):
            score = entry.score(metric)
            best = best if score is None else max(best, score)
            if entry.number not in there and best > float("-inf"):
                points.append(Metric(name, best, int(time.time() * 1000), entry.number))
        for start in range(0, len(points), _PAGE):
            self._client.log_batch(parent, metrics=points[start : start + _PAGE])


def _metrics(entry: Entry) -> dict[str, float]:
    found = entry.evaluation
    seconds = {"seconds": entry.seconds}
    if not isinstance(found, Scored):
        return seconds
    costs = {name: float(getattr(found, name)) for name in (*_COSTS, *_SIZES)}
    return {_key(name): value for name, value in found.metrics.items()} | costs | seconds


def _params(entry: Entry) -> dict[str, Any]:
    facts = inspect_source(entry.candidate.source)
    if not isinstance(facts, Facts):
        return {_key(name): value for name, value in entry.candidate.values.items()}
    values = complete_values(facts, entry.candidate.values)
    return {_key(name): value for name, value in values.items()}


def _tags(entry: Entry) -> dict[str, str]:
    candidate, found = entry.candidate, entry.evaluation
    tags = {
        f"evolver.{name}": printable(str(getattr(candidate, name) or ""))
        for name in ("family", "proposer", "operator", "model", "direction", "idea")
    }
    tags["evolver.parents"] = " ".join(candidate.parents)
    if isinstance(found, Failed):
        tags |= {"evolver.failed": found.kind, "evolver.reason": printable(found.reason)}
    elif isinstance(found, Stopped):
        tags |= {"evolver.stopped": found.fidelity, "evolver.reason": printable(found.reason)}
    return {name: text for name, text in tags.items() if text}


def _key(name: str) -> str:
    """A name that MLflow takes: ndcg@10 becomes ndcg_at_10."""
    return re.sub(r"[^\w./ -]", "_", name.replace("@", "_at_"), flags=re.ASCII)[:250]
