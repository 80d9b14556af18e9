"""A pipeline as a document: a pool of agents, and the graph that says which of them serve how.

    name: two retrievers and a ranker
    agents:
      popularity: {stage: recall, program: zoo/popularity}
      ials: {stage: recall, program: zoo/ials, values: {factors: 64}}
      logistic: {stage: ranking, program: zoo/logistic_regression}
      mmr: {stage: reranking, program: my_mmr.py}
    graph:
      recall: {ials: 100, popularity: 50}   # who recalls, how many items each, in this order
      merge: {how: round_robin}
      ranking: logistic                     # or nothing: the merged order stands
      reranking: null                       # nothing: identity, the ranked order stands
      depth: 150                            # so many merged items are ranked
      head: 50                              # so many ranked items are re-ranked

A program is a file beside the document, `zoo/NAME`, or written out under `source`. A document that
is read is whole: it holds every program, so it means the same wherever it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evolver import zoo
from evolver.agents.notation import dump, load
from evolver.core import Failed, Value
from evolver.errors import ConfigError
from evolver.evaluate.check import Facts, check_values, complete_values, inspect_source

Stage = Literal["recall", "ranking", "reranking"]
Fusion = Literal["round_robin", "fusion", "learned"]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Quota = Annotated[int, Field(ge=1, le=1000)]

TASK_OF: Mapping[Stage, Literal["retrieval", "ranking", "reranking"]] = {
    "recall": "retrieval",
    "ranking": "ranking",
    "reranking": "reranking",
}
"""Which contract the program of an agent meets."""

Find = Callable[[str], str]
"""The program that a name stands for. Raises `ConfigError` where it stands for none."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentSpec(_Part):
    """One agent: where it may serve, its program, and the values of its tunables that are set."""

    stage: Stage
    source: str
    values: Mapping[str, int | float | str | bool] = {}


class MergeSpec(_Part):
    """How the lists of the recall agents become one.

    round_robin: their first items in turn, then their second. fusion: by the sum over agents of
    1 / (constant + place) (Cormack et al., 2009). learned: by the chance that none of the agents
    that list an item is right, from how often each was right at that place on inner labels.
    """

    how: Fusion = "round_robin"
    constant: Annotated[float, Field(gt=0, le=1000)] = 60.0


class GraphSpec(_Part):
    """Who serves: recall agents with their quotas, in the order of their turns; one ranking agent
    and one re-ranking agent at most."""

    recall: Mapping[Name, Quota]
    merge: MergeSpec = MergeSpec()
    ranking: str | None = None
    reranking: str | None = None
    depth: Annotated[int, Field(ge=1, le=2000)] = 150
    head: Annotated[int, Field(ge=1, le=500)] = 50


class Document(_Part):
    """A pipeline: the agents there are and the graph of those that serve."""

    name: str = "pipeline"
    agents: Mapping[Name, AgentSpec]
    graph: GraphSpec

    @model_validator(mode="after")
    def _fits(self) -> Document:
        if "graph" in self.agents:
            raise ValueError("no agent may be called graph; the graph's own parameters are")
        for name in self.graph.recall:
            self._check(name, "recall")
        later = (("ranking", self.graph.ranking), ("reranking", self.graph.reranking))
        for stage, serving in later:
            if serving is not None:
                self._check(serving, stage)
        if not self.graph.recall:
            raise ValueError("graph.recall names no agent; at least one has to recall")
        for name, agent in self.agents.items():
            found = inspected(agent.source, agent.stage)
            fault = found if isinstance(found, Failed) else check_values(found, agent.values)
            if fault is not None:
                raise ValueError(f"agent {name}: {fault.reason}")
        return self

    def _check(self, name: str, stage: str) -> None:
        agent = self.agents.get(name)
        if agent is None:
            raise ValueError(
                f"graph.{stage} names {name!r}, which is no agent; agents: {', '.join(self.agents)}"
            )
        if agent.stage != stage:
            raise ValueError(f"graph.{stage} names {name!r}, an agent for {agent.stage}")

    @property
    def serving(self) -> tuple[str, ...]:
        """The agents that serve, from recall to re-ranking."""
        later = (self.graph.ranking, self.graph.reranking)
        return (*self.graph.recall, *(name for name in later if name is not None))

    @property
    def outline(self) -> str:
        """Who serves, in a line: "ials+popularity → round robin → logistic_regression"."""
        later = (self.graph.ranking, self.graph.reranking)
        merged = (self.graph.merge.how.replace("_", " "),) if len(self.graph.recall) > 1 else ()
        return " → ".join(["+".join(self.graph.recall), *merged, *(n for n in later if n)])

    def pool(self, stage: Stage) -> tuple[str, ...]:
        """The agents of one stage, serving or not."""
        return tuple(name for name, agent in self.agents.items() if agent.stage == stage)

    def facts(self, name: str) -> Facts:
        """What an agent's program says of itself."""
        found = inspected(self.agents[name].source, self.agents[name].stage)
        if isinstance(found, Failed):
            raise ConfigError(f"agent {name}: {found.reason}")
        return found

    def values(self, name: str) -> dict[str, Value]:
        """The value of every tunable of an agent: its own, else the default."""
        return complete_values(self.facts(name), self.agents[name].values)

    def without(self, *names: str) -> Document:
        """The pipeline with these agents left out: nobody recalls, ranks or re-ranks in their
        place. It may be left without a recall agent; then everybody gets the fallback."""
        graph = self.graph
        kept = {name: quota for name, quota in graph.recall.items() if name not in names}
        return self.model_copy(
            update={
                "graph": graph.model_copy(
                    update={
                        "recall": kept,
                        "ranking": None if graph.ranking in names else graph.ranking,
                        "reranking": None if graph.reranking in names else graph.reranking,
                    }
                )
            }
        )

    def with_values(self, name: str, values: Mapping[str, Value]) -> Document:
        """The pipeline with other values for the tunables of one agent."""
        agent = self.agents[name].model_copy(update={"values": dict(values)})
        return self.model_copy(update={"agents": {**self.agents, name: agent}})

    def text(self) -> str:
        """The document as YAML, whole. Equal documents give equal text."""
        return dump(self.model_dump(mode="json"))

    def brief_text(self) -> str:
        """The document as YAML with the zoo's programs named, not written out."""
        found = self.model_dump(mode="json")
        for agent in found["agents"].values():
            name = zoo_name(agent["source"])
            if name is not None:
                del agent["source"]
                agent["program"] = f"zoo/{name}"
            if not agent["values"]:
                del agent["values"]
        return dump(found)


@lru_cache(maxsize=512)
def inspected(source: str, stage: Stage) -> Facts | Failed:
    """What a program says of itself: pipelines that are tried one after the other share most."""
    return inspect_source(source, TASK_OF[stage])


def zoo_name(source: str) -> str | None:
    """What the zoo calls this program; None where it is not the zoo's."""
    return _zoo().get(source)


@cache
def _zoo() -> Mapping[str, str]:
    return {zoo.source(name): name for name in zoo.names()}


def parse(text: str, beside: Path | None = None) -> Document:
    """The document that the YAML text holds; programs that are named are read, from the zoo or, if
    `beside` is given, from that folder. Raises `ConfigError` in one line for each fault."""
    return _parsed(text) if beside is None else build(load(text), _beside(beside))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Document:
    """A search asks for the documents that it has tried over and over."""
    return build(load(text), _nowhere)


def build(found: object, find: Find) -> Document:
    """The document that plain values hold. `find`: the programs that are named and are not the
    zoo's. Raises `ConfigError` in one line for each fault."""
    if not isinstance(found, dict):
        raise ConfigError("a pipeline holds 'agents' and 'graph' by name; see docs/pipelines.md")
    agents = found.get("agents")
    if isinstance(agents, dict):
        found = {**found, "agents": {str(n): _whole(n, a, find) for n, a in agents.items()}}
    try:
        return Document.model_validate(found)
    except ValidationError as error:
        raise ConfigError("; ".join(_said(fault) for fault in error.errors())) from None


def read(place: Path) -> Document:
    """The pipeline in a file. Raises `ConfigError` in one line that names the file."""
    try:
        return parse(place.read_text(encoding="utf-8"), place.parent)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {place}: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


def _whole(name: object, agent: object, find: Find) -> object:
    """An agent with its program written out."""
    if not isinstance(agent, dict) or "program" not in agent:
        return agent
    given: dict[str, Any] = dict(agent)
    program = str(given.pop("program"))
    try:
        if "source" in given:
            raise ConfigError("give a program or its source, not both")
        return {**given, "source": _of_zoo(program) or find(program)}
    except ConfigError as error:
        raise ConfigError(f"agent {name}: {error}") from None


def _of_zoo(program: str) -> str | None:
    """The zoo's program that is called so; None where the name is no name of the zoo's."""
    if not program.startswith("zoo/"):
        return None
    try:
        return zoo.source(program.removeprefix("zoo/"))
    except KeyError as error:
        raise ConfigError(str(error.args[0])) from None


def _nowhere(program: str) -> str:
    raise ConfigError(f"{program} is no zoo/NAME, and there is no folder to read")


def _beside(folder: Path) -> Find:
    def find(program: str) -> str:
        try:
            return (folder / program).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {program}: {error}") from None

    return find


def _said(fault: Any) -> str:
    where = ".".join(map(str, fault["loc"]))
    said = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "value_error" or isinstance(fault["input"], dict):
        return f"{where}: {said}" if where else said
    return f"{where}: {said}, not {fault['input']!r}"[:300]
