"""The bundled spaces: every choice compiles, points come back, candidates learn."""

from __future__ import annotations

import ast
import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from evolver.contract import Interactions, Users
from evolver.core import Candidate, Failed
from evolver.errors import ConfigError
from evolver.evaluate.check import inspect_source
from evolver.tune.sampling import random_point, seeded
from evolver.tune.space import Space, bundled, load_space
from evolver.tune.tunables import read_tunables
from tests.tune.candidates import clustered, fitted, hits, reloaded

EVERY = {name: load_space(name) for name in bundled()}
SPACES = {name: space for name, space in EVERY.items() if space.task == "retrieval"}
SMALL = {"epochs": 2, "sweeps": 2, "factors": 16, "dim": 16, "length": 10, "batch": 64}


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


@pytest.mark.parametrize("name", EVERY)
def test_every_choice_compiles_to_a_file_that_meets_the_contract(name: str) -> None:
    space = EVERY[name]
    points = every_choice(space)
    for parameter in space.parameters:
        held = {str(point[parameter.name]) for point in points if parameter.name in point}
        assert held >= {str(choice) for choice in parameter.choices}
    for point in points:
        candidate = space.compile(point)
        facts = inspect_source(candidate.source, space.task)
        assert not isinstance(facts, Failed), facts
        assert facts.serves_unseen or space.task != "retrieval"
        assert facts.family == candidate.family
        assert facts.tunables == read_tunables(candidate.source)


@pytest.mark.parametrize("name", EVERY)
def test_compiled_files_are_as_tidy_as_ours(name: str, tmp_path: Path) -> None:
    space = EVERY[name]
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
@given(seed=st.integers(0, 2**31), name=st.sampled_from(sorted(EVERY)))
def test_a_point_and_its_file_lead_to_each_other(seed: int, name: str) -> None:
    space = EVERY[name]
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


PARTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "linear": ({}, {"sequence", "popularity"}),
    "matrix_graph": ({"graph": "lightgcn"}, {"age", "graph", "history", "popularity"}),
    "autoencoder": (
        {"blocks": 1, "latent": "variational"},
        {"age", "history", "layers", "popularity"},
    ),
    "sequential": (
        {"augmentation": "mask", "popularity": "recent"},
        {"age", "target", "augmentation", "popularity"},
    ),
    "two_tower": ({"blocks": 1}, {"age", "features", "layers", "popularity"}),
}


@pytest.mark.parametrize("name", SPACES)
def test_each_declared_part_can_be_left_out_and_does_something(name: str) -> None:
    given, parts = PARTS[name]
    candidate = SPACES[name].compile(SPACES[name].complete(given))
    facts = inspect_source(candidate.source)
    assert not isinstance(facts, Failed)
    assert set(facts.ablations) == parts
    train, users = with_features()
    whole = fitted(candidate, train, **SMALL)
    if name != "linear":
        assert all(np.isfinite(float(v)) for v in whole.observe().values())
        assert "loss" in whole.observe()
    expected = reloaded(candidate, whole, **SMALL).score(users)
    for part in facts.ablations:
        trained = fitted(candidate, train, ablate=part, **SMALL)
        scores = reloaded(candidate, trained, ablate=part, **SMALL).score(users)
        assert np.isfinite(scores).all()
        assert not np.allclose(scores, expected), part


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


@pytest.mark.parametrize("name", sorted(SPACES.keys() - {"linear"}))
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


def test_every_kind_of_negative_and_loss_is_in_every_family_that_samples() -> None:
    for name, losses in (
        ("matrix_graph", {"bpr", "sampled_softmax", "bce"}),
        ("two_tower", {"bpr", "sampled_softmax", "bce"}),
        ("sequential", {"bpr", "sampled_softmax", "bce", "gbce"}),
    ):
        by_name = {p.name: p for p in SPACES[name].parameters}
        assert {"uniform", "popularity", "batch", "hard"} <= set(by_name["negatives"].choices)
        loss = by_name["objective" if name == "matrix_graph" else "loss"]
        assert losses | {"softmax"} <= set(loss.choices)
        assert set((by_name["negatives"].when or ("", ()))[1]) == losses


def loss_of(name: str, negatives: str) -> Any:
    """The `sampled_loss` that a sequential candidate brings."""
    point = SPACES["sequential"].repair({"loss": name, "negatives": negatives})
    found: dict[str, Any] = {"__name__": "candidate"}
    exec(SPACES["sequential"].compile(point).source, found)
    return found["sampled_loss"]


def test_losses_are_what_their_papers_say() -> None:
    positive = torch.tensor([1.0, -0.5])
    negative = torch.tensor([[0.2, 9.0, -1.0, 0.5], [0.0, 0.3, 0.1, -2.0]])
    mine = torch.tensor([[False, True, False, False], [False, False, False, False]])
    chance = torch.tensor([0.1, 0.2, 0.3, 0.4])

    def soft(x: float) -> float:
        return math.log1p(math.exp(x))

    left = [0.2, -1.0, 0.5]  # what was drawn and is the target is no negative
    bpr = loss_of("bpr", "uniform")(positive, negative, mine)
    assert float(bpr[0]) == pytest.approx(sum(soft(x - 1.0) for x in left) / 4, rel=1e-5)
    bce = loss_of("bce", "uniform")(positive, negative, mine)
    assert float(bce[0]) == pytest.approx(soft(-1.0) + sum(map(soft, left)) / 4, rel=1e-5)
    gbce = loss_of("gbce", "uniform")(positive, negative, mine, 0.25)
    assert float(gbce[0]) == pytest.approx(0.25 * soft(-1.0) + sum(map(soft, left)), rel=1e-5)
    corrected = [x - math.log(4 * c) for x, c in zip(left, (0.1, 0.3, 0.4), strict=True)]
    whole = math.exp(1.0) + sum(map(math.exp, corrected))
    softmax = loss_of("sampled_softmax", "uniform")(positive, negative, mine, chance)
    assert float(softmax[0]) == pytest.approx(math.log(whole) - 1.0, rel=1e-5)
    hard = loss_of("bpr", "hard")(positive, negative, mine)
    assert hard.tolist() == pytest.approx([soft(0.5 - 1.0), soft(0.3 + 0.5)], rel=1e-5)


@pytest.mark.parametrize("kind", ["attention", "gru", "convolution", "caser"])
def test_no_block_looks_ahead(kind: str) -> None:
    space = SPACES["sequential"]
    shape = {"blocks": 2, "block1_kind": kind, "block2_kind": kind, "block1_positions": "relative"}
    candidate = space.compile(space.repair({**shape, "length": 12}))
    train, _ = clustered(n_users=24, n_items=24)
    net = fitted(candidate, train, **SMALL).net
    items = torch.arange(10)[None]
    changed = items.clone()
    changed[0, 7:] = torch.tensor([20, 21, 22])
    with torch.no_grad():
        before, after = net(items)[0], net(changed)[0]
    torch.testing.assert_close(before[:7], after[:7])
    assert not torch.allclose(before[7:], after[7:])


def with_features() -> tuple[Interactions, Users]:
    """Groups of items are known by a feature; the last eight items were taken by nobody."""
    train, users = clustered()
    cold = 8
    groups = csr_matrix(np.eye(4, dtype=np.float32)[np.arange(train.n_items + cold) % 4])
    clubs = csr_matrix(np.eye(4, dtype=np.float32)[np.arange(train.n_users) % 4])
    wide = replace(
        train,
        n_items=train.n_items + cold,
        item_features={"group": groups},
        user_features={"club": clubs},
    )
    return wide, replace(users, n_items=train.n_items + cold)


@pytest.mark.parametrize("side", ["id and features", "features"])
def test_features_place_items_that_nobody_took(side: str) -> None:
    train, users = with_features()
    space = SPACES["two_tower"]
    point = space.repair({**space.default(), "item_side": side, "popularity": "as is"})
    scores = np.asarray(fitted(space.compile(point), train).score(users))
    cold = np.arange(train.n_items - 8, train.n_items)
    own = np.array([users.history(row)[0] % 4 for row in range(len(users))])
    best = cold[np.argsort(-scores[:, cold], axis=1)[:, :2]] % 4
    assert (best == own[:, None]).mean() > 0.9  # two of the eight are of a user's group


def test_features_place_users_without_a_history() -> None:
    train, _ = with_features()
    space = SPACES["two_tower"]
    made = fitted(space.compile(space.default()), train)
    nobody = Users(
        ids=np.arange(8),
        known=np.ones(8, dtype=bool),
        indptr=np.zeros(9, dtype=np.int64),
        items=np.zeros(0, dtype=np.int32),
        n_items=train.n_items,
    )
    best = np.argsort(-np.asarray(made.score(nobody))[:, :-8], axis=1)[:, :3] % 4
    assert (best == np.arange(8)[:, None] % 4).mean() > 0.8


def test_a_wiring_becomes_code_that_reads_as_written_by_hand() -> None:
    space = SPACES["two_tower"]
    wiring = {"blocks": 3, "block2_from": "input", "block3_from": "input+block1"}
    kinds = {"block1_kind": "gated", "block2_kind": "dense", "block3_kind": "cross"}
    source = space.compile(space.repair({**wiring, **kinds})).source
    body = source.split("    def layers(self, x: torch.Tensor) -> torch.Tensor:\n")[1]
    assert body.split("\n\n")[0].splitlines() == [
        '        if self.p.ablate == "layers":',
        "            return x",
        "        block1 = self.block1(x)",
        "        block2 = self.block2(x)",
        "        block3 = self.block3(x + block1, x)",
        "        return block2 + block3",
    ]


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
