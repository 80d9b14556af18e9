"""A recorded run is repeated exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evolver.core import Candidate, Failed, Unusable
from evolver.errors import BudgetSpent, ConfigError
from evolver.propose.replay import ReplayProposer, read_record, recorded, write_record
from tests.propose.samples import brief, crashed, entry

NO_CODE = Unusable(
    asked=Candidate(source="", direction="loss", model="m", passed_over=("n",)),
    why=Failed(kind="contract", reason="no code"),
)

FULL = Candidate(
    source="class Model:\n    x = 'ü\u2028'\n",
    values={"a": 1, "b": 0.1, "c": "x", "d": True},
    parents=("0123456789ab",),
    name="n",
    idea="i",
    family="f",
    proposer="llm",
    operator="edit",
    point={"k": 2},
    space="s",
    prompt_hash="h",
    model="m",
    direction="loss",
    expect="e",
)


def test_a_record_survives_the_file(tmp_path: Path) -> None:
    history = [
        entry(0, 0.2),
        replace(entry(3, 0.2), candidate=FULL),
        entry(4, crashed()),
        replace(entry(5, NO_CODE.why), candidate=NO_CODE.asked),
    ]
    record = recorded(history)
    assert record[5] == NO_CODE
    assert record[4] == history[2].candidate
    write_record(record, tmp_path / "r.jsonl")
    assert read_record(tmp_path / "r.jsonl") == record


def test_a_failure_without_what_was_asked_for_is_read(tmp_path: Path) -> None:
    place = tmp_path / "r.jsonl"
    place.write_text('{"number": 5, "failed": {"kind": "contract", "reason": "no code"}}\n')
    assert read_record(place) == {5: replace(NO_CODE, asked=Candidate(source=""))}


def test_replay_is_by_number_and_ends_with_the_record() -> None:
    proposer = ReplayProposer({7: FULL})
    assert proposer.propose(brief(number=7)) == FULL
    with pytest.raises(BudgetSpent):
        proposer.propose(brief(number=8))


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"number": 1}',
        '{"number": 1, "candidate": {"source": 3}}',
        '{"number": 1, "candidate": {"source": "", "x": 3}}',
        '{"number": "a", "candidate": {"source": ""}}',
    ],
)
def test_a_broken_record_names_its_line(tmp_path: Path, text: str) -> None:
    place = tmp_path / "r.jsonl"
    place.write_text(f"\n{text}\n")
    with pytest.raises(ConfigError, match="line 2"):
        read_record(place)


def test_a_missing_or_empty_record_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        read_record(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="no candidate"):
        ReplayProposer({})
