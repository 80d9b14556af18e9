"""`evolver space` as a user sees it."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.errors import UsageError
from tests.tune.test_language import write


def space(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["space", *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_show_lists_and_explains() -> None:
    assert "linear item-item models" in space("show")
    assert {s["name"] for s in json.loads(space("show", "--json"))} >= {"linear", "sequential"}
    assert "ridge penalty" in space("show", "linear")
    assert json.loads(space("show", "linear", "--json"))["default"]["items"] == "ease"


def test_sample_prints_a_candidate_or_writes_it(tmp_path: Path) -> None:
    ast.parse(space("sample", "linear", "--seed", "4"))
    assert space("sample", "linear", "--seed", "4") == space("sample", "linear", "--seed", "4")
    target = tmp_path / "c.py"
    found = json.loads(space("sample", "sequential", "--default", "-o", str(target), "--json"))
    assert target.read_text() == found["source"]


def test_check_says_what_is_wrong_with_a_template(tmp_path: Path) -> None:
    assert "linear: 3 points compile to 3 candidates and back" in space("check", "--samples", "2")
    write(tmp_path)
    with pytest.raises(UsageError, match="is no candidate: there is no top-level `class Model`"):
        space("check", str(tmp_path / "tiny.yaml"))
    write(tmp_path, template="def (")
    with pytest.raises(UsageError, match="compiles to no Python"):
        space("check", str(tmp_path / "tiny.yaml"))
    write(tmp_path, template="x = 1")
    with pytest.raises(UsageError, match="does not lead back"):
        space("check", str(tmp_path / "tiny.yaml"))


def test_a_sample_can_be_steered() -> None:
    found = json.loads(
        space("sample", "linear", "--set", "items=neighbours", "--set", "keep=33", "--json")
    )
    assert (found["point"]["items"], found["point"]["keep"]) == ("neighbours", 33)
    for given, message in (
        ("items=magic", "it must be one of 'ease', 'neighbours'"),
        ("colour=red", "give NAME=VALUE with one of items, l2"),
        ("l2=much", "it must be a number"),
        ("l2=9999", "it must be between 1 and 5000"),
    ):
        with pytest.raises(UsageError, match=message):
            space("sample", "linear", "--set", given)
    with pytest.raises(UsageError, match="keep does not exist in this point"):
        space("sample", "linear", "--set", "items=ease", "--set", "keep=33")


def test_a_candidate_leads_back_to_its_point(tmp_path: Path) -> None:
    file = tmp_path / "candidate.py"
    made = json.loads(space("sample", "linear", "--seed", "5", "-o", str(file), "--json"))
    assert json.loads(space("point", str(file))) == {"space": "linear", "point": made["point"]}
    file.write_text(file.read_text() + "x = 1\n")
    with pytest.raises(UsageError, match="is not, or no longer, what a point of linear"):
        space("point", str(file), "--space", "linear")
    with pytest.raises(UsageError, match="cannot read the candidate"):
        space("point", str(tmp_path / "none.py"))


def test_schema_is_json_for_editors(tmp_path: Path) -> None:
    assert "parameters" in json.loads(space("schema"))["properties"]
    space("schema", "-o", str(tmp_path / "space.schema.json"))
    assert (tmp_path / "space.schema.json").read_text() == space("schema")
