"""The benchmark script: what it measures is checked elsewhere, here that it says so truly."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "zoo.py"
PAGE = "# Title\n<!-- begin gowalla -->\nstale figures\n<!-- end gowalla -->\nText\n"
PAGE += "<!-- begin ml-1m -->\n<!-- end ml-1m -->\n"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("zoo_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def row(script: ModuleType, **fields: object) -> object:
    given = {
        "data": "gowalla",
        "model": "ials",
        "settings": "defaults",
        "seed": 0,
        "published": ".1 / .2",
        "metrics": {"recall@20": 0.1727, "ndcg@20": 0.1444},
        "machine": "cpu, 2 threads",
    }
    return script.Row(**(given | fields))


def write_gowalla(folder: Path) -> None:
    folder.mkdir()
    users = range(12)
    train = [f"{user} " + " ".join(str((user + i) % 14) for i in range(10)) for user in users]
    test = [f"{user} 14 15" for user in users]
    train += ["12 0 1 2 3 4 5 6 7 14 15"]  # who makes 14 and 15 known, if not popular
    (folder / "train.txt").write_text("\n".join(train) + "\n")
    (folder / "test.txt").write_text("\n".join(test) + "\n")


def test_recording_again_replaces_the_row_and_keeps_the_rest(
    script: ModuleType, tmp_path: Path
) -> None:
    (tmp_path / "benchmarks.md").write_text(PAGE)
    first, other = row(script), row(script, model="popularity", metrics={"recall@20": 0.04})
    script.record([first, other], tmp_path)
    script.record([replace(first, metrics={"recall@20": 0.5, "ndcg@20": 0.25})], tmp_path)
    stored = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [each["model"] for each in stored] == ["popularity", "ials"]
    page = (tmp_path / "benchmarks.md").read_text()
    assert page.startswith("# Title\n<!-- begin gowalla -->\n| model | settings | published")
    assert "| ials | defaults | .1 / .2 | .1700 / .1440 | .5000 / .2500 | yes |" in page
    assert "stale" not in page
    assert ".1727" not in page
    assert "\nText\n" in page


def test_what_was_not_run_says_why(script: ModuleType) -> None:
    unfit = row(script, metrics={}, reason="EASE needs 12.5 GB")
    table = script.table([unfit], script.BENCHMARKS["gowalla"])
    assert "| not run: EASE needs 12.5 GB | **no** |" in table
    assert len({line.count("|") for line in table.splitlines()}) == 1


def test_a_bar_is_reached_within_its_tolerance_and_its_time(script: ModuleType) -> None:
    bar = script.Bar((0.2, 0.1), 0.03, fit_seconds=10)  # so .1940 and .0970 will do
    assert str(bar) == ".2000 / .1000, less 3%, in 10 s"
    assert bar.reached((0.194, 0.097), 9.9)
    assert not bar.reached((0.1939, 0.3), 9.9)
    assert not bar.reached((0.3, 0.0969), 9.9)
    assert not bar.reached((0.3, 0.3), 10.0)
    assert row(script, model="bpr_mf", data="ml-1m").reached is None


def test_a_missed_bar_is_the_exit_code(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_gowalla(tmp_path / "gowalla")
    monkeypatch.setattr(sys, "argv", ["zoo.py", "gowalla", "--data", str(tmp_path)])
    for low, code in ((0.2, 0), (0.1, 1)):
        figures = {"recall@20": low, "ndcg@20": 0.2}
        monkeypatch.setattr(script, "measure", lambda *_, found=figures: row(script, metrics=found))
        assert script.main() == code


def test_a_page_without_its_markers_is_refused(script: ModuleType) -> None:
    with pytest.raises(script.UsageError, match="begin gowalla"):
        script.rendered("nothing here", [])


def test_settings_are_read_as_numbers_where_they_are(script: ModuleType) -> None:
    assert script.assignment("factors=64") == ("factors", 64)
    assert script.assignment("alpha=0.1") == ("alpha", 0.1)
    assert script.assignment("loss=bpr") == ("loss", "bpr")
    with pytest.raises(script.UsageError, match="NAME=VALUE"):
        script.assignment("factors")


def test_a_small_run_from_files_to_table(
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_gowalla(tmp_path / "gowalla")
    arguments = ["zoo.py", "gowalla", "--data", str(tmp_path), "--models", "popularity"]
    monkeypatch.setattr(
        sys, "argv", [*arguments, "--sandbox", "unconfined", "--threads", "1", "--seconds", "60"]
    )
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert "13 users, 16 items, 130 training rows, 12 users asked for" in printed
    # each user has 6 items left, and the two that are held out are the least popular of them
    ndcg = (1 / np.log2(6) + 1 / np.log2(7)) / (1 + 1 / np.log2(3))
    bar = ".0416 / .0317, less 1%"
    measured = f"1.0000 / {ndcg:.4f}".replace("0.", ".")
    assert f"| popularity | defaults | - | {bar} | {measured} | yes |" in printed


def test_an_unknown_model_is_refused_with_the_known(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["zoo.py", "ml-1m", "--data", ".", "--models", "slim"])
    assert script.main() == 2
    assert "there are popularity, item_knn" in capsys.readouterr().out
