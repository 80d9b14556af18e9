"""`evolver evolve --task pipeline --model`: a scripted model edits pipelines in the sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_llm_cli import asked, asked_again, call, command, data, environment, recorded
from tests.propose.openai_server import Act, serving

pytest.importorskip("litellm", reason="needs the extra: pip install 'evolver[llm]'")
pytestmark = pytest.mark.slow

START = """
agents:
  item_knn: {stage: recall, program: zoo/item_knn}
graph: {recall: {item_knn: 20}}
"""


def answer(request: dict[str, Any]) -> str:
    """The first answer for a candidate changes the graph too, the second what it may."""
    messages = request["messages"]
    if len(messages) == 1:
        return "ready"
    number = int(re.findall(r"This is proposal (\d+)", messages[1]["content"])[-1])
    graph = "graph: {recall: {item_knn: 10}}\n" if len(messages) == 2 else ""
    return (
        f"IDEA: {number} neighbours\nEXPECT: a little more\n\n```yaml\n"
        f"agents:\n  item_knn: {{values: {{neighbours: {number + 10}}}}}\n{graph}```\n"
    )


def test_a_model_edits_pipelines_and_a_killed_run_pays_no_reply_twice(tmp_path: Path) -> None:
    (tmp_path / "start.yaml").write_text(START)
    (tmp_path / "settings.yaml").write_text(
        yaml.safe_dump({"promote": {"finalists": 0}, "baseline_share": 0.25})
    )
    words = ["evolve", str(data(tmp_path)), "--task", "pipeline", "--pipeline", "start.yaml"]
    words += ["--config", "settings.yaml", "--proposer", "llm", "--candidates", "4", "--json"]
    words += ["--workers", "1", "--threads", "1", "--out", "run", "--accept-alarm", "shuffled-time"]
    run = tmp_path / "run"
    with serving(Act(echo=answer)) as server:
        child = subprocess.Popen(
            command(server, *words),
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 200
        while not (asked(server) and recorded(run)) and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.2)
        child.kill()
        child.wait()
        before, known = len(server.requests), recorded(run)
        assert known
        done = call(tmp_path, server, "resume", "run", "--json")
        assert done.returncode == 0, done.stderr
        assert not asked_again(server, before, known)
        requests = asked(server)
    found = json.loads(done.stdout)
    assert (found["scored"], found["failed"]) == (4, {})
    written = [row for row in found["leaderboard"] if row["proposer"].startswith("llm")]
    assert {row["idea"] for row in written} == {"2 neighbours", "3 neighbours"}
    refused = [messages for messages in requests if len(messages) == 4]
    assert len(refused) >= 2
    assert all("this step refines agent item_knn and" in m[-1]["content"] for m in refused)
    shown = call(tmp_path, None, "pipeline", "of", "run", "--candidate", "3")
    assert yaml.safe_load(shown.stdout)["agents"]["item_knn"]["values"] == {"neighbours": 13}
