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
    write(tmp_path)
    assert "back" in space("check", str(tmp_path / "tiny.yaml"), "--samples", "5")
    write(tmp_path, template="def (")
    with pytest.raises(UsageError, match="compiles to no Python"):
        space("check", str(tmp_path / "tiny.yaml"))
    write(tmp_path, template="x = 1")
    with pytest.raises(UsageError, match="does not lead back"):
        space("check", str(tmp_path / "tiny.yaml"))


def test_schema_is_json() -> None:
    assert "parameters" in json.loads(space("schema"))["properties"]
