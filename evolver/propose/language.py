"""What candidates are written in: what an author is shown of one, and what an answer stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from evolver.core import Brief, Candidate, Entry, Failed
from evolver.propose import parse
from evolver.propose.operators import Plan
from evolver.propose.source import with_defaults


class Language(Protocol):
    """One kind of source. Whatever it says follows from its arguments alone.

    form: how a whole candidate looks in a reply. folder: in prompts/, of templates that come before
    the general ones of the same name; "" for none.
    """

    @property
    def form(self) -> parse.Form: ...

    @property
    def folder(self) -> str: ...

    def told(
        self, brief: Brief, contract: Callable[..., str], example: Callable[[str], str]
    ) -> Mapping[str, Any]:
        """What system.md.j2 may use beyond what it always may. `contract` takes the tasks whose
        contracts are wanted, `example` one task."""
        ...

    def whole(self, candidate: Candidate) -> str:
        """The source with the candidate's values as its defaults: what it is compared by."""
        ...

    def shown(self, candidate: Candidate, number: int, focus: str = "") -> str:
        """The text that an author sees of a candidate, and that edits apply to. focus: the part
        that is to change, as in `Plan`."""
        ...

    def reviewed(self, source: str, parent: Entry | None) -> str:
        """The text that a reviewer sees of an answer's source."""
        ...

    def source(self, text: str, todo: Plan, brief: Brief) -> str | Failed:
        """The source that an author's text stands for, or why it is not what was asked for."""
        ...

    def named(self, source: str) -> tuple[str, str]:
        """(name, family) of a new candidate."""
        ...

    def anatomy(self, entry: Entry) -> Sequence[Mapping[str, str]]:
        """What an entry is made of and what is known of each part: rows of a table, by column."""
        ...

    def dull(self, metric: str) -> bool:
        """Whether a metric is told by `anatomy` already."""
        ...


class Python:
    """One file that meets `evolver.contract`: shown, and answered, as it is."""

    form = parse.PYTHON
    folder = ""

    def told(
        self, brief: Brief, contract: Callable[..., str], example: Callable[[str], str]
    ) -> Mapping[str, Any]:
        return {"contract": contract(brief.task), "example": example(brief.task)}

    def whole(self, candidate: Candidate) -> str:
        return with_defaults(candidate.source, candidate.values)

    def shown(self, candidate: Candidate, number: int, focus: str = "") -> str:
        return self.whole(candidate)

    def reviewed(self, source: str, parent: Entry | None) -> str:
        return source

    def source(self, text: str, todo: Plan, brief: Brief) -> str | Failed:
        return text

    def named(self, source: str) -> tuple[str, str]:
        family = parse.family(source)
        return family, family

    def anatomy(self, entry: Entry) -> Sequence[Mapping[str, str]]:
        return ()

    def dull(self, metric: str) -> bool:
        return "[" in metric  # groups are in the diagnosis


PYTHON = Python()
