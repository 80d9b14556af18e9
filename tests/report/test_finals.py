"""Verdicts, noise floor, canaries and readings as people see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from evolver.ablations import Contribution
from evolver.cli.main import app
from evolver.config import PromoteConfig
from evolver.evaluate.effect import NoiseFloor
from evolver.evaluate.promotion import Evidence, judge
from evolver.floor import Floor
from evolver.report import terminal
from evolver.report.data import Canary, Contest, Figure, PartReading, ReportData
from evolver.report.finals import final_rows, finals_lines, priced, rail_rows
from evolver.report.html import render
from evolver.report.markdown import markdown
from evolver.report.verdict import verdict
from evolver.run import reopen
from evolver.standing import Judged, Standing
from tests.evaluate.test_promotion import runs, scored

Make = Callable[..., ReportData]

FLOOR = Floor(
    number=3,
    name="EASE",
    metric="ndcg@10",
    noise=NoiseFloor(
        mean=0.3, seed_deviation=0.002, user_error=0.01, difference=0.004, seeds=3, users=40
    ),
    low=0.28,
    high=0.32,
    least=0.004,
)


def judged(number: int, gain: float, **more: Any) -> Judged:
    found = judge(
        scored(runs(gain)),
        scored(runs(seed=2)),
        metric="ndcg@10",
        reading=1,
        config=PromoteConfig(),
        resamples=500,
    )
    assert isinstance(found.evidence, Evidence)
    assert found.decision in ("promote", "reject")
    data = json.loads(json.dumps(found.as_data()))
    facts: dict[str, Any] = {
        "number": number,
        "against": 0,
        "decision": found.decision,
        "reason": found.reason,
        "paragraph": str(found),
        "evidence": data["evidence"],
    }
    return Judged(**(facts | more))


def ended(make_run: Make, *verdicts: Judged, **more: Any) -> ReportData:
    data = make_run(20)
    promoted = any(each.promoted for each in verdicts)
    number = verdicts[-1].number if promoted else 0
    gate = Standing(
        state="promoted" if promoted else "rejected",
        incumbent=data.by_number[number],
        judged=verdicts,
        waiting=(),
        behind=None,
        test_read=promoted,
    )
    facts: dict[str, Any] = {
        "gate": gate,
        "floor": FLOOR,
        "canaries": (
            Canary(name="shuffled time", where="data", says="silent"),
            Canary(name="ids that encode order", where="data", says="warning: <numbers> tell"),
        ),
        "readings": (
            PartReading(part="test", numbers=(20, 0), who="ann", when="now", why="promotion"),
            PartReading(
                part="test", numbers=(9, 0), who="bob", when="later", why="export", forced=True
            ),
        ),
    }
    return replace(data, **(facts | more))


def shown(data: ReportData) -> str:
    console = Console(width=100, record=True, file=None, force_terminal=False)
    with console.capture() as got:
        console.print(terminal.summary(data))
    return " ".join(got.get().split())


def test_a_promotion_is_the_headline_and_the_test_confirms_it(make_run: Make) -> None:
    data = ended(make_run, judged(9, 0.001), judged(20, 0.05))
    said = verdict(data)
    assert said.tone == "better"
    assert "(#20) is promoted: it beats the incumbent, Candidate 0 (#0), by 0.0" in said.headline
    assert "the sealed test confirms it" in said.headline
    detail = " ".join(said.detail)
    assert "Promote: better beyond luck" in detail
    assert "Shrinkage: +0.0210 on search, +0.0140 on test; 67% of the search's gain" in detail
    assert "Candidate 9 (#9) was rejected: " in detail
    assert "Noise floor: EASE (#3) over 3 seeds 0.3000 ± 0.0020" in detail
    assert "a gain counts from +0.0040 on" in detail


def test_a_test_that_says_otherwise_is_in_the_headline(make_run: Make) -> None:
    worse = Contest(
        part="test",
        users=30,
        winner=Figure(value=0.2),
        baseline=Figure(value=0.3),
        difference=Figure(value=-0.1, low=-0.2, high=-0.05),
    )
    said = verdict(ended(make_run, judged(20, 0.05), contests=(worse,)))
    assert said.tone == "worse"
    assert "the sealed test refutes it" in said.headline


def test_a_part_that_brings_nothing_is_named_in_the_verdict(make_run: Make) -> None:
    idle = Contribution(number=20, name="gate", difference=0.0, low=-0.001, high=0.001, seeds=3)
    useful = Contribution(number=20, name="decay", difference=0.02, low=0.01, high=0.03, seeds=3)
    data = ended(make_run, judged(20, 0.05), contributions=(idle, useful))
    detail = " ".join(verdict(data).detail)
    assert "Its part gate brings nothing that was seen: +0.0000" in detail
    assert "decay" not in detail
    for page in (render(data), markdown(data)):
        assert "decay contributes: +0.0200" in page.replace("\\", "")


def test_no_promotion_says_who_stays_and_why(make_run: Make) -> None:
    refused = judged(9, 0.0, evidence=None, paragraph="Reject: canary 'x': y.", decision="reject")
    data = ended(make_run, judged(20, -0.01), refused)
    said = verdict(data)
    assert said.headline == "Nothing is promoted: the incumbent, Candidate 0 (#0), stays."
    assert "Reject: it is not better" in " ".join(said.detail)
    rows = final_rows(data)
    assert [row.decision for row in rows] == ["rejected", "rejected"]
    assert rows[1].p_value == rows[1].reading == "-"
    assert rail_rows(refused) == []
    assert len(finals_lines(data)) == 2
    assert len(finals_lines(data, 9)) == 1


def test_a_gain_at_a_price_says_how_to_accept_it(make_run: Make) -> None:
    dear = judge(
        scored(runs(0.05), **{"coverage@10": 0.1}),
        scored(runs(seed=2)),
        metric="ndcg@10",
        reading=1,
        config=PromoteConfig(),
        resamples=500,
    )
    evidence = json.loads(json.dumps(dear.as_data()))["evidence"]
    data = ended(
        make_run,
        judged(20, 0.05, decision="reject", reason="", paragraph=str(dear), evidence=evidence),
    )
    price = priced(data)
    assert price is not None
    assert price.flags == "--candidate 20 --accept coverage"
    assert f"evolver promote RUN {price.flags}" in " ".join(verdict(data).detail)
    assert priced(ended(make_run, judged(20, 0.05))) is None
    assert priced(ended(make_run, judged(20, -0.05))) is None


@pytest.mark.parametrize("render_page", [render, markdown, shown])
def test_every_page_shows_finals_floor_and_verdict(
    make_run: Make, render_page: Callable[[ReportData], str]
) -> None:
    page = render_page(ended(make_run, judged(20, 0.05)))
    assert "is promoted" in page
    assert "Noise floor" in page
    assert "0.025" in page  # what the first reading may spend


@pytest.mark.parametrize("render_page", [render, markdown])
def test_reports_show_guardrails_canaries_and_forced_readings(
    make_run: Make, render_page: Callable[[ReportData], str]
) -> None:
    page = render_page(ended(make_run, judged(20, 0.05))).replace("\\", "")
    assert "latency p99 (ms)" in page
    assert "ids that encode order" in page
    assert "by force" in page
    assert "ann" in page
    assert page.index("is promoted") < page.index("latency p99 (ms)")
    assert "<numbers>" not in page


def test_status_shows_one_candidate_by_slice(folder: Path) -> None:
    done = CliRunner().invoke(app, ["status", str(folder), "--candidate", "3"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "better (#3) ndcg@10 0.3300 over 40 users" in said
    assert "against parent: +0.0300" in said
    assert "better for 40, worse for 0" in said
    assert "known users 20" in said
    assert "Calibration is not shown" in said
    told = json.loads(
        CliRunner().invoke(app, ["status", str(folder), "--candidate", "2", "--json"]).stdout
    )
    assert told == {"number": 2, "id": told["id"], "notes": [], "diagnosis": None}


def test_what_waits_for_the_gate_is_said(folder: Path) -> None:
    from evolver.report.gather import gather

    data = gather(reopen(folder))
    assert data.gate is not None
    assert data.gate.state == "not judged"
    assert "evolver promote judges it" in " ".join(verdict(data).detail)
    assert finals_lines(data) == ["Not judged yet: better (#3). The incumbent is EASE (#0)."]
