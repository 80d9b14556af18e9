"""Every page and every action in a browser: light, dark, on a phone, with hostile content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from benchmarks.ui import make_run, propose_one
from evolver.run import reopen

from .conftest import Site

HOSTILE = quote("hos<b>tile&run", safe="")
LOOKS = [("plain", "light", 1280), (HOSTILE, "dark", 390)]
PLACES = {
    "overview": "",
    "leaderboard": "/candidates",
    "filtered to nothing": "/candidates?family=nothing+such",
    "candidate": "/candidates/29",
    "failed candidate": "/candidates/13",
    "lineage": "/lineage",
    "lineage of one": "/lineage?of=29",
    "maps": "/maps",
    "compare": "/compare",
    "compare with a failure": "/compare?a=13&b=0",
    "failures": "/failures",
    "costs": "/costs",
}


def shown(page: Page, address: str) -> None:
    answer = page.goto(address)
    assert answer is not None
    assert answer.status == 200


def faults(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.parametrize(("run", "scheme", "width"), LOOKS)
@pytest.mark.parametrize("place", PLACES)
def test_a_page_is_accessible_and_fits(
    page: Page, site: Site, place: str, *, run: str, scheme: Literal["light", "dark"], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    shown(page, f"{site.address}/runs/{run}{PLACES[place]}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults(page) == []


@pytest.mark.parametrize("place", ["/", "/sign-in", "/runs/empty", "/runs/empty/candidates"])
def test_pages_without_much_are_accessible_too(page: Page, site: Site, place: str) -> None:
    shown(page, site.address + place)
    assert faults(page) == []


@pytest.mark.parametrize("place", ["lineage", "maps", "compare", "failures", "costs"])
def test_an_empty_run_has_every_page(page: Page, site: Site, place: str) -> None:
    shown(page, f"{site.address}/runs/empty/{place}")
    expect(page.locator("main")).to_contain_text(re.compile("nothing|no |not ", re.IGNORECASE))


@pytest.mark.parametrize(("number", "scheme", "width"), [(1, "light", 1280), (2, "dark", 390)])
def test_a_pipeline_is_accessible_and_fits(
    page: Page, site: Site, number: int, *, scheme: Literal["light", "dark"], width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    shown(page, f"{site.address}/runs/pipelines/candidates/{number}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert faults(page) == []


def test_a_pipeline_is_drawn_with_what_its_agents_earned(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/pipelines/candidates/1")
    graph = page.get_by_role("img", name="Pipeline #1")
    expect(graph).to_have_accessible_description("one+two → fusion → ranker → mmr → top 10")
    places = [box.bounding_box() for box in graph.locator("rect.node").all()]
    lefts = [place["x"] for place in places if place is not None]
    assert lefts[0] == lefts[1] < lefts[2] < lefts[3] < lefts[4] < lefts[5]
    expect(graph.locator("g").filter(has_text="ranker")).to_contain_text("+0.0300")
    expect(graph.locator("rect.node.harm")).to_have_count(1)
    rows = page.get_by_label("Agents", exact=True).locator("tbody tr")
    told = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    assert [each[1:] for each in told] == [
        ["recall", "120", "+0.0500", "+0.0500", "0.6250", "1.50 ms", "3.2 s"],
        ["recall", "30", "-0.0100", "-0.0100", "0.6250", "1.50 ms", "3.2 s"],
        ["ranking", "90", "+0.0300", "+0.0300", "0.6250", "1.50 ms", "3.2 s"],
        ["re-ranking", "40", "+0.0200", "+0.0200", "0.6250", "1.50 ms", "3.2 s"],
    ]
    expect(page.locator("main")).to_contain_text("+0.0900 over 0.0400 without any agent")
    expect(page.locator("main")).to_contain_text("Does harm on average: two.")


def test_a_hostile_pipeline_is_drawn_as_text(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/pipelines/candidates/2")
    table = page.get_by_label("Agents", exact=True)
    expect(table).to_contain_text("<img src=x onerror=alert(5)>\\x1b\\u202e")
    expect(table.get_by_role("row", name="two")).to_contain_text("+0.0200")
    expect(page.locator("main")).to_contain_text("Credits have not been measured")
    assert page.locator("main img, main script, main b").count() == 0


def test_a_retriever_alone_has_nothing_to_merge(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/pipelines/candidates/0")
    names = page.get_by_role("img", name="Pipeline #0").locator(".node-name")
    assert names.all_text_contents() == ["one", "top 10"]


def test_what_is_no_pipeline_is_not_drawn(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/pipelines/candidates/3")
    expect(page.get_by_role("note")).to_contain_text("a pipeline holds")
    expect(page.get_by_role("heading", name="Pipeline")).to_have_count(0)


def test_from_the_list_to_the_code(page: Page, site: Site) -> None:
    page.get_by_role("link", name="plain", exact=True).click()
    expect(page.get_by_label("Verdict")).to_contain_text("leads the incumbent")
    page.get_by_role("link", name="All", exact=False).click()
    leader = page.locator("tbody tr").first
    expect(leader).to_contain_text("winner")
    leader.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("#")
    expect(page.get_by_label("Diff to the parent")).to_contain_text("def step_")
    page.locator("#code + details summary").click()
    expect(page.get_by_label("Source")).to_contain_text("class Model")


def test_a_candidate_that_was_judged_shows_on_what_evidence(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/candidates/59")
    main = page.locator("main")
    expect(main).to_contain_text("rejected against Item kNN (#0): difference +0.0100")
    expect(main).to_contain_text("p 0.06 of 0.025 allowed")
    expect(main).to_contain_text("canary, too good: better by half")
    expect(main).to_contain_text("it observed of itself: decay 0.5")
    page.get_by_text("Guardrails and slices against").click()
    expect(page.get_by_label("Guardrails")).to_contain_text("broken")
    expect(page.get_by_label("stdout")).to_contain_text("epoch 1")
    page.get_by_role("link", name="Compare with parent").click()
    expect(page.get_by_label("First", exact=True)).to_have_value("59")


def test_the_leaderboard_sorts_filters_and_turns_its_pages(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/candidates")
    page.get_by_label("Sort by").select_option("number")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr").first).to_contain_text("#0")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("26 to 50 of 54")
    expect(page.get_by_label("Sort by")).to_have_value("number")
    page.get_by_label("Family has").fill("two TOWERS")
    page.get_by_label("Proposer has").fill("llm")
    page.get_by_role("button", name="Show").click()
    for row in page.locator("tbody tr").all():
        expect(row).to_contain_text("two towers")
    page.get_by_label("Family has").fill("")
    page.get_by_label("Proposer has").fill("")
    page.get_by_label("reviewed only").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody")).to_contain_text("pinned")


@pytest.mark.parametrize(
    ("button", "stands"),
    [("Approve", "approved"), ("Reject", "rejected"), ("Pin", "pinned"), ("Ban", "banned")],
)
def test_a_reviewer_judges_and_takes_back(page: Page, site: Site, button: str, stands: str) -> None:
    shown(page, f"{site.address}/runs/plain/candidates/33")
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.get_by_role("status")).to_contain_text(f"Recorded: {button.lower()}")
    expect(page.locator("#review")).to_contain_text(f"It is {stands}.")
    assert reopen(site.folder / "plain").archive.reviews.opinions()[33].words == stands
    page.get_by_role("button", name="Take back").click()
    expect(page.locator("#review")).to_contain_text("No verdict yet.")
    assert reopen(site.folder / "plain").archive.reviews.opinions()[33].words == ""


def test_a_verdict_carries_its_reason(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/candidates/35")
    page.get_by_label("Words for the next proposers").fill("it only learns popularity")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".said")).to_contain_text("reject: it only learns popularity")
    opinion = reopen(site.folder / "plain").archive.reviews.opinions()[35]
    assert (opinion.words, opinion.comments) == ("rejected", ("reject: it only learns popularity",))


def test_a_comment_reaches_the_archive_and_stays_text(page: Page, site: Site) -> None:
    words = "Try <b>this</b>: <script>alert(9)</script> \u202e & more"
    shown(page, f"{site.address}/runs/plain/candidates/34")
    page.get_by_label("Words for the next proposers").fill(words)
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".said")).to_contain_text("<script>alert(9)</script> \\u202e & more")
    assert reopen(site.folder / "plain").archive.reviews.opinions()[34].comments == (words,)


def test_marks_on_maps_and_nodes_of_the_graph_lead_to_candidates(page: Page, site: Site) -> None:
    for place, mark in (
        ("maps", "svg a:has(.winner)"),
        ("maps", "svg a:has(.scored)"),
        ("maps", ".kinds td a"),
        ("lineage", "svg.lineage a"),
    ):
        shown(page, f"{site.address}/runs/plain/{place}")
        found = page.locator(mark).first
        target = found.get_attribute("href")
        assert target is not None
        assert re.fullmatch(r"/runs/plain/candidates/\d+", target)
        found.click()
        page.wait_for_url(f"{site.address}{target}")
    shown(page, f"{site.address}/runs/plain/maps")
    page.get_by_role("link", name="memory").click()
    expect(page.locator("figcaption")).to_contain_text("against memory")


def test_the_front_is_reached_by_keyboard(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/maps")
    page.locator("svg a:has(.winner)").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/candidates/*")


def test_two_candidates_are_compared_by_slice_and_user(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/compare")
    page.get_by_label("First", exact=True).fill("20")
    page.get_by_label("Second", exact=True).fill("0")
    page.locator("select[name=metric]").select_option("recall@20")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_label("Slices of users")).to_contain_text("long histories")
    run = reopen(site.folder / "plain")
    ours, theirs = (run.archive.per_user(n, "search", 0)["recall@20"] for n in (20, 0))
    gain = ours.astype(float) - theirs.astype(float)
    users = page.get_by_label("Users", exact=True).locator("tbody tr")
    expect(users.first).to_contain_text(f"{gain.max():+.4f}")
    page.get_by_role("link", name="worse with the first").click()
    expect(users.first).to_contain_text(f"{gain.min():+.4f}")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".pager")).to_contain_text("26 to 50 of 60")


def test_failures_by_kind(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/failures")
    page.get_by_label("Kinds").get_by_role("link", name="timeout").click()
    rows = page.locator("tbody tr")
    assert rows.count() >= 1
    for row in rows.all():
        expect(row).to_contain_text("timeout")


def test_costs_by_model_and_proposer(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/plain/costs")
    expect(page.get_by_label("By model")).to_contain_text("$0.4800")
    expect(page.get_by_label("By who proposed")).to_contain_text("typed search")


def test_hostile_words_are_read_by_people_only(page: Page, site: Site) -> None:
    shown(page, f"{site.address}/runs/{HOSTILE}/candidates/29")
    expect(page.get_by_role("heading", level=1)).to_contain_text("<script>alert(1)</script>")
    expect(page.get_by_role("heading", level=1)).to_contain_text("{{ 7 * 7 }}")
    for summary in page.locator("summary").all():
        summary.click()
    expect(page.get_by_label("request 1")).to_contain_text("<img src=x onerror=alert(2)>")
    assert page.locator("main img, main iframe, main script").count() == 0


@pytest.fixture
def going(site: Site) -> Iterator[Path]:
    """A run that this process works on, as its lock says."""
    place = make_run(site.folder / "going", 20, users=30)
    (place / "run.lock").write_text(str(os.getpid()))
    yield place
    (place / "run.lock").unlink(missing_ok=True)


def test_a_running_search_is_followed(page: Page, site: Site, going: Path) -> None:
    expect(page.get_by_role("row", name="going")).not_to_be_visible()
    page.reload()
    expect(page.get_by_role("row", name="going")).to_contain_text("running")
    page.get_by_role("link", name="going").click()
    live = page.locator("#live")
    expect(live).to_contain_text("running")
    expect(live).to_contain_text("20 of 40")
    archive = reopen(going).archive
    propose_one(archive, 20)
    expect(live).to_contain_text("21 of 40")
    expect(live).to_contain_text("one more #20")
    (going / "run.lock").unlink()
    propose_one(archive, 21)
    expect(live).to_contain_text("left off")
    expect(live).not_to_have_attribute("data-live", re.compile("."))
    archive.close()


def test_the_password_opens_and_signing_out_closes(page: Page, site: Site) -> None:
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site.address}/sign-in")
    page.goto(f"{site.address}/runs/plain")
    page.get_by_label("Token or password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
