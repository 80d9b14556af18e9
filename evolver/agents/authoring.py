"""Pipelines as `evolver.propose.language.Language`: documents, edited step by step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from evolver import zoo
from evolver.agents import editing, rewards
from evolver.agents.document import TASK_OF, Document, Stage, inspected, parse
from evolver.agents.rounds import step_of
from evolver.agents.space import pipeline_of
from evolver.agents.task import STAGE
from evolver.config import RewardConfig
from evolver.core import Brief, Candidate, Entry, Failed, Parameter, Scored
from evolver.errors import ConfigError
from evolver.evaluate.check import Facts
from evolver.propose.context import cell
from evolver.propose.operators import Plan

_ZOO: Mapping[Stage, Sequence[zoo.Baseline]] = {
    "recall": zoo.BASELINES,
    "ranking": zoo.RANKING,
    "reranking": zoo.RERANKING,
}
_UNKNOWN = "-"


class Authoring:
    """reward: what pipelines are worth. skipped: models of the zoo that are too large for the data.
    credit: what an agent of an entry was measured to earn, in words, by name, where it was."""

    form = editing.FORM
    folder = "pipeline"

    def __init__(
        self,
        reward: RewardConfig,
        skipped: Collection[str] = (),
        credit: Callable[[Entry], Mapping[str, str]] = lambda entry: {},
    ) -> None:
        self._reward = reward
        self._skipped = frozenset(skipped)
        self._credit = credit

    def told(
        self, brief: Brief, contract: Callable[..., str], example: Callable[[str], str]
    ) -> Mapping[str, Any]:
        return {
            "contract": contract(*TASK_OF.values()),
            "examples": {stage: example(task) for stage, task in TASK_OF.items()},
            "zoo": {stage: self._models(stage) for stage in _ZOO},
            "reward": self._reward,
            "costs": rewards.COSTS,
        }

    def whole(self, candidate: Candidate) -> str:
        return pipeline_of(candidate).text() if candidate.values else candidate.source

    def shown(self, candidate: Candidate, number: int, focus: str = "") -> str:
        return editing.shown(pipeline_of(candidate), number, (focus,))

    def reviewed(self, source: str, parent: Entry | None) -> str:
        """The programs that its parent does not have are written out."""
        made = parse(source)
        known = set() if parent is None else _sources(pipeline_of(parent.candidate))
        new = [n for n, agent in made.agents.items() if agent.source not in known]
        return editing.shown(made, 0 if parent is None else parent.number, new)

    def source(self, text: str, todo: Plan, brief: Brief) -> str | Failed:
        step = step_of(todo.direction)
        if step is None or todo.parent is None:
            raise ValueError("a pipeline is edited in a step, from a parent")
        shown = [e for e in (todo.base, todo.mate, todo.parent) if e is not None]
        find = editing.finder([*brief.history, *shown])
        try:
            parent = pipeline_of(todo.parent.candidate)
            made = editing.edited(text, parent, find, step.agent)
        except ConfigError as error:
            return Failed(kind="contract", reason=str(error))
        base = pipeline_of((todo.base or todo.parent).candidate)
        fault = editing.fault(step, base, made)
        return made.text() if fault is None else Failed(kind="contract", reason=fault)

    def named(self, source: str) -> tuple[str, str]:
        return parse(source).outline, "pipeline"

    def anatomy(self, entry: Entry) -> Sequence[Mapping[str, str]]:
        """The agents that serve, in their order."""
        document, credit = pipeline_of(entry.candidate), self._credit(entry)
        return [
            {
                "agent": name,
                "stage": document.agents[name].stage,
                "program": editing.program_name(document, name, entry.number),
                "what it is": cell(document.facts(name).doc or _UNKNOWN, 90),
                "inner reward": _metric(entry, f"{rewards.INNER}{name}"),
                "ms for a user": _metric(entry, f"{STAGE}{name}.latency_ms", 1),
                "seconds": _metric(entry, f"{STAGE}{name}.seconds", 1),
                "credit": credit.get(name, "not measured"),
            }
            for name in document.serving
        ]

    def dull(self, metric: str) -> bool:
        return "[" in metric or metric.startswith((rewards.INNER, STAGE))

    def _models(self, stage: Stage) -> Sequence[Mapping[str, str]]:
        """What there is to choose from: name, what it is, and its tunables."""
        found = []
        for model in _ZOO[stage]:
            facts = inspected(zoo.source(model.name), stage)
            if isinstance(facts, Facts) and model.name not in self._skipped:
                tunables = "; ".join(_range(p) for p in facts.tunables)
                found.append({"name": model.name, "doc": facts.doc, "values": tunables})
        return found


def _sources(document: Document) -> set[str]:
    return {agent.source for agent in document.agents.values()}


def _metric(entry: Entry, name: str, digits: int = 4) -> str:
    found = entry.evaluation.metrics if isinstance(entry.evaluation, Scored) else {}
    return f"{found[name]:.{digits}f}" if name in found else _UNKNOWN


def _range(parameter: Parameter) -> str:
    """ "factors 16 to 256, usually 64"."""
    if parameter.kind == "choice":
        choices = ", ".join(map(str, parameter.choices))
        return f"{parameter.name} one of {choices}, usually {parameter.default}"
    low, high = (f"{bound:g}" for bound in (parameter.low, parameter.high))
    return f"{parameter.name} {low} to {high}, usually {parameter.default:g}"
