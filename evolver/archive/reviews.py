"""What people say of candidates, and how it steers a search, also one that is running.

A review is a row that is added and never changed; the latest of its kind counts. The rows lie in
the run's own database, so a second process can review while the first one searches.
"""

from __future__ import annotations

import getpass
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
)

from evolver.core import Entry, Scored, Selector, Standing
from evolver.errors import UsageError

Action = Literal["approve", "reject", "pin", "ban", "clear", "comment"]
"""approve and reject are verdicts; pin: prefer as a parent; ban: never a parent again; clear takes
all of these back; comment: words for the next proposers. The others may have words too: reasons."""
ACTIONS: tuple[Action, ...] = get_args(Action)
MOST_WORDS = 2000

# A table of its own: an archive that was made before there were reviews gets it with the first one.
_table = Table(
    "reviews",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("action", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("created", Float, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One thing that one person said of one candidate. `created`: seconds since 1970."""

    number: int
    action: Action
    text: str = ""
    who: str = ""
    created: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """Where a candidate stands after all that was said of it."""

    verdict: Literal["", "approve", "reject"] = ""
    pinned: bool = False
    banned: bool = False
    comments: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    """What leaving out each of its parts was seen to do: measured, not said."""

    @property
    def standing(self) -> Standing:
        if self.banned or self.verdict == "reject":
            return "barred"
        if self.pinned:
            return "pinned"
        return "approved" if self.verdict == "approve" else ""

    @property
    def words(self) -> str:
        """The standing as text, for a table: "approved, pinned"."""
        said = {"approve": "approved", "reject": "rejected"}.get(self.verdict, "")
        marks = (said, "pinned" if self.pinned else "", "banned" if self.banned else "")
        return ", ".join(mark for mark in marks if mark)


class Reviews:
    """Reads and adds reviews in an archive's database. Safe to use from threads and processes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, number: int, action: Action, text: str = "", who: str = "") -> Review:
        """Record one review; durable on return. Raises UsageError on an empty or huge comment."""
        if action == "comment" and not text.strip():
            raise UsageError("a comment needs words")
        if len(text) > MOST_WORDS:
            raise UsageError(f"a comment may have {MOST_WORDS} characters; this has {len(text)}")
        made = Review(number=number, action=action, text=text.strip(), who=who, created=time.time())
        with self._engine.begin() as db:
            _table.create(db, checkfirst=True)
            db.execute(insert(_table).values(**asdict(made)))
        return made

    def all(self) -> list[Review]:
        """Every review, oldest first."""
        if not inspect(self._engine).has_table(_table.name):
            return []
        columns = [_table.c[f] for f in ("number", "action", "text", "who", "created")]
        with self._engine.connect() as db:
            rows = db.execute(select(*columns).order_by(_table.c.id)).mappings()
            return [Review(**row) for row in rows]

    def opinions(self) -> dict[int, Opinion]:
        """By number: what stands, for every candidate that was reviewed."""
        return opinions(self.all())


def opinions(reviews: Sequence[Review]) -> dict[int, Opinion]:
    """What stands after these reviews, in their order."""
    found: dict[int, Opinion] = defaultdict(Opinion)
    for review in reviews:
        before = found[review.number]
        if review.action in ("approve", "reject"):
            after = replace(before, verdict=review.action)
        elif review.action == "pin":
            after = replace(before, pinned=True, banned=False)
        elif review.action == "ban":
            after = replace(before, banned=True, pinned=False)
        elif review.action == "clear":
            after = Opinion(comments=before.comments)
        else:
            after = before
        if review.text:
            told = review.text if review.action == "comment" else f"{review.action}: {review.text}"
            after = replace(after, comments=(*after.comments, told))
        found[review.number] = after
    return dict(found)


def heeded(history: Sequence[Entry], said: Mapping[int, Opinion]) -> list[Entry]:
    """The same entries with what is thought of them."""
    return [
        e
        if (o := said.get(e.number)) is None
        else replace(e, remarks=o.comments, standing=o.standing, parts=o.parts)
        for e in history
    ]


def whoami() -> str:
    """The user's name, for reviews; "" where the machine knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user database
        return ""


@dataclass(frozen=True, slots=True)
class Steered:
    """A selector that heeds where entries stand with reviewers: what is barred is no parent; what
    is pinned takes every second turn as the first parent, what is approved every fourth.

    Where nobody reviewed it selects exactly what the selector inside does. Where somebody did, a
    repeated run needs the same reviews at the same time to propose the same candidates.
    """

    selector: Selector

    def select(self, history: Sequence[Entry], seed: int) -> Sequence[Entry]:
        """Parents, best suited first; empty while nothing is scored."""
        allowed = [e for e in history if e.standing != "barred"]
        parents = list(self.selector.select(allowed, seed))
        scored = [e for e in allowed if isinstance(e.evaluation, Scored)]
        pinned = [e for e in scored if e.standing == "pinned"] if seed % 2 == 0 else []
        approved = [e for e in scored if e.standing == "approved"] if seed % 4 == 1 else []
        turns = pinned or approved
        if turns:
            first = turns[seed // 4 % len(turns)]
            parents = [first, *(e for e in parents if e.number != first.number)]
        return parents
