"""A second look at a candidate by another model, before it is trained. It advises and no more.

A defect that it names is sent back to the author once; whatever comes then is trained, and only
training decides what it is worth. What cannot be read is ignored, with a remark.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evolver.core import Brief, Entry
from evolver.errors import BudgetSpent, ProposerError
from evolver.propose.calls import Caller, Refused
from evolver.propose.parse import MAX_LINE_CHARS
from evolver.propose.prompts import Prompts
from evolver.propose.purse import Left
from evolver.text import one_line

log = logging.getLogger(__name__)

MOST_REPLY_CHARS = 20_000
MOST_DEFECTS = 5
Kind = Literal["order_leak", "unused_part", "wrong_sign", "popularity_collapse", "other"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Defect(_Strict):
    """One thing that is wrong, with the line of the file where it shows."""

    kind: Kind
    line: int = Field(ge=0, le=1_000_000)
    why: str = Field(min_length=1, max_length=2000)


class _Verdict(_Strict):
    verdict: Literal["pass", "defect"]
    defects: tuple[Defect, ...] = Field(max_length=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """What the reviewer said. `remark` is kept with the candidate; defects only where it read as
    an answer."""

    defects: Sequence[Defect] = ()
    remark: str = ""

    @property
    def words(self) -> str:
        """The defects as lines for the candidate's author."""
        return "\n".join(
            f"line {d.line} ({d.kind.replace('_', ' ')}): {one_line(d.why, MAX_LINE_CHARS)}"
            for d in self.defects[:MOST_DEFECTS]
        )


class Reviewer:
    """Asks `model` through `caller`: the same purse and ledger as the proposals."""

    def __init__(self, model: str, caller: Caller, prompts: Prompts) -> None:
        self.model = model
        self._caller = caller
        self._prompts = prompts

    def preflight(self, *, usd_left: float | None = None, tokens_left: int | None = None) -> None:
        """One tiny call. Raises ProposerError where the model cannot be used."""
        self._caller.preflight((self.model,), usd_left=usd_left, tokens_left=tokens_left)

    def close(self) -> None:
        """End every wait."""
        self._caller.close()

    def review(
        self, source: str, idea: str, parent: Entry | None, brief: Brief, left: Left
    ) -> Review:
        """What is wrong with a candidate. Never raises for want of an answer: none is a remark."""
        messages = self._prompts.review(brief, source, idea, parent)
        try:
            exchange = self._caller.ask((self.model,), messages, number=brief.number, left=left)
        except (ProposerError, BudgetSpent, Refused) as error:
            log.warning("candidate %d goes unreviewed: %s", brief.number, error)
            return Review(remark=f"not reviewed: {one_line(str(error), MAX_LINE_CHARS)}")
        return read(exchange.reply or "")


def read(reply: str) -> Review:
    """The answer in a reply: one JSON object, bare or in one fence, and nothing else."""
    text = reply.strip()
    if len(text) > MOST_REPLY_CHARS:
        return _ignored(f"{len(text):,} characters long")
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        text = text[text.index("\n") + 1 : -3].strip()
    try:
        found = _Verdict.model_validate_json(text)
    except ValidationError as error:
        return _ignored(one_line(str(error.errors()[0]["msg"]), 200))
    if (found.verdict == "defect") != bool(found.defects):
        return _ignored(f"verdict {found.verdict!r} with {len(found.defects)} defects")
    kinds = ", ".join(dict.fromkeys(d.kind.replace("_", " ") for d in found.defects))
    return Review(defects=found.defects, remark=f"reviewer saw: {kinds}" if kinds else "")


def _ignored(why: str) -> Review:
    return Review(remark=f"the review could not be read and was ignored: {why}")
