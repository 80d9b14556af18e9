"""What an exported folder holds, and what it does in this process."""

from __future__ import annotations

import importlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evolver.errors import UsageError
from evolver.export.package import histories, write_package

from .conftest import FACTORS, HOSTILE, NEIGHBOURS, World

Make = Callable[..., dict[str, Any]]


def test_lists_are_those_that_were_measured(
    tmp_path: Path, arguments: Make, world: World, imported: Callable[[Path, str], Any]
) -> None:
    given = arguments()
    folder = write_package(tmp_path / "out", "module_a", **given)
    module = imported(folder, "module_a")
    recommender = module.load()
    ids = world.dataset.user_ids.tolist()
    got = recommender.recommend_batch(ids[:130], 10)
    expected = [[world.dataset.item_ids[i] for i in row] for row in given["parity"].lists]
    assert got == expected
    assert recommender.recommend(ids[3], 4) == expected[3][:4]
    check = importlib.import_module("module_a._check").check()
    assert (check.users, check.identical, check.passed) == (130, 130, True)


def test_a_changed_weight_is_noticed(
    tmp_path: Path, arguments: Make, imported: Callable[[Path, str], Any]
) -> None:
    given = arguments() | {"weights": arguments(damping=40.0)["weights"]}
    imported(write_package(tmp_path / "out", "module_b", **given), "module_b")
    check = importlib.import_module("module_b._check").check()
    assert not check.passed
    assert check.different > 0


def test_unknown_users_get_popular_items_or_a_key_error(
    tmp_path: Path, arguments: Make, world: World, imported: Callable[[Path, str], Any]
) -> None:
    folder = write_package(tmp_path / "out", "module_c", **arguments())
    recommender = imported(folder, "module_c").load()
    popularity = world.fold.train.popularity()
    best = recommender.recommend("who?", 5)
    counts = [popularity[list(recommender.items).index(item)] for item in best]
    assert counts == sorted(popularity.tolist(), reverse=True)[:5]
    with pytest.raises(KeyError, match="who"):
        recommender.recommend("who?", unknown="error")
    assert not recommender.serves("who?")
    assert recommender.serves(world.dataset.user_ids[120])
    assert not recommender.serves(world.dataset.user_ids[135])  # nothing is known of this one


def test_histories_of_strangers(
    tmp_path: Path, arguments: Make, world: World, imported: Callable[[Path, str], Any]
) -> None:
    folder = write_package(tmp_path / "out", "module_d", **arguments())
    recommender = imported(folder, "module_d").load()
    user = world.dataset.user_ids[7]
    had = [world.dataset.item_ids[i] for i in world.fold.queries.history(7)]
    assert recommender.recommend_for_history(had, 10) == recommender.recommend(user, 10)
    assert recommender.recommend_for_history([*had, "no such item"]) == recommender.recommend(user)
    assert recommender.recommend_for_history(["no such item"]) == recommender.recommend("who?")
    assert set(had) & set(recommender.recommend_for_history(had, 60, exclude_seen=False))
    assert len(recommender.recommend_for_history(had, 600)) == 60 - len(had)
    with pytest.raises(ValueError, match="times"):
        recommender.recommend_for_history(had, times=[1])


def test_a_model_of_known_users_only(
    tmp_path: Path, arguments: Make, world: World, imported: Callable[[Path, str], Any]
) -> None:
    given = arguments(FACTORS, serves_unseen=False)
    recommender = imported(write_package(tmp_path / "o", "module_e", **given), "module_e").load()
    ids = world.dataset.user_ids.tolist()
    got = recommender.recommend_batch([ids[110], ids[2]], 10)
    assert got[1] == [world.dataset.item_ids[i] for i in given["parity"].lists[2]]
    had = {world.dataset.item_ids[i] for i in world.fold.queries.history(110)}
    assert not had & set(got[0])  # popularity, without what this user had
    with pytest.raises(NotImplementedError, match="trained on"):
        recommender.recommend_for_history(["i3"])


def test_hostile_ids_survive_and_do_not_reach_the_terminal(
    tmp_path: Path,
    arguments: Make,
    imported: Callable[[Path, str], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = write_package(tmp_path / "out", "module_f", **arguments())
    recommender = imported(folder, "module_f").load()
    assert list(recommender.items)[: len(HOSTILE)] == HOSTILE
    main = importlib.import_module("module_f.__main__").main
    assert main(["recommend", *HOSTILE, "u1", "-k", "60"]) == 0
    out = capsys.readouterr()
    assert "\x1b" not in out.out + out.err
    assert "\u202e" not in out.out + out.err
    assert main(["recommend", "u1", "-k", "60", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["recommendations"][0]
    assert set(answer["items"]) == set(recommender.recommend("u1", 60))
    assert main(["recommend", "who?", "--strict"]) == 2
    assert main(["info", "--json"]) == 0
    assert main(["check"]) == 0


def test_card_quotes_candidate_text(tmp_path: Path, arguments: Make) -> None:
    folder = write_package(tmp_path / "out", "module_g", **arguments())
    card = (folder / "MODEL_CARD.md").read_text("utf-8")
    assert "Candidate `A | <b>name</b>` (" in card
    assert "| name | `small \\| <world>` |" in card
    assert "````text\nFirst line\n```\n<script>alert(1)</script>\n````" in card
    assert "0.3100 [0.3000, 0.3200]" in card
    assert "+0.0200 [0.0100, 0.0300]" in card
    assert "0123456789abcdef" in card
    assert "3.0 MiB" in card


def test_card_says_what_the_module_is_compared_with(tmp_path: Path, arguments: Make) -> None:
    lent = arguments()
    tuned = write_package(tmp_path / "tuned", "module_a", **lent)
    lent["card"] = replace(lent["card"], rival="earlier challenger", rival_name="first")
    later = write_package(tmp_path / "later", "module_b", **lent)
    one, two = ((place / "MODEL_CARD.md").read_text("utf-8") for place in (tuned, later))
    assert "| metric | this module | tuned baseline `EASE` | difference |" in one
    assert "95% intervals. The baseline was tuned with the same budget on the same data." in one
    assert "| metric | this module | earlier challenger `first` | difference |" in two
    assert "95% intervals. The earlier challenger had been promoted before; this module" in two
    assert "tuned baseline" not in two


def test_requirements_are_pinned_and_only_what_is_used(tmp_path: Path, arguments: Make) -> None:
    plain = write_package(tmp_path / "plain", "module_h", **arguments())
    deep = write_package(tmp_path / "deep", "module_i", **arguments(FACTORS, serves_unseen=False))

    def pinned(folder: Path) -> list[str]:
        project = tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]
        return [requirement.partition("==")[0] for requirement in project["dependencies"]]

    assert pinned(plain) == ["numpy", "safetensors", "scipy"]
    assert pinned(deep) == ["numpy", "safetensors", "scipy", "torch"]


def test_evolver_is_nowhere_imported(tmp_path: Path, arguments: Make) -> None:
    source = (
        NEIGHBOURS.replace(
            "from evolver.contract import Budget, Float, Interactions, Params, Users",
            "import evolver.contract\nfrom evolver.contract import Float, Budget, Interactions",
        )
        .replace(": Params", ": evolver.contract.Params")
        .replace(": Users", ": evolver.contract.Users")
    )
    folder = write_package(tmp_path / "out", "module_j", **arguments(source))
    for file in (folder / "module_j").glob("*.py"):
        assert "import evolver" not in file.read_text("utf-8").replace("x import evolver.", "")
        assert "\nfrom evolver" not in file.read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "json",
        "numpy",
        "torch",
        "evolver",
        "tests",
        "class",
        "a-b",
        "1a",
        "ä",
        "_a",
        "a_",
        "a",
        "",
        "../x",
        "pytest",
        "Scikit_Learn",
        "my recommender",
        "a\nb",
    ],
)
def test_names_that_clash_are_refused(tmp_path: Path, arguments: Make, name: str) -> None:
    with pytest.raises(UsageError, match="--name"):
        write_package(tmp_path / "out", name, **arguments())
    assert not list(tmp_path.iterdir())


def test_destinations(tmp_path: Path, arguments: Make) -> None:
    (tmp_path / "empty").mkdir()
    folder = write_package(tmp_path / "empty", "module_k", **arguments())
    with pytest.raises(UsageError, match="--overwrite"):
        write_package(folder, "module_k", **arguments())
    (folder / "stale").touch()
    write_package(folder, "module_k", overwrite=True, **arguments())
    assert not (folder / "stale").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="not empty"):
        write_package(tmp_path / "other", "module_k", overwrite=True, **arguments())
    with pytest.raises(UsageError, match="not a folder"):
        write_package(tmp_path / "other" / "thesis.txt", "module_k", **arguments())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "other"]


def test_failure_leaves_nothing_behind(tmp_path: Path, arguments: Make) -> None:
    given = arguments()
    given["weights"] = None  # a fault of the caller, half way through
    with pytest.raises(TypeError):
        write_package(tmp_path / "out", "module_l", **given)
    assert not list(tmp_path.iterdir())


def test_histories_prefer_the_queries(world: World) -> None:
    arrays = histories(world.fold)
    indptr, items = arrays["history_indptr"], arrays["history_items"]
    assert len(indptr) == world.dataset.n_users + 1
    for row in (0, 50, 99, 100, 129):
        user = world.fold.queries.ids[row]
        mine = items[indptr[user] : indptr[user + 1]]
        assert mine.tolist() == world.fold.queries.history(row).tolist()
    assert arrays["known"].tolist() == [user < 100 for user in range(140)]
    assert np.diff(indptr)[130:].tolist() == [0] * 10
