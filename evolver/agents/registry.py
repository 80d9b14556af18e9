"""Every version of every agent, which of them is the incumbent, and how that came about.

A file of events, one JSON object a line, to which lines are added and none is ever changed. What
holds now is what the events add up to, so a version that was replaced can be brought back.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from evolver.agents.document import AgentSpec, Stage
from evolver.core import Value
from evolver.errors import ArchiveError, UsageError

FILE = "agents.jsonl"
EventKind = Literal["registered", "promoted", "refused", "rolled back"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One program of an agent with its values; `origin` says which run and candidate it is from."""

    agent: str
    number: int
    stage: Stage
    source: str
    values: Mapping[str, Value]
    origin: str = ""

    @property
    def spec(self) -> AgentSpec:
        """The version as a pipeline holds it."""
        return AgentSpec(stage=self.stage, source=self.source, values=dict(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happened to one version, when, and why."""

    kind: EventKind
    agent: str
    version: int
    why: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0


class Registry:
    """The agents of one folder of runs."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / FILE
        self.events: list[Event] = []
        self._versions: dict[str, list[Version]] = {}
        for row in self._rows():
            self._take(row)

    @property
    def agents(self) -> tuple[str, ...]:
        """The agents that have a version, in the order of their first one."""
        return tuple(self._versions)

    def versions(self, agent: str) -> tuple[Version, ...]:
        """All versions of an agent, the first one first. Raises UsageError where there is none."""
        if agent not in self._versions:
            known = ", ".join(self._versions) or "none yet"
            raise UsageError(f"no agent is called {agent!r} in {self.place}; there are: {known}")
        return tuple(self._versions[agent])

    def incumbent(self, agent: str) -> Version:
        """The version that serves: the last one promoted or rolled back to, else the first."""
        versions = self.versions(agent)
        served = [e.version for e in self.events
                  if e.agent == agent and e.kind in ("promoted", "rolled back")]  # fmt: skip
        return versions[served[-1] - 1 if served else 0]

    def history(self, agent: str) -> tuple[Event, ...]:
        """What happened to an agent's versions, oldest first."""
        self.versions(agent)
        return tuple(each for each in self.events if each.agent == agent)

    def register(self, agent: str, spec: AgentSpec, origin: str = "") -> Version:
        """The version that this program with these values is; a new one where there is none."""
        known = self._versions.get(agent, [])
        if known and known[0].stage != spec.stage:
            raise UsageError(f"agent {agent} is for {known[0].stage}, not for {spec.stage}")
        for version in known:
            if (version.source, dict(version.values)) == (spec.source, dict(spec.values)):
                return version
        made = Version(
            agent=agent,
            number=len(known) + 1,
            stage=spec.stage,
            source=spec.source,
            values=dict(spec.values),
            origin=origin,
        )
        self._write("registered", made.number, agent, f"from {origin}", {"version": asdict(made)})
        return made

    def judged(self, version: Version, *, promoted: bool, why: str, **evidence: Any) -> None:
        """Record a verdict; a version that is promoted is the incumbent from now on."""
        kind: EventKind = "promoted" if promoted else "refused"
        self._write(kind, version.number, version.agent, why, evidence)

    def rollback(self, agent: str, to: int | None = None, why: str = "") -> Version:
        """Bring an earlier version back: the incumbent's predecessor, or the given one. Raises
        UsageError where there is no such version."""
        versions, now = self.versions(agent), self.incumbent(agent)
        if to is None:
            to = self._before(agent, now.number)
        if not 1 <= to <= len(versions):
            raise UsageError(f"agent {agent} has versions 1 to {len(versions)}, not {to}")
        if to == now.number:
            raise UsageError(f"version {to} of agent {agent} is the incumbent already")
        self._write("rolled back", to, agent, why or f"from version {now.number}", {})
        return versions[to - 1]

    def _before(self, agent: str, now: int) -> int:
        """The version that served before the incumbent was promoted."""
        served = [1] + [e.version for e in self.events
                        if e.agent == agent and e.kind in ("promoted", "rolled back")]  # fmt: skip
        earlier = [version for version in served if version != now]
        if not earlier:
            raise UsageError(f"agent {agent} has had one incumbent only; nothing to roll back to")
        return earlier[-1]

    def _rows(self) -> list[dict[str, Any]]:
        """The events of the file. A last line without an end was cut by a crash and never counted.

        Raises ArchiveError where another line cannot be read.
        """
        if not self.place.exists():
            return []
        lines = self.place.read_text(encoding="utf-8").split("\n")[:-1]
        try:
            return [json.loads(line) for line in lines]
        except json.JSONDecodeError as error:
            raise ArchiveError(f"{self.place} holds a line that is not JSON: {error}") from None

    def _write(
        self, kind: EventKind, version: int, agent: str, why: str, evidence: Mapping[str, Any]
    ) -> None:
        event = Event(
            kind=kind,
            agent=agent,
            version=version,
            why=why,
            evidence=evidence,
            created=time.time(),
        )
        self.place.parent.mkdir(parents=True, exist_ok=True)
        with self.place.open("ab") as file:
            if file.tell() and not self.place.read_bytes().endswith(b"\n"):
                file.truncate(self.place.read_bytes().rfind(b"\n") + 1)
            file.write(json.dumps(asdict(event), allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(json.loads(json.dumps(asdict(event))))

    def _take(self, row: Mapping[str, Any]) -> None:
        event = Event(**row)
        self.events.append(event)
        if event.kind == "registered":
            version = Version(**event.evidence["version"])
            self._versions.setdefault(version.agent, []).append(version)
