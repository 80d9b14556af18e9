"""`evolver policy` as a user sees it, from a log to a policy file and back."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.errors import DataError, UsageError
from evolver.serving.simulate import TableBandit, synthetic


def policy(*arguments: object) -> str:
    words = ["policy", *map(str, arguments)]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def written(bandit: TableBandit, n: int, path: Path) -> Path:
    log = bandit.log(n, 0)
    log.context.with_columns(
        pl.Series("arm", [log.names[a] for a in log.actions]),
        pl.Series("click", log.rewards.astype(int)),
        pl.Series("chance", log.propensities),
    ).write_csv(path)
    return path


FLAGS = ("--action", "arm", "--reward", "click", "--propensity", "chance")
CONTEXT = ("--context", "x0", "--context", "x1", "--context", "x2")


def test_from_a_log_to_a_policy_and_its_evaluation(tmp_path: Path) -> None:
    bandit = synthetic(seed=1, actions=5, dependence=1.5, sharpness=0.5)
    log, file = written(bandit, 3000, tmp_path / "log.csv"), tmp_path / "policy.json"
    told = policy("learn", log, *FLAGS, *CONTEXT, "--learner", "gradient", "-o", file)
    assert "Learned by gradient (snips) on 1500 rows." in told
    assert "Adopt: better beyond luck." in told
    kept = json.loads(file.read_text())
    assert kept["learned"]["verdict"]["decision"] == "adopt"
    assert kept["weights"]["x0"].keys() == {f"action=a{n}" for n in range(5)}
    shown = policy("show", file)
    assert "softmax over 5 actions, 5% by chance" in shown
    assert "x0" in shown

    text = policy("evaluate", log, *FLAGS, *CONTEXT, "--policy", file, "--policy", "uniform")
    assert text.count("leave out: dm, ips-clipped, switch-dr, dr-shrunk") == 2
    assert text.count("holds for any sample size") == 4
    found = json.loads(policy("evaluate", log, *FLAGS, *CONTEXT, "--policy", file, "--json"))
    estimate = found[str(file)]["estimates"]["dr"]
    assert estimate["student"]["low"] < estimate["value"] < estimate["student"]["high"]
    assert found[str(file)]["gains"]["dr"]["value"] > 0

    # the same again is the same
    again = tmp_path / "again.json"
    policy("learn", log, *FLAGS, *CONTEXT, "--learner", "gradient", "-o", again)
    assert again.read_bytes() == file.read_bytes()

    # against itself as the incumbent nothing is adopted, so nothing is written
    words = ("learn", log, *FLAGS, "--learner", "cem", "--incumbent", file, "-o", tmp_path / "no")
    told = json.loads(policy(*words, *CONTEXT, "--json"))
    assert (told["verdict"]["decision"], told["output"]) == ("keep", None)
    assert not (tmp_path / "no").exists()
    assert json.loads(policy(*words, *CONTEXT, "--json", "--anyway"))["output"]
    assert (tmp_path / "no").exists()


def test_clone_is_what_was_logged(tmp_path: Path) -> None:
    log = written(synthetic(seed=1, actions=3), 200, tmp_path / "log.csv")
    policy("clone", log, *FLAGS, "-o", tmp_path / "p.json")
    shares = json.loads((tmp_path / "p.json").read_text())["chances"]["*"]
    assert sum(shares.values()) == pytest.approx(1)
    assert "fixed chances" in policy("show", tmp_path / "p.json")


def test_faults_are_one_line(tmp_path: Path) -> None:
    log = written(synthetic(seed=1, actions=3), 50, tmp_path / "log.csv")
    for words, fault, says in (
        (("evaluate", log), DataError, "has no column 'action', 'reward', 'propensity'"),
        (("evaluate", log, *FLAGS, "--score", "knn"), UsageError, "must read NAME=PATTERN"),
        (("evaluate", log, *FLAGS, "--level", "95"), UsageError, "--level 95 must lie"),
        (("evaluate", log, *FLAGS, "--policy", "none.json"), UsageError, "cannot be read: No such"),
        (("learn", log, *FLAGS, "--held-out", "1"), UsageError, "--held-out 1 must lie"),
    ):
        with pytest.raises(fault, match=says):
            policy(*words)


@pytest.mark.realdata
def test_open_bandit_both_ways(tmp_path: Path, real_data: Path) -> None:
    """From 38 and 42 clicks: intervals are wide, and each holds what the other log shows."""
    place = real_data / "obd"
    if not place.is_dir():
        pytest.skip("no Open Bandit sample under EVOLVER_DATA (obd/)")
    policy("clone", place / "bts", "-o", tmp_path / "bts.json")
    for log, other, truth in (
        ("random", str(tmp_path / "bts.json"), 0.0042),
        ("bts", "uniform", 0.0038),
    ):
        words = ("evaluate", place / log, "--policy", other, "--json")
        found = json.loads(policy(*words))[other]
        for name in ("ips", "snips", "dr"):
            student = found["estimates"][name]["student"]
            assert student["low"] < truth < student["high"]
        assert found["honest"]["betting"]["low"] < truth < found["honest"]["betting"]["high"]
        assert [p["position"] for p in found["positions"]] == ["1", "2", "3"]
        assert any("rewards are above 0" in w for w in found["support"]["warnings"])
