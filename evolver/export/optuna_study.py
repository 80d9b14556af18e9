"""A run as an Optuna study, for optuna-dashboard and Optuna's own plots and importances."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    check_distribution_compatibility,
)
from optuna.exceptions import OptunaError
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import SQLAlchemyError

from evolver.core import Entry, Evaluation, Failed, Parameter, Scored, Stopped, Value
from evolver.errors import UsageError
from evolver.evaluate.check import Facts, complete_values, inspect_source
from evolver.evaluate.tunables import value_fault
from evolver.text import encodable

NUMBER = "number"
"""The user attribute that says which candidate a trial is."""
_STATES: dict[type[Evaluation], TrialState] = {
    Scored: TrialState.COMPLETE,
    Stopped: TrialState.PRUNED,
    Failed: TrialState.FAIL,
}


def write_study(storage: str, name: str, entries: Iterable[Entry], metric: str) -> tuple[int, int]:
    """Add a trial for each entry that the study does not have yet. Returns how many were added,
    and how many it has then.

    `storage` is an URL as Optuna takes it, such as sqlite:///runs.db. Raises UsageError where it
    cannot be opened.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(
            storage=storage, study_name=name, direction="maximize", load_if_exists=True
        )
    except (ImportError, ValueError, OptunaError, SQLAlchemyError) as error:
        raise UsageError(
            f"Optuna cannot open {storage}: {str(error).splitlines()[0]}; "
            "give an URL such as sqlite:///study.db"
        ) from error
    study.set_user_attr("metric", metric)
    there = study.get_trials(deepcopy=False)
    known = {trial.user_attrs.get(NUMBER): trial.user_attrs.get("id") for trial in there}
    entries = list(entries)
    for entry in entries:
        if known.get(entry.number, entry.candidate.id) != entry.candidate.id:
            raise UsageError(
                f"{storage} holds another run's study {name}: its candidate {entry.number} is "
                f"{known[entry.number]}, this one's is {entry.candidate.id}; give --name"
            )
    names = _Names({k: d for trial in there for k, d in trial.distributions.items()})
    added = [_trial(e, metric, names) for e in entries if e.number not in known]
    study.add_trials(added)
    return len(added), len(there) + len(added)


class _Names:
    """What tunables are called in a study. Optuna wants one kind of distribution for a name;
    programs owe each other nothing, so each family has its own, and a clash gets a number."""

    def __init__(self, seen: dict[str, BaseDistribution]) -> None:
        self._seen = seen

    def of(self, family: str, parameter: Parameter, distribution: BaseDistribution) -> str:
        plain = name = f"{family or 'any family'}: {parameter.name}"
        again = 1
        while not self._fits(name, distribution):
            again += 1
            name = f"{plain} ({again})"
        self._seen.setdefault(name, distribution)
        return name

    def _fits(self, name: str, distribution: BaseDistribution) -> bool:
        try:
            check_distribution_compatibility(self._seen.get(name, distribution), distribution)
        except ValueError:
            return False
        return True


def _trial(entry: Entry, metric: str, names: _Names) -> FrozenTrial:
    params: dict[str, Value] = {}
    distributions: dict[str, BaseDistribution] = {}
    facts = inspect_source(entry.candidate.source)
    if isinstance(facts, Facts):
        values = complete_values(facts, entry.candidate.values)
        for parameter in facts.tunables:
            value = values.get(parameter.name)
            if value is None or value_fault(parameter, value) is not None:
                continue  # it failed for that
            distribution = _distribution(parameter)
            name = names.of(facts.family, parameter, distribution)
            params[name], distributions[name] = value, distribution
    return create_trial(
        state=_STATES[type(entry.evaluation)],
        value=entry.score(metric),
        params=params,
        distributions=distributions,
        user_attrs=_attributes(entry),
    )


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.kind == "choice":
        return CategoricalDistribution(parameter.choices)
    if parameter.kind == "int":
        return IntDistribution(int(parameter.low), int(parameter.high), log=parameter.log)
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def _attributes(entry: Entry) -> dict[str, Any]:
    """Who, why, and what else was measured, as JSON."""
    candidate, found = entry.candidate, entry.evaluation
    said: dict[str, Any] = {
        NUMBER: entry.number,
        "id": candidate.id,
        "parents": list(candidate.parents),
        "seconds": entry.seconds,
    }
    for name in ("name", "family", "proposer", "operator", "model", "idea"):
        said[name] = encodable(getattr(candidate, name) or "")
    if isinstance(found, Scored):
        costs = ("fit_seconds", "latency_ms_p50", "parameters", "peak_bytes")
        return said | {"metrics": dict(found.metrics)} | {c: getattr(found, c) for c in costs}
    kind = found.kind if isinstance(found, Failed) else "stopped"
    return said | {"status": kind, "reason": encodable(found.reason)}
