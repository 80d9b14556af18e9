"""The bundled spaces: every choice compiles, points come back, candidates learn."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolver.core import Candidate, Failed
from evolver.errors import ConfigError
from evolver.evaluate.check import inspect_source
from evolver.tune.sampling import random_point, seeded
from evolver.tune.space import Space, bundled, load_space
from evolver.tune.tunables import read_tunables
from tests.tune.candidates import clustered, fitted, hits, reloaded

SPACES = {name: load_space(name) for name in bundled()}
SMALL = {"epochs": 2, "sweeps": 2, "factors": 16, "dim": 16, "length": 10, "layers": 1}


def every_choice(space: Space) -> list[dict[str, object]]:
    """Points that together hold every value of every choice."""
    points = [space.default()]
    for parameter in space.parameters:
        for value in parameter.choices:
            wanted = {parameter.name: value}
            by_name = {p.name: p for p in space.parameters}
            condition = parameter.when
            while condition is not None:
                wanted[condition[0]] = condition[1][0]
                condition = by_name[condition[0]].when
            points.append(space.repair(wanted))
    return points


def sampled(space: Space, seed: int) -> dict[str, object]:
    return space.repair(random_point(space.parameters, seeded(seed)))


@pytest.mark.parametrize("name", SPACES)
def test_every_choice_compiles_to_a_file_that_meets_the_contract(name: str) -> None:
    space = SPACES[name]
    points = every_choice(space)
    for parameter in space.parameters:
        held = {str(point[parameter.name]) for point in points if parameter.name in point}
        assert held >= {str(choice) for choice in parameter.choices}
    for point in points:
        candidate = space.compile(point)
        facts = inspect_source(candidate.source)
        assert not isinstance(facts, Failed), facts
        assert facts.serves_unseen
        assert facts.family == candidate.family
        assert facts.tunables == read_tunables(candidate.source)


@pytest.mark.parametrize("name", SPACES)
def test_compiled_files_are_as_tidy_as_ours(name: str, tmp_path: Path) -> None:
    space = SPACES[name]
    for number, point in enumerate(every_choice(space)):
        (tmp_path / f"{name}{number}.py").write_text(space.compile(point).source)
    config = str(Path(__file__).parents[2] / "pyproject.toml")
    for command in (
        ["check", "--select", "E,F,W,I,B,UP"],
        ["format", "--diff"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", config, tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), name=st.sampled_from(sorted(SPACES)))
def test_a_point_and_its_file_lead_to_each_other(seed: int, name: str) -> None:
    space = SPACES[name]
    candidate = space.compile(sampled(space, seed))
    ast.parse(candidate.source)
    assert space.point_of(candidate) == candidate.point
    assert space.validate(candidate.point or {}) == candidate.point
    assert json.loads(json.dumps(candidate.point)) == candidate.point
    again = space.compile(candidate.point or {})
    assert again.id == candidate.id


def test_tuned_values_lead_back_to_the_tuned_point() -> None:
    space = SPACES["linear"]
    candidate = space.compile(space.default())
    tuned = Candidate(source=candidate.source, values={"l2": 42.0})
    assert (space.point_of(tuned) or {})["l2"] == 42.0
    edited = Candidate(source=candidate.source.replace("standard(", "normal("))
    assert space.point_of(edited) is None
    assert space.point_of(Candidate(source="not python (")) is None


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", SPACES)
def test_sampled_points_train_and_survive_saving(name: str, seed: int) -> None:
    train, users = clustered(n_users=24, n_items=24)
    candidate = SPACES[name].compile(sampled(SPACES[name], 100 + seed))
    made = fitted(candidate, train, **SMALL)
    scores = np.asarray(made.score(users))
    assert scores.shape == (len(users), train.n_items)
    assert np.isfinite(scores).all()
    again = np.asarray(reloaded(candidate, made, **SMALL).score(users))
    np.testing.assert_array_equal(scores, again)


@pytest.mark.parametrize("name", SPACES)
def test_defaults_learn_what_popularity_cannot_know(name: str) -> None:
    train, users = clustered()
    candidate = SPACES[name].compile(SPACES[name].default())
    made = fitted(candidate, train)
    popular = np.tile(train.popularity().astype(float), (len(users), 1))
    assert hits(np.asarray(made.score(users)), users) > hits(popular, users) + 0.4


@pytest.mark.parametrize("name", SPACES)
def test_same_seed_same_scores_and_an_empty_history_is_served(name: str) -> None:
    train, users = clustered(n_users=24, n_items=24)
    candidate = SPACES[name].compile(SPACES[name].default())
    first, second = (fitted(candidate, train, **SMALL).score(users) for _ in range(2))
    np.testing.assert_array_equal(np.asarray(first), np.asarray(second))
    nobody = type(users)(
        ids=np.array([99]),
        known=np.array([False]),
        indptr=np.array([0, 0]),
        items=np.zeros(0, dtype=np.int32),
        n_items=train.n_items,
    )
    assert np.isfinite(np.asarray(fitted(candidate, train, **SMALL).score(nobody))).all()


@pytest.mark.parametrize("name", ["matrix_graph", "sequential"])
def test_training_stops_by_itself_before_the_budget_ends(name: str) -> None:
    train, _ = clustered(n_users=24, n_items=24)
    space = SPACES[name]
    candidate = space.compile(space.default())
    assert len(fitted(candidate, train, seconds=0.0).steps_seen) == 1
    assert len(fitted(candidate, train, seconds=60, epochs=3).steps_seen) == 3


@pytest.mark.parametrize("name", SPACES)
def test_data_without_times_is_fine(name: str) -> None:
    train, users = clustered(n_users=24, n_items=24)
    plain = type(train)(
        users=train.users, items=train.items, n_users=train.n_users, n_items=train.n_items
    )
    candidate = SPACES[name].compile(SPACES[name].repair({"age": "fading", "popularity": "recent"}))
    assert np.isfinite(np.asarray(fitted(candidate, plain, **SMALL).score(users))).all()


def test_what_is_no_point_is_refused_by_name() -> None:
    space = SPACES["linear"]
    default = space.default()
    for change, message in (
        ({"l2": -1.0}, "l2 is -1.0; it must be between 1 and 5000"),
        ({"items": "magic"}, "items is 'magic'; it must be one of 'ease', 'neighbours'"),
        ({"keep": 100}, "keep exists only when items is neighbours"),
        ({"colour": "red"}, "no parameter is named 'colour'"),
        ({"window": 2.5}, "window is 2.5; it must be a whole number"),
    ):
        with pytest.raises(ConfigError, match=message):
            space.compile(default | change)
    with pytest.raises(ConfigError, match="l2 is missing"):
        space.compile({k: v for k, v in default.items() if k != "l2"})
    with pytest.raises(ConfigError, match="no search space named 'nope'; bundled: "):
        load_space("nope")
