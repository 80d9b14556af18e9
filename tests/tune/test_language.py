"""Mistakes in a space file are told with the field and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.core import Candidate, Observation
from evolver.errors import ConfigError
from evolver.resources import folder
from evolver.tune.controller import Reinforce
from evolver.tune.environment import SpaceEnv
from evolver.tune.language import schema_text
from evolver.tune.points import key, problem
from evolver.tune.registry import TUNERS, tuner
from evolver.tune.sampling import random_point, seeded
from evolver.tune.space import Space, bundled, load_space

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
WIDTH: dict[str, Any] = {"kind": "int", "low": 8, "high": 64, "default": 16}
REPEAT: dict[str, Any] = {
    "kind": "repeat",
    "low": 0,
    "high": 3,
    "default": 1,
    "part": "block",
    "of": {"way": {"kind": "choice", "choices": ["dense", "gated"], "default": "dense"}},
}
NET: dict[str, Any] = {
    "order": {"kind": "permutation", "of": ["norm", "dense", "drop"], "about": "what comes first"},
    "layers": {
        **REPEAT,
        "part": "layer",
        "of": {
            "way": {"kind": "choice", "choices": ["dense", "gated"], "default": "dense"},
            "width": {**WIDTH, "when": {"way": "dense"}},
        },
    },
    "graph": {
        **REPEAT,
        "kind": "wiring",
        "high": 3,
        "default": 2,
        "when": {"way": ["left", "right"]},
    },
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
        (
            {"colour": 1},
            r"tiny.yaml:\d+: colour: there is no such key here; allowed: name, task, t",
        ),
        ({"name": "Bad Name"}, "name: a name is lower-case"),
        ({"template": "../x.j2"}, "template: the template is the name"),
        ({"parameters": {}}, "parameters: "),
        (
            parameters(way={"kind": "choice", "choices": ["a"], "default": "a"}),
            "at least 2 entries",
        ),
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
            "x.when: `when` names 'no', which is no earlier choice; these are: way, end",
        ),
        (
            parameters(x={"kind": "int", "low": 0, "high": 1, "default": 1, "when": {"way": "up"}}),
            "names 'up', which is no value of way; these are: left, right",
        ),
        ({"constraints": [{"forbid": {"speed": 1}, "why": "x"}]}, "no earlier choice"),
        ({"constraints": [{"why": "x"}]}, "give either `forbid` or `ascending`"),
        ({"constraints": [{"ascending": ["speed", "way"], "why": "x"}]}, "'way', which is no num"),
        ({"constraints": [{"forbid": {"way": {"over": 1}}, "why": ""}]}, "allowed: above, below"),
        (parameters(end={"kind": "choice", "choices": [False, "on"], "default": "on"}), "YAML re"),
        (parameters(x={"kind": "categorical"}), "kind 'categorical' is unknown; it is one of cho"),
        (parameters(x={"low": 1}), "`kind` is missing; it is one of choice, int, float, permutat"),
        (parameters(x={"kind": "int", "low": 1, "high": 2}), "`default` is missing"),
        (parameters(x={"kind": "permutation", "of": ["a", "a"]}), "a name is listed twice"),
        (parameters(x={**REPEAT, "default": 9}), "default 9 is outside 0 to 3"),
        (parameters(x={**REPEAT, "part": "way", "of": {"": WIDTH}}), "'' is no name"),
        (parameters(x={**REPEAT, "of": {"inputs": WIDTH}}), "cannot be called 'inputs'"),
        (
            parameters(x={**REPEAT, "of": {"width": {**WIDTH, "when": {"way": "left"}}}}),
            "`when` of width must name an earlier one of: there is none",
        ),
        (parameters(x={**REPEAT, "kind": "wiring", "high": 12, "fan_in": 4}), "more than 64"),
        (parameters(x1_way=WIDTH, x={**REPEAT, "part": "x"}), "two parameters are named 'x1_way'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write(tmp_path, change)


def test_templates_are_strict_and_sandboxed(tmp_path: Path) -> None:
    space = write(tmp_path)
    with pytest.raises(ConfigError, match="'nothing' is undefined"):
        write(tmp_path, template="{{ nothing }}").compile({"way": "left", "speed": 1, "end": True})
    with pytest.raises(ConfigError, match=r"template, line 3: 'nothing' is undefined"):
        write(tmp_path, template="\n\n{{ nothing }}").compile(space.default())
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
    (tmp_path / "bad.yaml").write_text("- a")
    with pytest.raises(
        ConfigError, match="a space file is a mapping with the keys name, task, title"
    ):
        load_space(tmp_path / "bad.yaml")


def test_the_line_and_the_key_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "tiny.yaml"
    good = path.read_text()
    lines = good.splitlines()
    wrong = next(n for n, line in enumerate(lines) if "high: 9" in line)
    path.write_text(good.replace("high: 9", "hihg: 9"))
    with pytest.raises(ConfigError) as told:
        load_space(path)
    assert f"tiny.yaml:{wrong + 1}: parameters.turns.hihg: there is no such key" in str(told.value)
    assert str(told.value).endswith("did you mean `high`? (and 1 more)")
    path.write_text(good + "name: twice\n")
    with pytest.raises(ConfigError, match=rf":{len(lines) + 1}: the key 'name' is there already"):
        load_space(path)
    path.write_text(good.replace("- left\n", "- [left]\n", 1))
    with pytest.raises(ConfigError, match=r"choices\.0: \['left'\] is not a word, a number"):
        load_space(path)


def test_numbers_can_be_ruled_out_and_put_in_order(tmp_path: Path) -> None:
    last = {"kind": "float", "low": 0.1, "high": 20, "default": 5}
    rules = [
        {"forbid": {"way": "right", "speed": {"above": 5}}, "why": "it would tip over"},
        {"ascending": ["speed", "last"], "why": "it must not slow down"},
    ]
    space = write(tmp_path, {**parameters(last=last), "constraints": rules})
    fast = {"way": "right", "speed": 7.0, "turns": 3, "end": True, "last": 9.0}
    with pytest.raises(ConfigError, match="way right with speed above 5 is ruled out: it would"):
        space.validate(fast)
    assert space.repair(fast) == {**fast, "speed": 5.0}
    slowing = {"way": "left", "speed": 7.0, "end": True, "last": 2.0}
    with pytest.raises(ConfigError, match="speed, last must not fall: it must not slow down"):
        space.validate(slowing)
    assert space.repair(slowing) == {**slowing, "last": 7.0}
    for n in range(200):
        space.validate(space.repair(random_point(space.parameters, seeded(n))))


def net(folder: Path) -> Space:
    template = TEMPLATE + (
        "ORDER = {{ order }}\n"
        "{% for layer in layers %}"
        '{{ layer.name | upper }} = "{{ layer.way }}", {{ layer.width is defined }}\n'
        "{% endfor %}"
        "{% for block in graph %}"
        '{{ block.name | upper }} = {{ block.inputs }}, "{{ block.way }}"\n'
        "{% endfor %}"
        "OUTPUTS = {{ graph_outputs }}\n"
    )
    return write(folder, parameters(**NET), template)


def run(source: str) -> dict[str, Any]:
    found: dict[str, Any] = {"Int": lambda *_, **__: 0, "Float": lambda *_, **__: 0.0}
    exec(source, found)
    return found


def test_orders_parts_and_wirings_reach_the_template(tmp_path: Path) -> None:
    space = net(tmp_path)
    found = run(space.compile(space.default()).source)
    assert found["ORDER"] == ["norm", "dense", "drop"]
    assert found["LAYER1"] == ("dense", True)
    assert (found["BLOCK1"], found["BLOCK2"]) == ((["input"], "dense"), (["block1"], "dense"))
    assert found["OUTPUTS"] == ["block2"]
    point = space.default() | {"order_dense": 1, "order_drop": 2, "layer1_way": "gated", "graph": 3}
    point |= {"block2_from": "input", "block3_from": "input+block1", "block3_way": "gated"}
    del point["layer1_width"]
    candidate = space.compile(point)
    found = run(candidate.source)
    assert found["ORDER"] == ["drop", "dense", "norm"]
    assert "    order: drop, dense, norm" in candidate.source
    assert found["LAYER1"] == ("gated", False)
    assert found["BLOCK3"] == (["input", "block1"], "gated")
    assert found["OUTPUTS"] == ["block2", "block3"]
    with pytest.raises(ConfigError, match="block3_from exists only when graph is 3"):
        space.validate({**point, "graph": 2})


def test_every_order_and_every_wiring_is_one_point(tmp_path: Path) -> None:
    space = net(tmp_path)
    orders = {
        tuple(
            run(space.compile(space.complete({"order_dense": a, "order_drop": b})).source)["ORDER"]
        )
        for a in range(2)
        for b in range(3)
    }
    assert len(orders) == 6
    by_name = {p.name: p for p in space.parameters}
    assert by_name["block3_from"].choices == (
        *("input", "block1", "block2"),
        *("input+block1", "input+block2", "block1+block2"),
    )
    assert by_name["block1_way"].when == ("graph", (1, 2, 3))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_points_of_nets_and_their_files_lead_to_each_other(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    space = net(tmp_path_factory.getbasetemp())
    point = space.repair(random_point(space.parameters, seeded(seed)))
    assert space.point_of(Candidate(source=space.compile(point).source)) == point


@pytest.mark.parametrize("name", sorted(set(TUNERS) - {"gp", "ppo"}))
def test_searchers_wire_and_order(name: str, tmp_path: Path) -> None:
    which, trials = (Reinforce(updates=1), 3) if name == "rl" else (tuner(name), 6)
    space = net(tmp_path)
    observed: list[Observation] = []
    for number in range(trials):
        point = which.suggest(space.parameters, observed, number)
        assert problem(space.parameters, point) is None
        space.compile(space.repair(point))
        observed.append(Observation(point=point, score=float(len(point))))
    assert len({key(o.point) for o in observed}) == trials


def test_the_controllers_environment_masks_what_a_part_cannot_be_wired_to(tmp_path: Path) -> None:
    space = net(tmp_path)
    environment, rng = SpaceEnv(space.parameters, lambda point: 1.0), np.random.default_rng(0)
    for _ in range(20):
        environment.reset()
        done, info = False, {}
        while not done:
            allowed = np.flatnonzero(environment.action_masks())
            _, _, done, _, info = environment.step(np.int64(rng.choice(allowed)))
        space.compile(space.repair(info["point"]))


def test_the_schema_for_editors_is_current_and_named_in_every_space() -> None:
    spaces = folder("search_spaces")
    assert (spaces / "space.schema.json").read_text() == schema_text(), (
        "run: evolver space schema -o search_spaces/space.schema.json"
    )
    for name in bundled():
        first = (spaces / f"{name}.yaml").read_text().splitlines()[0]
        assert first == "# yaml-language-server: $schema=space.schema.json"
