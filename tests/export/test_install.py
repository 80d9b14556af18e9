"""An exported package installs into an environment of its own and runs there without evolver."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evolver.export.package import write_package
from tests.borrowed import environment

from .conftest import FACTORS, NEIGHBOURS, World


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("venv"))


def run(python: Path, *arguments: str, cwd: Path, ok: bool = True) -> str:
    """stdout of python with these arguments, away from our own working directory."""
    done = subprocess.run(
        [python, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "case",
    [("my_recommender", NEIGHBOURS, True), ("With_Torch", FACTORS, False)],
)
def test_installed_package_recommends_what_was_measured(
    tmp_path: Path,
    python: Path,
    world: World,
    arguments: Callable[..., dict[str, Any]],
    case: tuple[str, str, bool],
) -> None:
    name, source, unseen = case
    given = arguments(source, serves_unseen=unseen)
    folder = write_package(tmp_path / "exported", name, **given)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", str(folder)],
        check=True,
        cwd=tmp_path,
    )
    run(python, "-c", "import evolver", cwd=tmp_path, ok=False)
    assert "identical" in run(python, "-m", name, "check", cwd=tmp_path)
    run(python, str(folder / "tests" / "test_parity.py"), cwd=tmp_path)
    ask = f"import json, {name} as m; r = m.load(); print(json.dumps(r.recommend_batch(r.users)))"
    lists = json.loads(run(python, "-c", ask, cwd=tmp_path))
    expected = [[world.dataset.item_ids[i] for i in row] for row in given["parity"].lists]
    assert lists[: len(expected)] == expected
    assert len(lists) == len(world.dataset.user_ids)
    script = python.parent / name.lower().replace("_", "-")
    done = subprocess.run([script, "recommend", "u5", "-k", "3"], capture_output=True, check=True)
    assert len(done.stdout.splitlines()) == 3
