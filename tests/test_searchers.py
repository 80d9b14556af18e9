"""Every searcher in the real loop: resumes as if undisturbed, learns from earlier runs, trades."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from evolver import assemble
from evolver import run as runs
from evolver.archive.select import Tournament
from evolver.config import BudgetConfig, DataConfig, ExecuteConfig, ProposeConfig, RunConfig
from evolver.core import Execution, Job, Progress, Scored, Stopped
from evolver.earlier import experience
from evolver.errors import ConfigError, SandboxUnavailable, UsageError
from evolver.evolve import Ending, Search
from evolver.propose.baselines import PROPOSER
from evolver.propose.typed import TypedProposer
from evolver.tune.experience import regime
from evolver.tune.ppo import PPO
from evolver.tune.registry import TUNERS
from tests.test_evolve import FakeProposer, FakeSandbox, told, write_data


class Dies(FakeSandbox):
    """Is gone after a few candidates."""

    def run(self, job: Job, watch: Callable[[Progress], bool] | None = None) -> Execution:
        if len(self.ran) == 6:
            raise SandboxUnavailable("gone")
        return super().run(job, watch)


def make(
    place: Path,
    data: Path,
    *,
    split: str = "auto",
    cascade: Mapping[str, Any] | None = None,
    **propose: Any,
) -> runs.Run:
    place.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "data": DataConfig(path=str(data)),
        "budget": BudgetConfig(candidates=9),
        "execute": ExecuteConfig(workers=1, threads=1, device="cpu"),
        "propose": ProposeConfig(spaces=("linear",), **propose),
        "baseline_share": 0.12,
        "split": {"kind": split},
        "cascade": cascade or {},
        # Times of made-up rows mean nothing, and the canary may say so.
        "evaluate": {"accept_alarms": ("shuffled-time",)},
    }
    return runs.create(RunConfig.model_validate(settings), place)


def search(run: runs.Run, sandbox: FakeSandbox | None = None) -> Ending:
    return Search(
        run,
        sandbox=sandbox or FakeSandbox(),
        tuning=FakeProposer(PROPOSER),
        searching=assemble.proposer(run),
        selector=Tournament(run.metric),
    ).go()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """A folder with a finished run on other data."""
    folder = tmp_path_factory.mktemp("earlier")
    other = folder / "other.csv"
    lines = data.read_text().splitlines()
    other.write_text("\n".join(lines[: len(lines) * 4 // 5]) + "\n")
    run = make(folder / "run", other, proposer="random")
    search(run)
    run.archive.close()
    return folder


@pytest.mark.parametrize("name", sorted(TUNERS))
def test_stopped_and_resumed_it_ends_as_if_undisturbed(
    name: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "ppo":
        pytest.importorskip("stable_baselines3", reason="needs the extra rl")
        monkeypatch.setitem(TUNERS, "ppo", lambda: PPO(steps=256))  # enough to depend on its past
    whole = make(tmp_path / "whole", data, proposer=name)
    assert search(whole) is Ending.CANDIDATES
    stopped = make(tmp_path / "stopped", data, proposer=name)
    with pytest.raises(SandboxUnavailable):
        search(stopped, Dies())
    stopped.archive.close()
    again = runs.reopen(tmp_path / "stopped")
    assert search(again) is Ending.CANDIDATES
    assert told(again.archive) == told(whole.archive)
    proposers = [e.candidate.proposer for e in again.archive.history()]
    assert proposers == [PROPOSER] + [name] * 8


@pytest.mark.parametrize("name", sorted(set(TUNERS) - {"ppo", "gp"}))
def test_under_halving_it_hears_of_what_was_stopped_and_resumes(
    name: str, data: Path, tmp_path: Path
) -> None:
    cascade = {"fidelity": "halving", "smoke": False, "eta": 3, "users": 0.5}
    whole = make(tmp_path / "whole", data, cascade=cascade, proposer=name)
    assert search(whole) is Ending.CANDIDATES
    stopped = make(tmp_path / "stopped", data, cascade=cascade, proposer=name)
    with pytest.raises(SandboxUnavailable):
        search(stopped, Dies())
    stopped.archive.close()
    again = runs.reopen(tmp_path / "stopped")
    assert search(again) is Ending.CANDIDATES
    assert told(again.archive) == told(whole.archive)
    kinds = {type(e.evaluation) for e in again.archive.history()}
    assert kinds == {Scored, Stopped}


def test_experience_holds_what_was_stopped(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("\n".join(data.read_text().splitlines()[:-60]) + "\n")
    run = make(tmp_path / "run", other, cascade={"fidelity": "halving"}, proposer="random")
    search(run)
    entries = [e for e in run.archive.history() if e.candidate.point]
    run.archive.close()
    warm = make(tmp_path / "warm", data, proposer="rl", experience=(str(tmp_path / "run"),))
    (told_of,) = experience(warm)
    partial = [e.partial(run.metric) for e in entries]
    assert [o.partial for o in told_of.observed] == partial
    assert any(value is not None for value in partial)


def test_a_controller_knows_the_regime_of_its_data_without_experience(
    data: Path, tmp_path: Path
) -> None:
    run = make(tmp_path / "run", data, proposer="rl")
    asked = assemble.proposer(run)
    assert isinstance(asked, TypedProposer)
    assert asked._tuner.regime == regime(run.profile) != ()  # type: ignore[attr-defined]


def test_experience_is_kept_with_the_run_and_changes_the_search(
    data: Path, earlier: Path, tmp_path: Path
) -> None:
    cold = make(tmp_path / "cold", data, proposer="rl")
    search(cold)
    warm = make(tmp_path / "warm", data, proposer="rl", experience=(str(earlier),))
    with pytest.raises(SandboxUnavailable):
        search(warm, Dies())
    warm.archive.close()
    assert (tmp_path / "warm" / "experience.json").exists()
    again = runs.reopen(tmp_path / "warm")
    # What becomes of the earlier run must not matter any more: it is not looked at again.
    kept = again.config.propose.model_copy(update={"experience": ("gone",)})
    again.config = again.config.model_copy(update={"propose": kept})
    assert search(again) is Ending.CANDIDATES
    same = make(tmp_path / "same", data, proposer="rl", experience=(str(earlier / "run"),))
    search(same)
    assert told(again.archive) == told(same.archive)
    assert told(again.archive) != told(cold.archive)


def test_experience_must_be_there_and_of_use(data: Path, earlier: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: there is no run"):
        assemble.proposer(make(tmp_path / "a", data, proposer="rl", experience=("nowhere",)))
    with pytest.raises(UsageError, match="'tpe' cannot learn from earlier runs"):
        assemble.proposer(make(tmp_path / "b", data, proposer="tpe", experience=(str(earlier),)))
    empty = make(tmp_path / "empty", data, proposer="rl")
    empty.archive.close()
    with pytest.raises(ConfigError, match="no candidate of a search space"):
        assemble.proposer(
            make(tmp_path / "c", data, proposer="rl", experience=(str(tmp_path / "empty"),))
        )


def test_experience_from_another_split_of_the_same_data_is_refused(
    data: Path, tmp_path: Path
) -> None:
    first = make(tmp_path / "first", data, proposer="random")
    search(first)
    first.archive.close()
    told_again = make(
        tmp_path / "second", data, split="random", proposer="rl", experience=(str(first.folder),)
    )
    with pytest.raises(ConfigError, match="searched the same data split otherwise"):
        assemble.proposer(told_again)
    alike = make(tmp_path / "third", data, proposer="rl", experience=(str(first.folder),))
    assert assemble.proposer(alike).name == "rl"


def test_trading_needs_a_searcher_for_several_objectives(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--trade goes with --proposer nsga2"):
        assemble.proposer(make(tmp_path / "a", data, proposer="tpe", trade=("parameters",)))
    run = make(tmp_path / "b", data, proposer="nsga2", trade=("parameters",))
    assert search(run) is Ending.CANDIDATES
