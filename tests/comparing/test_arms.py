"""Arms by name, what they switch off, and which pairs of them are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from evolver.comparing.arms import parse_arm, parse_arms, record_of
from evolver.comparing.spec import grown, make_spec, read_spec, write_spec
from evolver.config import BudgetConfig, ProposeConfig, RunConfig
from evolver.core import Candidate, Failed, Unusable
from evolver.errors import ConfigError, UsageError
from evolver.propose.replay import write_record

BASE = ProposeConfig(models=("openai/a",), spaces=("linear",))


def config(**budget: int) -> RunConfig:
    return RunConfig(propose=BASE, budget=BudgetConfig(**budget))  # type: ignore[arg-type]


def test_an_arm_changes_who_proposes_and_nothing_else() -> None:
    plain = parse_arm("tpe").config(BASE)
    assert plain == BASE.model_copy(update={"proposer": "tpe", "models": ()})
    bare = parse_arm("llm:no-archive").config(BASE)
    assert bare == BASE.model_copy(update={"proposer": "llm", "archive": False})
    part = parse_arm("hybrid:-crossover-lessons")
    assert part.label == "hybrid:-lessons-crossover"
    assert part.config(BASE) == BASE.model_copy(
        update={"proposer": "hybrid", "without": ("lessons", "crossover")}
    )
    assert [arm.model for arm in (parse_arm("tpe"), parse_arm("llm"), part)] == [False, True, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mailbox"], "replay=RUN"),
        (["tpee"], "no arm is called 'tpee'; there are random, tpe"),
        (["tpe:-lessons"], "only llm and hybrid"),
        (["llm:lessons"], "'lessons' is no option; there are no-archive, -lessons"),
        (["llm:-lessons-lessens"], "is no option"),
        (["llm:-lessons-lessons"], "is no option"),
        (["llm:"], "is no option"),
        (["hybrid:no-archive"], "is no option"),
        (["llm:no-archive:-lessons"], "nothing else to leave out"),
        (["replay"], "needs a record"),
        (["tpe", "random", "tpe"], "tpe was named more than once"),
        (["llm:-lessons-crossover", "llm:-crossover-lessons"], "named more than once"),
        ([" ", ""], "no arm to compare"),
    ],
)
def test_a_slip_in_an_arm_is_named(words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_arms(words)


def test_a_record_gives_what_its_search_proposed_in_order(tmp_path: Path) -> None:
    place = tmp_path / "r.jsonl"
    first, second = (
        Candidate(source=text, proposer="llm", direction=way)
        for text, way in (("a", "loss"), ("b", ""))
    )
    failed = Unusable(asked=Candidate(source=""), why=Failed(kind="contract", reason="prose"))
    baseline = Candidate(source="c", proposer="baseline")
    write_record({0: baseline, 1: baseline, 2: first, 3: failed, 7: second}, place)
    assert record_of(str(place)) == {0: first, 1: failed, 2: second}
    arm = parse_arm(f"replay={place}")
    assert arm.model
    assert arm.folder == "replay.r"


def test_which_pairs_are_compared() -> None:
    typed = make_spec(config(), ["tpe", "random", "cmaes"], 3, None)
    assert typed.reference == "random"
    assert typed.pairs() == (("tpe", "random"), ("cmaes", "random"))
    asked = make_spec(config(), ["random", "tpe", "llm"], 3, None)
    assert asked.pairs() == (("tpe", "random"), ("llm", "random"), ("llm", "tpe"))
    every = make_spec(config(), ["random", "tpe", "cmaes"], 3, "all")
    assert len(every.pairs()) == 3
    model_first = make_spec(config(), ["llm", "tpe", "random"], 3, "random")
    assert set(model_first.pairs()) == {("llm", "tpe"), ("llm", "random"), ("tpe", "random")}
    ablation = make_spec(config(), ["llm", "llm:-lessons", "llm:no-archive"], 3, None)
    assert ablation.pairs() == (("llm:-lessons", "llm"), ("llm:no-archive", "llm"))


@pytest.mark.parametrize(
    ("arms", "seeds", "reference", "said"),
    [
        (["tpe"], 3, None, "at least two arms"),
        (["tpe", "random"], 0, None, "at least one seed"),
        (["tpe", "random"], 3, "cmaes", "none of the arms tpe, random"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    arms: list[str], seeds: int, reference: str | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        make_spec(config(), arms, seeds, reference)


def test_a_model_arm_needs_a_model() -> None:
    with pytest.raises(ConfigError, match="--model"):
        make_spec(RunConfig(), ["random", "llm"], 3, None)


def test_a_comparison_is_kept_and_may_grow_but_not_change(tmp_path: Path) -> None:
    old = make_spec(config(candidates=8), ["random", "llm:-lessons"], 2, None)
    write_spec(tmp_path, old)
    kept = read_spec(tmp_path)
    assert kept == old
    same = make_spec(config(candidates=8), ["llm:-lessons", "random"], 2, None)
    assert grown(old, same, tmp_path) == old
    more = make_spec(config(candidates=8), ["random", "llm:-lessons", "tpe"], 4, None)
    larger = grown(old, more, tmp_path)
    assert [arm.label for arm in larger.arms] == ["random", "llm:-lessons", "tpe"]
    assert larger.seeds == (0, 1, 2, 3)
    assert len(larger.asked) == 2
    for other, said in (
        (make_spec(config(candidates=9), ["random", "llm:-lessons"], 2, None), "budget.candidates"),
        (make_spec(config(candidates=8), ["random", "llm:-lessons"], 1, None), "seeds"),
        (make_spec(config(candidates=8), ["random", "tpe"], 2, None), "arms"),
        (make_spec(config(candidates=8), ["random", "llm:-lessons"], 2, "all"), "reference"),
    ):
        with pytest.raises(ConfigError, match=said):
            grown(old, other, tmp_path)


def test_a_file_that_is_no_comparison_is_named(tmp_path: Path) -> None:
    assert read_spec(tmp_path) is None
    (tmp_path / "compare.json").write_text('{"version": 1}')
    with pytest.raises(ConfigError, match=r"compare\.json"):
        read_spec(tmp_path)
    (tmp_path / "compare.json").write_text('{"version": 99}')
    with pytest.raises(ConfigError, match="version 99"):
        read_spec(tmp_path)
