"""A run driven through its mailbox: by steps, by commands, over MCP; and its replay."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from evolver import assemble, stepwise
from evolver import run as runs
from evolver.archive.lock import exclusive
from evolver.cli.main import app
from evolver.config import BudgetConfig, DataConfig, ExecuteConfig, ProposeConfig, RunConfig
from evolver.core import Scored
from evolver.errors import ConfigError, EvolverError, UsageError
from evolver.evolve import Ending
from evolver.propose.mailbox import TURNS
from tests.propose.samples import SOURCE as CODE
from tests.propose.samples import good_reply
from tests.test_evolve import FakeSandbox, told, write_data

CANDIDATES = 12


def fresh(label: str) -> str:
    """An answer that no other equals."""
    return good_reply(CODE.replace("FAMILY =", f"LABEL = {label!r}\nFAMILY ="))


@pytest.fixture(autouse=True)
def _fake_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "open_sandbox", lambda *_, **__: FakeSandbox())


def make(
    place: Path, *, candidates: int = CANDIDATES, baseline_share: float = 0.6, **propose: Any
) -> Path:
    place.mkdir(parents=True)
    config = RunConfig(
        data=DataConfig(path=str(write_data(place))),
        budget=BudgetConfig(candidates=candidates),
        execute=ExecuteConfig(workers=2, threads=1, device="cpu"),
        propose=ProposeConfig(**{"proposer": "mailbox", "similarity": 1.0} | propose),
        baseline_share=baseline_share,
    )
    runs.create(config, place / "run")
    return place / "run"


def drive(place: Path, answer: Callable[[stepwise.OpenRequest], str]) -> Ending | None:
    """Answer whatever is asked until nothing is."""
    step = stepwise.ask(place)
    while step.requests:
        request = step.requests[0]
        step = stepwise.tell(place, answer(request), request.id).step
    return step.ending


def test_asking_and_telling_drive_a_run_to_its_end(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    step = stepwise.ask(place)
    assert len(step.requests) > 1  # requests for candidates that do not need each other
    assert not step.over
    assert runs.reopen(place).archive.entry(0) is not None  # baselines were trained first
    assert stepwise.ask(place).requests == step.requests
    result = stepwise.tell(place, fresh("first"), step.requests[0].id)
    assert result.entry is not None
    assert isinstance(result.entry.evaluation, Scored)
    assert result.entry.candidate.model == "mailbox"
    assert drive(place, lambda request: fresh(request.id)) is Ending.CANDIDATES
    assert stepwise.ask(place).over
    history = runs.reopen(place).archive.history()
    assert [e.number for e in history] == list(range(CANDIDATES))
    assert {e.candidate.proposer for e in history} == {"baseline", "mailbox"}


def test_the_order_of_answers_changes_nothing(tmp_path: Path) -> None:
    def answer(request: stepwise.OpenRequest) -> str:
        return fresh(str(request.number))

    one, two = make(tmp_path / "a"), make(tmp_path / "b")
    drive(one, answer)
    step = stepwise.ask(two)
    while step.requests:
        request = step.requests[-1]
        step = stepwise.tell(two, answer(request), request.id).step
    assert told(runs.reopen(one).archive) == told(runs.reopen(two).archive)


def test_a_useless_answer_is_asked_for_again(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    first = stepwise.ask(place).requests[0]
    result = stepwise.tell(place, "Sorry.", first.id)
    assert result.entry is None
    assert result.again is not None
    assert "holds no code" in result.again.text
    assert "holds no code" in result.again.fault
    for number in range(TURNS - 1):
        assert result.again is not None
        result = stepwise.tell(place, f"Sorry again, {number}.", result.again.id)
    assert result.entry is not None  # that is enough: recorded as failed
    assert not isinstance(result.entry.evaluation, Scored)


def test_several_answers_at_once_are_trained_side_by_side(tmp_path: Path) -> None:
    one, two = make(tmp_path / "a"), make(tmp_path / "b")
    drive(one, lambda request: fresh(str(request.number)))
    step = stepwise.ask(two)
    while step.requests:
        assert len({r.shared for r in step.requests}) == 1
        results = stepwise.tell_all(two, {r.id: fresh(str(r.number)) for r in step.requests})
        assert all(told.entry is not None for told in results)
        step = results[-1].step
    assert told(runs.reopen(one).archive) == told(runs.reopen(two).archive)


def test_where_one_answer_is_wrong_none_is_handed_in(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    first, second, *_ = stepwise.ask(place).requests
    for wrong in ({"0001-00000000": "x"}, {second.id: "  "}):
        with pytest.raises(UsageError):
            stepwise.tell_all(place, {first.id: fresh("one"), **wrong})
    assert first.id in {r.id for r in stepwise.ask(place).requests}


def test_which_request_is_meant_must_be_said(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    with pytest.raises(UsageError, match="no request is open"):
        stepwise.tell(place, fresh("x"))
    stepwise.ask(place)
    with pytest.raises(UsageError, match="--request"):
        stepwise.tell(place, fresh("x"))


def test_other_runs_have_no_mailbox(tmp_path: Path) -> None:
    place = make(tmp_path / "a", proposer="random")
    with pytest.raises(UsageError, match="--proposer mailbox"):
        stepwise.ask(place)


# --- a search that runs meanwhile ---


@contextmanager
def searching(place: Path) -> Iterator[list[Ending]]:
    """The run, worked on by a thread that waits for answers, as another process would."""
    endings: list[Ending] = []
    begun = threading.Event()

    def work() -> None:
        run = runs.reopen(place)
        with exclusive(run.folder):
            search = assemble.search(run)
            begun.set()
            endings.append(search.go())

    thread = threading.Thread(target=work, daemon=True)  # a test that fails must end
    thread.start()
    begun.wait()
    yield endings
    thread.join()


def test_a_running_search_takes_the_answers_itself(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    with searching(place) as endings:
        while not endings:
            requests = stepwise.ask(place).requests
            if not requests:
                continue
            answers = {requests[0].id: fresh(requests[0].id)}
            try:
                [told] = stepwise.tell_all(place, answers, wait=30)
            except UsageError:
                continue  # it was put away meanwhile
            assert told.entry is not None
    assert endings == [Ending.CANDIDATES]


def held(place: Path) -> threading.Thread:
    """The run, held for a second by a process that takes no answer: it looked before they came."""
    begun = threading.Event()

    def hold() -> None:
        with exclusive(place):
            begun.set()
            time.sleep(1.0)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    begun.wait()
    return thread


def test_answers_are_trained_when_the_process_that_held_the_run_ends(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    first, second, *_ = stepwise.ask(place).requests
    answers = {first.id: fresh("one"), second.id: fresh("two")}
    thread = held(place)
    unjudged = stepwise.tell_all(place, answers)  # without waiting
    assert [told.entry for told in unjudged] == [None, None]
    thread.join()
    step = stepwise.ask(place)  # others are open, and yet it trains what is answered
    assert step.requests
    assert all(runs.reopen(place).archive.entry(told.number) for told in unjudged)


def test_telling_goes_on_where_another_process_ends(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    first = stepwise.ask(place).requests[0]
    thread = held(place)
    [result] = stepwise.tell_all(place, {first.id: fresh("one")}, wait=30.0)
    assert result.entry is not None
    assert isinstance(result.entry.evaluation, Scored)
    thread.join()


def test_mcp_tools_drive_a_run(tmp_path: Path) -> None:
    pytest.importorskip("mcp", reason="needs the extra: pip install 'evolver[mcp]'")
    from mcp import Client

    from evolver.cli.mcp import Host, server

    place = make(tmp_path / "a")
    host = Host(tmp_path)

    async def drive_it(endings: list[Ending]) -> list[dict[str, Any]]:
        results = []
        async with Client(server(host)) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert names == {"start_run", "next_request", "answer", "run_status"}

            async def call(name: str, **words: Any) -> dict[str, Any]:
                found = await client.call_tool(name, {"run": str(place), **words})
                content: Any = found.content[0]
                return dict(json.loads(content.text))

            while True:
                asked = await call("next_request", wait_seconds=5)
                if asked["request"] is None:
                    assert asked["state"].startswith(("working", "not running"))
                    if endings:
                        break
                    continue
                assert "class Model" in asked["text"]
                last = asked["open"][-1]
                picked = await call("next_request", wait_seconds=5, request=last)
                assert picked["request"] == last
                words = {"request": asked["request"], "text": fresh(asked["request"])}
                results.append(await call("answer", wait_seconds=30, **words))
            wrong = await call("answer", request="0001-00000000", text="x")
            assert "no open request" in wrong["error"]
            status = await call("run_status")
            assert status["metric"] == "ndcg@10"
        return results

    with searching(place) as endings:
        results = asyncio.run(drive_it(endings))
    assert endings == [Ending.CANDIDATES]
    assert len(results) > 3
    assert all(result["score"] is not None for result in results)


# --- commands ---


def call(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(words))
    fault = result.exception
    if isinstance(fault, EvolverError):
        assert fault.exit_code == code, fault
    else:
        assert result.exit_code == code, result.output
    return result


def test_commands_ask_and_tell(tmp_path: Path) -> None:
    place = str(make(tmp_path / "a"))
    asked = json.loads(call("ask", place, "--json").stdout)
    first, second = asked["open"][0]["id"], asked["open"][1]["id"]
    assert call("ask", place, "--list").stdout.startswith(first)
    shown = call("ask", place)
    assert f"<!-- evolver request {first} -->" in shown.stdout
    assert f"--request {first}" in shown.stderr
    assert second in call("ask", place, "--request", second).stdout
    answer = tmp_path / "answer.md"
    answer.write_text(fresh("one"))
    said = call("tell", place, str(answer), "--request", first)
    assert said.stdout.startswith(f"candidate {int(first[:4])}: ndcg@10 0.")
    assert "evolver ask" in said.stderr
    answer.write_text("No.")
    found = json.loads(call("tell", place, str(answer), "--request", second, "--json").stdout)
    assert found["again"]
    assert "holds no code" in found["fault"]
    call("ask", place, "--request", "0000-nothing", code=2)
    call("tell", place, str(tmp_path / "none.md"), code=2)


def test_commands_ask_for_all_and_tell_several(tmp_path: Path) -> None:
    place = str(make(tmp_path / "a"))
    shown = call("ask", place, "--all").stdout
    names = [line.split()[2] for line in shown.splitlines() if line.startswith("==== request ")]
    assert len(names) > 2
    assert shown.count("# The contract") == 1
    assert shown.count("# Your answer") == len(names)
    assert f"<!-- evolver answer {names[0]} -->" in shown
    short = call("ask", place, "--all", "--short").stdout
    assert "# The contract" not in short
    assert "# The contract" not in call("ask", place, "--short").stdout
    both = tmp_path / "both.md"
    both.write_text("".join(f"<!-- evolver answer {n} -->\n{fresh(n)}" for n in names[:2]))
    by_number = tmp_path / f"{int(names[2][:4])}.md"
    by_number.write_text(fresh("by number"))
    said = call("tell", place, str(both), str(by_number)).stdout.splitlines()
    assert [line.split()[1] for line in said] == [f"{int(n[:4])}:" for n in names[:3]]
    names = [row["id"] for row in json.loads(call("ask", place, "--json").stdout)["open"]]
    by_id = tmp_path / f"{names[0]}.md"
    by_id.write_text("Nothing to say.")
    said = call("tell", place, str(by_id)).stdout
    assert "holds no code" in said
    assert "asks again" in said


@pytest.mark.parametrize(
    ("text", "more", "words"),
    [
        ("before\n<!-- evolver answer {0} -->\nx", [], "text before"),
        ("<!-- evolver answer {0} -->\nx\n<!-- evolver answer {0} -->\ny", [], "twice"),
        ("<!-- evolver answer 0001-00000000 -->\nx", [], "no open request"),
        ("<!-- evolver answer {0} -->\nx", ["--request", "{0}"], "leave --request out"),
        ("x", [], "say which"),
    ],
)
def test_answers_that_fit_nothing_are_refused_in_one_line(
    tmp_path: Path, text: str, more: list[str], words: str
) -> None:
    place = str(make(tmp_path / "a"))
    first = json.loads(call("ask", place, "--json").stdout)["open"][0]["id"]
    answer = tmp_path / "answer.md"
    answer.write_text(text.format(first))
    options = [word.format(first) for word in more]
    result = call("tell", place, str(answer), *options, code=2)
    assert words in str(result.exception)
    assert len(list((Path(place) / "mailbox").glob("*.answer.md"))) == 0


# --- replay ---


def test_a_run_is_repeated_from_its_record(tmp_path: Path) -> None:
    place = make(tmp_path / "a")
    answers = iter([*(f"nothing {n}" for n in range(TURNS)), *(fresh(str(n)) for n in range(99))])
    drive(place, lambda _: next(answers))
    call("record", str(place), "-o", str(tmp_path / "kept"))
    kept = tmp_path / "kept" / "candidates.jsonl"
    asked = (tmp_path / "kept" / "exchanges.jsonl").read_text(encoding="utf-8").splitlines()
    assert "nothing 0" in {json.loads(line)["reply"] for line in asked}
    judged = (tmp_path / "kept" / "evaluations.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(judged) == CANDIDATES
    for name, record in (("folder", place), ("file", kept)):
        again = make(tmp_path / name, proposer="replay", replay=str(record))
        assert assemble.search(runs.reopen(again)).go() is Ending.CANDIDATES
        assert told(runs.reopen(again).archive) == told(runs.reopen(place).archive)


def test_a_record_keeps_what_the_machine_decided(tmp_path: Path) -> None:
    """With more baseline trials than baselines, what is tried depends on how many are in flight."""
    place = make(tmp_path / "a", baseline_share=0.9, candidates=14)
    drive(place, lambda request: fresh(request.id))
    call("record", str(place), "-o", str(tmp_path / "kept"))
    settings = json.loads((tmp_path / "kept" / "config.json").read_text())
    plan = runs.reopen(place).plan
    assert plan.baseline_slots == 13
    assert settings["execute"]["in_flight"] == plan.lag == 8
    assert settings["cascade"]["smoke"] is plan.smoke is True
    assert settings["data"]["path"] == "ratings.csv"
    settings["data"]["path"] = str(tmp_path / "a" / "ratings.csv")
    settings["propose"]["replay"] = str(tmp_path / "kept" / "candidates.jsonl")

    def replayed(name: str, **propose: Any) -> runs.Run:
        config = settings | {"propose": settings["propose"] | propose}
        runs.create(RunConfig.model_validate(config), tmp_path / name)
        assert assemble.search(runs.reopen(tmp_path / name)).go() is Ending.CANDIDATES
        return runs.reopen(tmp_path / name)

    known = runs.reopen(place).archive
    assert told(replayed("anew", replay_baselines_on=None).archive) == told(known)
    # A record whose baselines nobody would propose so: repeated on the data it was made on only.
    kept = tmp_path / "kept" / "candidates.jsonl"
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join([lines[1], *lines[1:]]).replace('"number": 1,', '"number": 0,', 1))
    assert replayed("same").archive.candidate(0) == known.candidate(1)
    assert replayed("other", replay_baselines_on="other").archive.candidate(0) == known.candidate(0)


def test_replay_without_a_record_is_refused(tmp_path: Path) -> None:
    place = make(tmp_path / "a", proposer="replay")
    with pytest.raises(ConfigError, match="--replay"):
        assemble.search(runs.reopen(place))
