"""Which request an author of pipelines gets next, and how it reads."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from evolver import zoo
from evolver.agents.authoring import Authoring
from evolver.agents.document import Document, parse
from evolver.agents.planner import COMPOSITIONS, Planner
from evolver.config import Feature, RewardConfig
from evolver.core import Brief, Entry, Failed
from evolver.errors import NothingPays
from evolver.propose.context import PENDING
from evolver.propose.effects import Effects
from evolver.propose.operators import DIRECTIONS, Plan, leaner
from evolver.propose.prompts import Prompts
from tests.agents.written import CONFIG, MINE, POOL, START, brief, entry, saturated, started

GOLDEN = Path(__file__).parent / "golden"
REFINE_ONE, RECOMPOSE = "round 1.1: refine one", "round 1.4: recompose"
CRASH = Failed(kind="crash", reason="agent fresh: ZeroDivisionError: division by zero")


def plan(history: list[Entry], number: int = 40, without: tuple[Feature, ...] = ()) -> Plan:
    return Planner(POOL, CONFIG, without)(brief(history, number))


def plans(history: list[Entry]) -> list[Plan]:
    planner = Planner(POOL, CONFIG)
    return [planner(brief(history, number)) for number in range(40, 100)]


def number(entry: Entry | None) -> int | None:
    return None if entry is None else entry.number


def written(document: Document | None = None, **agents: str) -> Document:
    """The toy pipeline with other programs."""
    base = POOL if document is None else document
    changed = {n: base.agents[n].model_copy(update={"source": s}) for n, s in agents.items()}
    return base.model_copy(update={"agents": {**base.agents, **changed}})


def with_fresh() -> Document:
    """A recomposition that brought an agent with a program of its own."""
    text = POOL.model_dump(mode="json")
    text["agents"]["fresh"] = {"stage": "recall", "source": MINE}
    text["graph"]["recall"] = {"fresh": 20, "one": 12}
    return Document.model_validate(text)


def test_refining_builds_on_the_best_version_so_far() -> None:
    worse = entry(6, 0.4, written(one=MINE), direction=REFINE_ONE)
    better = replace(worse, number=7, evaluation=started(0.6).evaluation)
    assert {number(p.parent) for p in plans([started(), worse])} == {5}
    assert {number(p.parent) for p in plans([started(), better])} == {7}
    for each in plans([started(), better]):
        assert (each.direction, each.focus) == (REFINE_ONE, "one")


def test_agents_without_tunables_are_refined_too() -> None:
    plain = parse(POOL.text().replace('TUNABLES = {"weight"', 'NUMBERS = {"weight"', 1))
    tried = saturated(("one", "two"))
    assert Planner(plain, CONFIG)(brief([started(), *tried])).focus == "ranker"


def test_every_operator_has_its_turn_and_only_where_it_makes_sense() -> None:
    other = entry(6, 0.6, written(one=MINE), direction=REFINE_ONE)
    assert {p.operator for p in plans([started(), other])} == {
        "edit",
        "rewrite",
        "crossover",
        "simplify",
    }
    assert {number(p.mate) for p in plans([started(), other]) if p.mate} == {5}
    assert "crossover" not in {p.operator for p in plans([started()])}  # nobody to cross it with
    lone = Planner(POOL, CONFIG, ("crossover",))
    found = {lone(brief([started(), other], number)).operator for number in range(40, 90)}
    assert "crossover" not in found


def test_a_zoo_program_is_not_simplified() -> None:
    zoo_first = Document.model_validate(
        {
            "agents": {"one": {"stage": "recall", "source": zoo.source("item_knn")}},
            "graph": {"recall": {"one": 10}},
        }
    )
    planner = Planner(zoo_first, CONFIG)
    assert {planner(brief([], n)).operator for n in range(40, 120)} == {"edit", "rewrite"}


def test_the_last_trial_of_a_step_is_to_be_something_else() -> None:
    tried = entry(6, 0.4, direction=REFINE_ONE)
    assert {p.operator for p in plans([started(), tried])} == {"new_direction"}


def test_what_failed_in_the_step_that_is_due_is_mended() -> None:
    broken = entry(30, CRASH, with_fresh(), direction=RECOMPOSE)
    history = [started(), *saturated(), broken]
    repairs = [p for p in plans(history) if p.operator == "repair"]
    assert 20 < len(repairs) < 55
    assert {(number(p.parent), number(p.base), p.focus, p.direction) for p in repairs} == {
        (30, 5, "fresh", RECOMPOSE)
    }
    again = replace(
        broken,
        number=31,
        candidate=replace(
            broken.candidate,
            operator="repair",
            parents=(broken.candidate.id,),
            values={"two.step": 4},
        ),
    )
    second = [p for p in plans([*history, again]) if p.operator == "repair"]
    assert {(number(p.parent), number(p.base)) for p in second} == {(31, 5)}
    elsewhere = replace(broken, candidate=replace(broken.candidate, direction=REFINE_ONE))
    assert "repair" not in {p.operator for p in plans([*history[:-1], elsewhere])}


def test_what_a_repair_brought_may_change_and_what_it_took_over_may_not() -> None:
    broken = entry(30, CRASH, with_fresh(), direction=RECOMPOSE)
    todo = Plan(
        operator="repair", direction=RECOMPOSE, parent=broken, focus="fresh", base=started()
    )
    language = Authoring(CONFIG)
    now = brief([started(), broken])
    mended = language.source("agents: {fresh: {program: zoo/item_knn}}\n", todo, now)
    assert isinstance(mended, str)
    assert parse(mended).serving == ("fresh", "one", "ranker")
    refused = language.source("agents: {one: {program: zoo/item_knn}}\n", todo, now)
    assert isinstance(refused, Failed)
    assert "one has another program" in refused.reason


def test_what_is_barred_is_not_built_on() -> None:
    better = replace(entry(6, 0.9, written(one=MINE), direction=REFINE_ONE), standing="barred")
    assert number(plan([started(), better]).parent) == 5


def test_advice_is_about_the_step_and_can_be_left_out() -> None:
    refining = {p.advice for p in plans([started()])}
    assert len(refining) == len(DIRECTIONS)
    ranking = [started(), *saturated(("one", "two"))]
    assert not any("negatives" in p.advice for p in plans(ranking))
    recomposing = {p.advice for p in plans([started(), *saturated()])}
    assert recomposing == {f"**{name}** ({text})" for name, text in COMPOSITIONS.items()}
    assert plan([started()], without=("directions",)).advice == ""


def test_a_search_in_which_nothing_pays_is_over() -> None:
    tried = [entry(30 + n, 0.4, direction=RECOMPOSE) for n in range(6)]
    with pytest.raises(NothingPays):
        plan([started(), *saturated(), *tried])


def test_a_program_that_is_too_long_is_not_shown() -> None:
    todo = plan([started()])
    lean = leaner(todo)
    assert lean == replace(todo, operator="rewrite", unseen=True)
    assert leaner(lean) is None
    text = Prompts(language=Authoring(CONFIG)).request(
        brief([started()]), lean, Effects("reward@10")
    )
    assert "program: candidate/5/one" in text
    assert "too long to be shown here" in text


# --- how requests read ---


def compare(name: str, text: str) -> None:
    """Set EVOLVER_GOLDEN=write to accept what is rendered now."""
    file = GOLDEN / name
    if os.environ.get("EVOLVER_GOLDEN") == "write":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), f"{name} reads otherwise than before"


def told() -> Brief:
    """A baseline, the start, a refined agent, a failure, and steps that are saturated."""
    single = Document.model_validate(
        {
            "agents": {
                "ease": {"stage": "recall", "source": zoo.source("ease"), "values": {"l2": 90}}
            },
            "graph": {"recall": {"ease": 200}},
        }
    )
    baseline = entry(0, 0.45, single, parents=(), idea="ease")
    baseline = replace(
        baseline,
        candidate=replace(baseline.candidate, proposer="baseline", family="linear"),
    )
    refined = entry(6, 0.6, written(one=MINE), direction=REFINE_ONE, idea="wider | steps")
    broken = entry(7, CRASH, with_fresh(), direction=RECOMPOSE, idea="a fresh one")
    return brief([baseline, started(), refined, broken])


def rendered(todo: Plan, now: Brief) -> str:
    credit = {"one": "+0.0100 lost without it"}
    language = Authoring(CONFIG, credit=lambda entry: credit if entry.number == 6 else {})
    return Prompts(language=language).request(now, todo, Effects("reward@10"))


@pytest.mark.parametrize(
    ("operator", "direction"),
    [
        ("edit", REFINE_ONE),
        ("crossover", REFINE_ONE),
        ("simplify", REFINE_ONE),
        ("rewrite", RECOMPOSE),
        ("new_direction", RECOMPOSE),
        ("crossover", RECOMPOSE),
        ("repair", RECOMPOSE),
    ],
)
def test_requests_read_as_before(operator: str, direction: str) -> None:
    now = told()
    start, refined, broken = now.history[1:]
    todo = Plan(
        operator=operator,  # type: ignore[arg-type]
        direction=direction,
        parent=broken if operator == "repair" else refined,
        mate=start if operator == "crossover" else None,
        focus="one" if direction == REFINE_ONE else "fresh" if operator == "repair" else "",
        advice="" if operator == "repair" else "**merge** (how lists become one)",
        base=start if operator == "repair" else refined,
    )
    kind = direction.split()[2]
    compare(f"{kind}_{operator}.txt", rendered(todo, now))


def test_the_task_reads_as_before() -> None:
    compare("system.txt", Prompts(language=Authoring(CONFIG)).system(told()))


def test_the_reward_is_told_as_it_was_declared() -> None:
    reward = RewardConfig(
        mode="constraints",
        weights={"relevance": 1.0, "novelty": 0.1, "latency": 0.2},
        constraints={"latency": 40, "coverage": 0.2},
    )
    text = Prompts(language=Authoring(reward)).system(told())
    assert "mean over users of (1.0 · relevance + 0.1 · novelty) - 0.2 · latency / 100 ms\n" in text
    assert "- Bounds: latency at most 40.0, coverage at least 0.2." in text


def test_models_that_are_too_large_for_the_data_are_not_offered() -> None:
    text = Prompts(language=Authoring(CONFIG, ["ease"])).system(told())
    assert "- zoo/ease" not in text
    assert "- zoo/ials" in text


def test_a_reviewer_sees_what_is_new_in_full() -> None:
    prompts = Prompts(language=Authoring(CONFIG))
    [asked] = prompts.review(told(), written(two=MINE).text(), "two of a kind", started())
    assert asked["content"].count("A version of mine") == 1
    assert "program: candidate/5/one" in asked["content"]


def test_the_start_is_pending_until_it_is_recorded() -> None:
    todo = plan([])
    assert todo.parent is not None
    assert todo.parent.evaluation == PENDING
    assert todo.parent.number == 5
    assert todo.parent.candidate == START


def test_templates_of_ones_own_for_pipelines_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "edit.md.j2").write_text("for single programs")
    (tmp_path / "pipeline" / "rewrite.md.j2").write_text("mine: {{ focus }}")
    prompts = Prompts(str(tmp_path), language=Authoring(CONFIG))
    now = brief([started()])
    todo = Plan(operator="edit", direction=REFINE_ONE, parent=started(), focus="one")
    assert "Change agent `one`" in prompts.request(now, todo, Effects("reward@10"))
    written = prompts.request(now, replace(todo, operator="rewrite"), Effects("reward@10"))
    assert written == "mine: one\n"
