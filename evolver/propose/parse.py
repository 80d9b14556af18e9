"""Turns a model's reply into a candidate's source, or into a reason that the model can use.

Replies are untrusted text: everything here takes one pass over the lines, with no pattern that
can backtrack, and refuses what is too long to be a candidate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evolver.core import Failed
from evolver.text import one_line

MAX_REPLY_CHARS = 400_000
MAX_SOURCE_CHARS = 100_000
MAX_EDITS = 50
MAX_LINE_CHARS = 300
"""An idea or an expectation is cut here."""

_FAMILY = re.compile(r"^FAMILY *= *[\"']([^\"'\n]{1,60})[\"']", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a whole candidate is recognised in a reply.

    language: what a fence around one says; fences: what else it may say. holds: a line that every
    candidate has, and lacks: what a reply without one is told.
    """

    language: str
    fences: frozenset[str]
    holds: re.Pattern[str]
    lacks: str


PYTHON = Form(
    language="python",
    fences=frozenset({"python", "py", "python3", ""}),
    holds=re.compile(r"^class Model\b", re.MULTILINE),
    lacks="no code block defines `class Model`",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `closed` is False where the reply ended inside it."""

    language: str
    text: str
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Whole lines to find exactly once, and the lines to put there."""

    search: str
    replace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reply holds: a whole file, or a parent with edits applied."""

    source: str
    idea: str
    expect: str
    edited: bool

    @property
    def unsaid(self) -> str:
        """What its author has to say before it runs and did not, for the author; else empty."""
        said = {"IDEA": self.idea, "EXPECT": self.expect}
        lines = " and ".join(f"`{line}: ...`" for line, words in said.items() if not words)
        return (
            f"there is no line {lines} outside of the code; say it in a sentence" if lines else ""
        )


def read(reply: str, parent: str | None = None, form: Form = PYTHON) -> Answer | Failed:
    """The candidate in `reply`. Edits are taken only where there is a `parent` to apply them to.

    A reply with a whole file is taken as a rewrite even where edits were asked for.
    """
    if len(reply) > MAX_REPLY_CHARS:
        return _failed(
            f"the reply has {len(reply):,} characters, more than {MAX_REPLY_CHARS:,}; send one file"
        )
    text = _without_thinking(reply.replace("\r\n", "\n"))
    if text is None:
        return _failed("the reply ended inside its reasoning, before any code; think less")
    if not text.strip():
        return _failed("the reply was empty")
    edits = _edits(text) if parent is not None else []
    source = _source(text, edits, parent, form)
    if isinstance(source, Failed):
        return source
    idea, expect = _said(text)
    return Answer(source=source, idea=idea, expect=expect, edited=bool(edits))


def _source(
    text: str, edits: Sequence[Edit] | Failed, parent: str | None, form: Form
) -> str | Failed:
    if isinstance(edits, Failed):
        return edits
    source = apply(edits, parent) if edits and parent is not None else _whole_file(text, form)
    if isinstance(source, str) and len(source) > MAX_SOURCE_CHARS:
        return _failed(f"the file has {len(source):,} characters, more than {MAX_SOURCE_CHARS:,}")
    return source


def family(source: str) -> str:
    """The kind of model that a candidate says it is."""
    found = _FAMILY.search(source)
    return found.group(1).strip() if found else "other"


def apply(edits: Sequence[Edit], source: str) -> str | Failed:
    """`source` after all edits, each of which must match whole lines exactly once."""
    if len(edits) > MAX_EDITS:
        return _failed(f"{len(edits)} edits, more than {MAX_EDITS}; send the whole file instead")
    text = source if source.endswith("\n") else source + "\n"
    for number, edit in enumerate(edits, start=1):
        if not edit.search.strip():
            return _failed(f"edit {number} has an empty SEARCH part; quote the lines to replace")
        places = _places(text, edit.search)
        if len(places) != 1:
            first = edit.search.strip().splitlines()[0][:80]
            why = (
                "is not in the file; copy whole lines exactly, indentation included"
                if not places
                else f"is in the file {len(places)} times; quote more lines around it"
            )
            return _failed(f"edit {number}: the SEARCH part that begins {first!r} {why}")
        start = places[0]
        text = text[:start] + edit.replace + text[start + len(edit.search) :]
    if text.strip() == source.strip():
        return _failed("the edits change nothing")
    return text


def _places(text: str, lines: str) -> list[int]:
    """Where `lines` occurs in `text` as whole lines; at most a few places are listed."""
    text, lines = "\n" + text, "\n" + lines  # found at line starts only, so few searches are made
    places: list[int] = []
    start = text.find(lines)
    while start != -1 and len(places) < 10:
        places.append(start)
        start = text.find(lines, start + 1)
    return places


def _whole_file(text: str, form: Form) -> str | Failed:
    blocks = list(_blocks(text))
    models = [block for block in blocks if form.holds.search(block.text)]
    closed = [block for block in models if block.closed]
    wanted = [block for block in closed if block.language in form.fences] or closed
    if wanted:
        return wanted[-1].text  # a reply that shows the old file or a draft first ends with the new
    if models:
        return _failed("the reply was cut before the code block ended; write a shorter file")
    send = f"send the whole file in one ```{form.language} block"
    if blocks:
        return _failed(f"{form.lacks}; {send}")
    if form.holds.search(text):
        return _failed(f"the code is not in a fence; send it in one ```{form.language} block")
    return _failed(f"the reply holds no code; {send}")


def _blocks(text: str) -> Iterator[Block]:
    """The fenced blocks in order (CommonMark's rule: a fence ends with one at least as long)."""
    fence = language = ""
    lines: list[str] = []
    for line in text.split("\n"):
        bare = line.strip()
        mark = bare[:1]
        run = len(bare) - len(bare.lstrip(mark)) if mark in ("`", "~") else 0
        if not fence:
            if run >= 3 and _outer(line) and "`" not in bare[run:]:
                fence = mark * run
                words = bare[run:].split()
                language = words[0].lower() if words else ""
                lines = []
        elif run >= len(fence) and mark == fence[0] and run == len(bare) and _outer(line):
            yield Block(language=language, text="\n".join(lines) + "\n", closed=True)
            fence = ""
        else:
            lines.append(line)
    if fence:
        yield Block(language=language, text="\n".join(lines) + "\n", closed=False)


def _outer(line: str) -> bool:
    """Whether a fence in `line` is one of the reply's, not one inside indented code."""
    return len(line) - len(line.lstrip()) <= 3


def _edits(text: str) -> list[Edit] | Failed:
    """The search/replace blocks of a reply, in or out of fences."""
    edits: list[Edit] = []
    part = ""
    search: list[str] = []
    replace: list[str] = []
    for line in text.split("\n"):
        bare = line.rstrip()
        if not part:
            if _marks(bare, "<", "SEARCH"):
                part, search, replace = "search", [], []
        elif part == "search":
            if _marks(bare, "=", ""):
                part = "replace"
            elif _marks(bare, "<", "SEARCH") or _marks(bare, ">", "REPLACE"):
                return _failed("a SEARCH part has no ======= after it")
            else:
                search.append(line)
        elif _marks(bare, ">", "REPLACE"):
            edits.append(Edit(search=_joined(search), replace=_joined(replace)))
            part = ""
        elif _marks(bare, "<", "SEARCH"):
            return _failed("a REPLACE part has no >>>>>>> REPLACE after it")
        else:
            replace.append(line)
    if part:
        return _failed("the reply was cut inside an edit; make fewer or smaller edits")
    return edits


def _marks(line: str, sign: str, word: str) -> bool:
    rest = line.lstrip(sign)
    return 5 <= len(line) - len(rest) <= 9 and rest.strip() == word


def _joined(lines: Sequence[str]) -> str:
    return "".join(line + "\n" for line in lines)


def _said(text: str) -> tuple[str, str]:
    """The first IDEA and EXPECT lines outside of code, with nothing invisible in them."""
    found = {"idea": "", "expect": ""}
    fenced = False
    for line in text.split("\n"):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced:
            continue
        bare = line[:2000].strip(" \t*#->_`")
        word, colon, rest = bare.partition(":")
        key = word.strip(" *_").lower()
        if colon and key in found and not found[key]:
            found[key] = one_line(rest.strip(" *_`"), MAX_LINE_CHARS)
    return found["idea"], found["expect"]


def _without_thinking(text: str) -> str | None:
    """`text` after its leading reasoning; None where it ends inside of it."""
    start = text.lstrip()
    for word in ("think", "thinking", "reasoning"):
        if start.startswith(f"<{word}>"):
            _, closed, rest = start.partition(f"</{word}>")
            return rest if closed else None
    head, closed, rest = text.partition("</think>")  # some servers swallow the opening tag
    return rest if closed and "```" not in head else text


def _failed(reason: str) -> Failed:
    return Failed(kind="contract", reason=reason)
