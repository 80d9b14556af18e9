"""Mistakes in a space file are told with the field and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from evolver.errors import ConfigError
from evolver.tune.space import Space, load_space

GOOD: dict[str, Any] = {
    "name": "tiny",
    "title": "a tiny space",
    "family": "Tiny: {{ way }}",
    "label": "tiny {{ way }}",
    "idea": "Goes {{ way }}.",
    "description": "For tests.",
    "template": "tiny.py.j2",
    "parameters": {
        "way": {"kind": "choice", "choices": ["left", "right"], "default": "left"},
        "speed": {"kind": "float", "low": 0.1, "high": 10, "log": True, "default": 1},
        "turns": {"kind": "int", "low": 1, "high": 9, "default": 3, "when": {"way": "right"}},
        "end": {"kind": "choice", "choices": [True, False], "default": True},
    },
    "constraints": [{"forbid": {"way": "right", "end": False}, "why": "it would not stop"}],
}
TEMPLATE = '"""{{ header }}"""\n{{ tunables }}\nWAY = "{{ way }}"\n'


def write(folder: Path, change: dict[str, Any] | None = None, template: str = TEMPLATE) -> Space:
    (folder / "tiny.py.j2").write_text(template)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **(change or {})}, sort_keys=False))
    return load_space(path)


def parameters(**changes: Any) -> dict[str, Any]:
    return {"parameters": {**GOOD["parameters"], **changes}}


def test_a_good_space_compiles(tmp_path: Path) -> None:
    space = write(tmp_path)
    candidate = space.compile({"way": "right", "speed": 2.0, "turns": 4, "end": True})
    assert '"turns": Int(1, 9, default=4)' in candidate.source
    assert '"speed": Float(0.1, 10.0, default=2.0, log=True)' in candidate.source
    assert (candidate.family, candidate.name) == ("tiny: right", "tiny right")
    assert space.point_of(candidate) == candidate.point
    assert "turns" not in space.default()


def test_constraints_refuse_and_repair_mends(tmp_path: Path) -> None:
    space = write(tmp_path)
    broken = {"way": "right", "speed": 2.0, "turns": 4, "end": False}
    with pytest.raises(ConfigError, match="way right with end False is ruled out: it would not"):
        space.compile(broken)
    assert space.repair(broken) == {"way": "right", "speed": 2.0, "turns": 4, "end": True}
    mended = space.repair({"way": "up", "speed": 99, "turns": 4, "colour": "red"})
    assert mended == {"way": "left", "speed": 10.0, "end": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "colour: Extra inputs"),
        ({"name": "Bad Name"}, "name: a name is lower-case"),
        ({"template": "../x.j2"}, "template: the template is the name"),
        ({"parameters": {}}, "parameters: "),
        (parameters(way={"kind": "choice", "choices": ["a"], "default": "a"}), "at least 2"),
        (parameters(way={"kind": "choice", "choices": ["a", "b"], "default": "c"}), "'c' is not"),
        (parameters(end={"kind": "choice", "choices": [1, "1"], "default": 1}), "written alike"),
        (parameters(speed={"kind": "float", "low": 2, "high": 1, "default": 1}), "must be below"),
        (parameters(speed={"kind": "int", "low": 0.5, "high": 2, "default": 1}), "be whole"),
        (
            parameters(speed={"kind": "float", "low": 0, "high": 1, "default": 1, "log": True}),
            "low above 0",
        ),
        (
            parameters(x={"kind": "int", "low": 0, "high": 1, "default": 1, "when": {"no": 1}}),
            "names 'no', which is no earlier choice",
        ),
        (
            parameters(x={"kind": "int", "low": 0, "high": 1, "default": 1, "when": {"way": "up"}}),
            "names 'up', which is no value of way",
        ),
        ({"constraints": [{"forbid": {"speed": 1}, "why": "x"}]}, "no earlier choice"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, change)


def test_templates_are_strict_and_sandboxed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'nothing' is undefined"):
        write(tmp_path, template="{{ nothing }}").compile({"way": "left", "speed": 1, "end": True})
    with pytest.raises(ConfigError, match="line 2"):
        write(tmp_path, template="x\n{% if %}").compile({"way": "left", "speed": 1, "end": True})
    unsafe = write(tmp_path, template="{{ way.__class__.__mro__ }}")
    with pytest.raises(ConfigError, match="unsafe"):
        unsafe.compile(unsafe.default())
    with pytest.raises(ConfigError, match=r"cannot read the search space .*none\.yaml"):
        load_space(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_space(tmp_path / "bad.yaml")
