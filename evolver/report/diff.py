"""What changed between a candidate and its parent, line by line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from evolver.core import Candidate
from evolver.text import printable

MOST_LINES = 1500
LONG, TOO_LONG = 1_000, 10_000
"""Lines of both sources together from which on lines that are frequent anchor nothing, and from
which on nothing is compared: the time grows with the square of them."""
Kind = Literal["add", "remove", "same", "hunk", "note"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a diff, safe to show. `old` and `new` are line numbers where it has one."""

    kind: Kind
    text: str
    old: int | None = None
    new: int | None = None

    @property
    def sign(self) -> str:
        return {"add": "+", "remove": "-"}.get(self.kind, " ")


def diff(parent: Candidate, child: Candidate, context: int = 3) -> list[Line]:
    """Changed lines with `context` around them; a note says how many lines were cut at the end, or
    that there are too many to compare."""
    before = printable(parent.source).splitlines()
    after = printable(child.source).splitlines()
    lines: list[Line] = []
    both = len(before) + len(after)
    if both > TOO_LONG:
        return [Line("note", f"{both:,} lines are too many to compare")]
    groups = difflib.SequenceMatcher(None, before, after, autojunk=both > LONG)
    for group in groups.get_grouped_opcodes(context):
        old, new = group[0][1], group[0][3]
        lines.append(Line("hunk", f"lines {old + 1}-{group[-1][2]} → {new + 1}-{group[-1][4]}"))
        for tag, a, b, c, d in group:
            if tag == "equal":
                pairs = zip(range(a, b), range(c, d), strict=True)
                lines += [Line("same", before[i], i + 1, j + 1) for i, j in pairs]
                continue
            lines += [Line("remove", before[i], old=i + 1) for i in range(a, b)]
            lines += [Line("add", after[j], new=j + 1) for j in range(c, d)]
    changed = _settings(parent, child)
    if changed:
        lines.append(Line("hunk", "settings"))
        lines += changed
    if not lines:
        lines.append(Line("note", "the same source and settings"))
    if len(lines) > MOST_LINES:
        cut = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], Line("note", f"{cut} more lines are not shown")]
    return lines


def _settings(parent: Candidate, child: Candidate) -> list[Line]:
    lines: list[Line] = []
    for name in sorted(parent.values.keys() | child.values.keys()):
        old, new = parent.values.get(name), child.values.get(name)
        if old == new and (name in parent.values) == (name in child.values):
            continue
        if name in parent.values:
            lines.append(Line("remove", printable(f"{name} = {old!r}")))
        if name in child.values:
            lines.append(Line("add", printable(f"{name} = {new!r}")))
    return lines
