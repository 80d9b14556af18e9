"""A pipeline as whoever edits it sees it, and what an edited one stands for.

Programs are named, not written out: `zoo/NAME`, or `candidate/7/ials` for the program of agent ials
of candidate 7; so a text is short, and what is not to change cannot be changed by a slip. Only the
program that is to be worked on is written out. An answer may leave out what it keeps.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from evolver.agents.document import AgentSpec, Document, Find, build, zoo_name
from evolver.agents.notation import Inline, dump, load
from evolver.agents.rounds import REFINE, Step
from evolver.agents.space import pipeline_of
from evolver.core import Entry, Value
from evolver.errors import ConfigError
from evolver.evaluate.check import complete_values
from evolver.propose import parse

_LINE = 10_000
"""No line of a shown document is broken: edits quote whole lines."""
_RECORDED = re.compile(r"candidate/([0-9]{1,9})/([a-z][a-z0-9_]*)")

FORM = parse.Form(
    language="yaml",
    fences=frozenset({"yaml", "yml", "python", "py", ""}),
    holds=re.compile(rf"^(agents|graph):|{parse.PYTHON.holds.pattern}", re.MULTILINE),
    lacks="no block begins a line with `agents:` or `graph:`",
)
"""A document, or, where one agent is refined, the program of that agent alone."""


def shown(document: Document, number: int, written: Collection[str] = ()) -> str:
    """The document of candidate `number`, the programs of `written` written out, all others named;
    of values those that are not the program's own defaults."""
    agents = {n: _agent(document, n, number, written) for n in document.agents}
    graph = _graph(document)
    inline = {n: Inline(v) if isinstance(v, dict) else v for n, v in graph.items()}
    return dump({"agents": agents, "graph": inline}, width=_LINE)


def program_name(document: Document, name: str, number: int) -> str:
    """What the program of an agent of candidate `number` is called."""
    known = zoo_name(document.agents[name].source)
    return f"candidate/{number}/{name}" if known is None else f"zoo/{known}"


def chosen(document: Document, name: str) -> dict[str, Value]:
    """The values of an agent that are not its program's own defaults."""
    own = complete_values(document.facts(name), {})
    return {k: v for k, v in document.agents[name].values.items() if v != own[k]}


def _agent(
    document: Document, name: str, number: int, written: Collection[str]
) -> Mapping[str, Any]:
    agent, values = document.agents[name], chosen(document, name)
    given = {"values": Inline(values)} if values else {}
    if name not in written:
        program = program_name(document, name, number)
        return Inline(stage=agent.stage, program=program, **given)
    return {"stage": agent.stage, **given, "source": _tidy(agent.source)}


def _graph(document: Document) -> dict[str, Any]:
    """The graph without what it does not use."""
    graph = document.graph.model_dump(mode="json")
    if document.graph.merge.how != "fusion":
        del graph["merge"]["constant"]
    if len(document.graph.recall) < 2:
        del graph["merge"]
    for stage, length in (("ranking", "depth"), ("reranking", "head")):
        if graph[stage] is None:
            del graph[length]
    return graph


def _tidy(program: str) -> str:
    """The program as YAML can hold it line by line: no tabs, nothing blank at the end of a line."""
    return "\n".join(line.rstrip() for line in program.expandtabs(4).split("\n"))


def edited(text: str, parent: Document, find: Find, focus: str = "") -> Document:
    """The pipeline that an answer stands for, as a change to `parent`: agents that it does not name
    stay in the pool, an agent that it names keeps its stage, and without a program its program and
    values, where it says nothing of them, and the graph stays where it gives none. Where `focus` is
    given the text may be that agent's program alone.

    Raises `ConfigError` in one line.
    """
    found = _values(text, focus)
    agents = parent.model_dump(mode="json")["agents"]
    given = found.get("agents") or {}
    if not isinstance(given, dict):
        raise ConfigError("agents: give each agent by its name")
    for name, agent in given.items():
        agents[name] = _over(agents.get(name, {}), agent) if isinstance(agent, dict) else agent
    whole = {"name": parent.name, "graph": parent.graph.model_dump(mode="json")}
    return build({**whole, **found, "agents": agents}, find)


def _over(before: Mapping[str, Any], agent: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of an agent, over what it was; values belong to their program."""
    programmed = {"program", "source"} & agent.keys()
    kept = {"stage"} & before.keys() if programmed else before.keys()
    return {**{key: before[key] for key in kept}, **agent}


def _values(text: str, focus: str) -> dict[str, Any]:
    if not re.search(r"^(agents|graph):", text, re.MULTILINE):
        if not focus:
            raise ConfigError(
                "this is a program by itself; send the document, with the program under `source` "
                "of its agent"
            )
        return {"agents": {focus: {"source": text}}}
    found = load(text)
    if not isinstance(found, dict):
        raise ConfigError("a pipeline holds 'agents' and 'graph' by name")
    return found


def finder(entries: Sequence[Entry]) -> Find:
    """Programs by the names that `shown` gives them."""
    by_number = {entry.number: entry for entry in entries}

    def find(program: str) -> str:
        name = _RECORDED.fullmatch(program)
        if name is None:
            raise ConfigError(
                f"there is no program {program[:80]!r}; name zoo/NAME or "
                "candidate/NUMBER/AGENT, or write a program out under `source`"
            )
        entry = by_number.get(int(name[1]))
        agents = {} if entry is None else pipeline_of(entry.candidate).agents
        if name[2] not in agents:
            there = f"its agents are {', '.join(agents)}" if agents else "there is no such pipeline"
            raise ConfigError(f"there is no program {program!r}; {there}")
        return agents[name[2]].source

    return find


def fault(step: Step, base: Document, made: Document) -> str | None:
    """What a pipeline changes that its step does not allow, for its author; else None."""
    if step.kind == REFINE:
        return _beyond(step.agent, base, made)
    kept = [n for n in base.agents if n in made.agents]
    serving = {n for n in kept if n in base.serving and n in made.serving}
    changed = [
        n
        for n in kept
        if (base.agents[n].stage, base.agents[n].source)
        != (made.agents[n].stage, made.agents[n].source)
        or (n in serving and not _same(base, made, n))
    ]
    if not changed:
        return None
    return (
        f"this step recomposes the pipeline with its agents as they are, and {', '.join(changed)} "
        f"{'has' if len(changed) == 1 else 'have'} another program, stage or other values; leave "
        "that as it is, or give a new version a name of its own"
    )


def _beyond(agent: str, base: Document, made: Document) -> str | None:
    others = [n for n in made.agents if n != agent and not _same(base, made, n)]
    before, after = _graph(base), _graph(made)
    names = {**before, **after}
    moved = [n for n in names if str(before.get(n)) != str(after.get(n))]  # recall's order counts
    if made.agents[agent].stage != base.agents[agent].stage:
        others.append(f"the stage of {agent}")
    changed = [*others, *(f"graph.{name}" for name in moved)]
    if not changed:
        return None
    return (
        f"this step refines agent {agent} and nothing else, and the answer changes "
        f"{', '.join(changed)} too; leave that as it is"
    )


def _same(base: Document, made: Document, name: str) -> bool:
    """Whether an agent is the same in both, defaults written out or not."""
    return name in base.agents and _whole(base, name) == _whole(made, name)


def _whole(document: Document, name: str) -> AgentSpec:
    return document.agents[name].model_copy(update={"values": document.values(name)})
