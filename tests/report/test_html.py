"""The report is one file that opens offline, says the verdict first and runs nothing foreign."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from evolver.core import Scored
from evolver.report.data import ReportData
from evolver.report.html import render, write_report

from .conftest import HOSTILE

Make = Callable[..., ReportData]
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """What a browser would build: tags, attributes, visible text, and whether tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.stack: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] != "style":
            self.text.append(data)


def test_verdict_comes_first_and_figures_are_there(make_run: Make) -> None:
    page = Page(render(make_run(30)))
    text = " ".join("".join(page.text).split())
    verdict = text.index("beats the best tuned baseline")
    assert verdict < text.index("Leaderboard on the search part")
    assert "by 0.0140 (4.4%) on the sealed test part" in text
    assert "[0.0060, 0.0220]" in text
    assert "evolver evolve ml-100k" in text
    assert "+0.0210 on search, +0.0140 on test" in text
    assert not page.stack


def test_nothing_is_fetched_and_no_script_runs(make_run: Make) -> None:
    html = render(make_run(30))
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "link", "object", "form"}
    for _, attributes in page.tags:
        assert "style" not in attributes  # the policy would drop it
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("href", "src", "action", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_allows_exactly_its_own_style_sheet(make_run: Make) -> None:
    html = render(make_run(5))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert style is not None
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy[1]
    assert "default-src 'none'" in policy[1]
    assert "unsafe" not in policy[1]


def test_hostile_text_is_shown_and_does_nothing(make_run: Make) -> None:
    plain = Page(render(make_run(30, name="n", idea="i", reason="r", source="s")))
    html = render(make_run(30, name=HOSTILE, idea=HOSTILE, reason=HOSTILE, source=HOSTILE))
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"span"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not (attributes.get("href") or "").startswith("javascript")
    text = "".join(page.text)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert r"\x1b]0;owned\x07" in text
    for character in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert character not in html
    assert not page.stack


def test_a_thousand_candidates_stay_small(make_run: Make, tmp_path: Path) -> None:
    path = write_report(tmp_path / "new" / "report.html", make_run(1000))
    assert path.stat().st_size < 2_000_000  # 5 MB would still be sent by mail
    assert "Candidate 999" in path.read_text("utf-8")


def test_lineage_is_drawn_where_anybody_descends_from_anybody(make_run: Make) -> None:
    data = make_run(30)
    page = Page(render(data))
    boxes = [
        a["class"] for tag, a in page.tags if tag == "rect" and "x" in a and a.get("rx") == "6"
    ]
    assert len(boxes) == len(data.by_number)
    assert sum("winning" in (kind or "") for kind in boxes) == 1
    edges = [a for tag, a in page.tags if tag == "path" and a.get("class") == "line-edge"]
    assert len(edges) == 2  # from its parent to the winner, and in the legend
    alone = replace(
        data, entries=[replace(e, candidate=replace(e.candidate, parents=())) for e in data.entries]
    )
    assert 'id="lineage"' not in render(alone)


def test_quality_is_drawn_against_latency_and_size(make_run: Make) -> None:
    data = make_run(30)
    entries = [
        replace(e, evaluation=replace(e.evaluation, parameters=1_000 * (e.number + 1)))
        if isinstance(e.evaluation, Scored)
        else e
        for e in data.entries
    ]
    text = "".join(Page(render(replace(data, entries=entries))).text)
    assert "ndcg@10 against latency" in text
    assert "ndcg@10 against size" in text


@pytest.mark.parametrize("scored", [0, 1])
def test_runs_with_little_in_them(make_run: Make, scored: int) -> None:
    full = make_run(3)
    data = ReportData(
        run="empty",
        metric="ndcg@10",
        created="now",
        evolver_version="0",
        entries=full.ranked[:scored],
        winner=full.ranked[0].number if scored else None,
    )
    page = Page(render(data))
    text = "".join(page.text)
    assert ("Nothing has been measured yet" in text) == (scored == 0)
    assert ("not compared with a tuned baseline" in text) == (scored == 1)
