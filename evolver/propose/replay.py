"""Repeats the candidates of a recorded run by number: for tests, showcases, and other data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from evolver.core import Brief, Candidate, Entry, Failed, Unusable
from evolver.errors import BudgetSpent, ConfigError

_FIELDS = frozenset(field.name for field in fields(Candidate))


class ReplayProposer:
    """Proposes for each number what the record holds under it. Deterministic."""

    name = "replay"

    def __init__(self, record: Mapping[int, Candidate | Unusable]) -> None:
        if not record:
            raise ConfigError("the record to replay holds no candidate")
        self._record = dict(record)

    def propose(self, brief: Brief) -> Candidate | Unusable:
        """The recorded candidate, who proposed it included, so that it reads as it was. Raises
        BudgetSpent where the record ends."""
        found = self._record.get(brief.number)
        if found is None:
            raise BudgetSpent(f"the record to replay holds no candidate {brief.number}")
        return found


def recorded(entries: Iterable[Entry]) -> dict[int, Candidate | Unusable]:
    """What a run's history says was proposed; a proposal that never became a file with its
    reason."""
    return {
        entry.number: Unusable(asked=entry.candidate, why=entry.evaluation)
        if isinstance(entry.evaluation, Failed) and not entry.candidate.source
        else entry.candidate
        for entry in entries
    }


def write_record(record: Mapping[int, Candidate | Unusable], place: Path) -> None:
    """One JSON line for each number, in order; "failed" where what was asked for was not had."""
    with place.open("w", encoding="utf-8") as file:
        for number in sorted(record):
            proposal = record[number]
            row: dict[str, Any] = {"number": number}
            if isinstance(proposal, Unusable):
                row |= {"candidate": asdict(proposal.asked), "failed": asdict(proposal.why)}
            else:
                row["candidate"] = asdict(proposal)
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def read_record(place: Path) -> dict[int, Candidate | Unusable]:
    """What `write_record` wrote. Raises ConfigError with the line that cannot be read."""
    try:
        lines = place.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the record to replay at {place}: {error}") from None
    record: dict[int, Candidate | Unusable] = {}
    for index, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            record[int(row["number"])] = _proposal(row)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{place}, line {index}, is no recorded candidate: {error}") from None
    return record


def _proposal(row: Mapping[str, Any]) -> Candidate | Unusable:
    given = row.get("candidate", {"source": ""}) if "failed" in row else row["candidate"]
    unknown = set(given) - _FIELDS
    if unknown or not isinstance(given.get("source"), str):
        raise ValueError(f"unknown fields {sorted(unknown)}" if unknown else "no source")
    candidate = Candidate.of(given)
    if "failed" in row:
        return Unusable(asked=candidate, why=Failed(**row["failed"]))
    return candidate
