"""Who may look, who may act, and that nothing foreign on a page is more than text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from evolver.errors import UsageError
from evolver.run import reopen
from evolver.ui import app
from evolver.ui.app import application
from evolver.ui.runs import Shelf
from evolver.ui.security import MOST_BODY, Guard, Keys

from .conftest import PASSWORD

REVIEW = "/runs/plain/candidates/20/review"
PAGES = (
    "/",
    "/runs/plain",
    "/runs/plain/live",
    "/runs/plain/candidates",
    "/runs/plain/candidates/20",
    "/runs/plain/lineage",
    "/runs/plain/maps",
    "/runs/plain/compare",
    "/runs/plain/failures",
    "/runs/plain/costs",
)


def visitor(guard: Guard, **settings: object) -> TestClient:
    return TestClient(
        guard,
        base_url="http://127.0.0.1:8765",
        follow_redirects=False,
        **settings,  # type: ignore[arg-type]
    )


def csrf(client: TestClient) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', client.get("/").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("page", PAGES)
def test_a_stranger_sees_no_page(guard: Guard, page: str) -> None:
    for address in (page, f"{page}?token=wrong", f"{page}?token={PASSWORD.replace(' ', '+')}"):
        answer = visitor(guard).get(address)
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert "set-cookie" not in answer.headers


def test_the_token_opens_and_leaves_the_address(guard: Guard) -> None:
    client = visitor(guard)
    answer = client.get(f"/runs/plain?token={guard.keys.token}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs/plain")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert guard.keys.token not in cookie
    assert client.get("/runs/plain").status_code == 200


def test_the_token_redirects_to_no_other_host(guard: Guard) -> None:
    answer = visitor(guard).get(f"http://127.0.0.1:8765//evil.example/x?token={guard.keys.token}")
    assert answer.headers["location"] == "/evil.example/x"


def test_the_password_opens_and_signing_out_closes(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SLOWNESS_SECONDS", 0.0)
    client = visitor(guard)
    assert client.post("/sign-in", data={"key": "guess"}).status_code == 403
    assert client.get("/").status_code == 303
    assert client.post("/sign-in", data={"key": PASSWORD}).headers["location"] == "/"
    word = csrf(client)
    stolen = dict(client.cookies)
    assert client.post("/sign-out", data={"csrf": "wrong"}).status_code == 403
    assert client.post("/sign-out", data={"csrf": word}).status_code == 303
    assert visitor(guard, cookies=stolen).get("/").status_code == 303


def test_without_a_password_only_the_token_opens(folder: Path) -> None:
    keys = Keys(None)
    assert keys.open("") is None
    assert keys.open("None") is None
    assert keys.open("\ud800") is None  # a lone surrogate, as a form may carry
    assert keys.open(keys.token) is not None
    assert Keys(None).token != keys.token
    with pytest.raises(UsageError, match="12 characters"):
        Keys("short")


def test_nothing_changes_without_session_and_word(client: TestClient, guard: Guard) -> None:
    before = len(reopen(guard.app.state.shelf.folder / "plain").archive.reviews.all())  # type: ignore[attr-defined]
    word = csrf(client)
    assert visitor(guard).post(REVIEW, data={"action": "ban", "csrf": word}).status_code == 401
    for given in ({}, {"csrf": ""}, {"csrf": "wrong"}, {"csrf": guard.keys.token}):
        assert client.post(REVIEW, data={"action": "ban", **given}).status_code == 403
    for headers in (
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ):
        answer = client.post(REVIEW, data={"action": "ban", "csrf": word}, headers=headers)
        assert answer.status_code == 403
    assert client.get(f"{REVIEW}?action=ban&csrf={word}").status_code == 405
    after = reopen(guard.app.state.shelf.folder / "plain").archive.reviews.all()  # type: ignore[attr-defined]
    assert len(after) == before


def test_a_word_fits_its_own_session_only(client: TestClient, guard: Guard) -> None:
    other = visitor(guard)
    other.get(f"/?token={guard.keys.token}")
    answer = client.post(REVIEW, data={"action": "pin", "csrf": csrf(other)})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "data", [{"action": "delete"}, {}, {"action": "comment", "text": " "}, {"action": "comment"}]
)
def test_reviews_that_say_nothing_are_refused(client: TestClient, data: dict[str, str]) -> None:
    answer = client.post(REVIEW, data={**data, "csrf": csrf(client)})
    assert answer.status_code == 400
    assert "did not work" in answer.text


def test_forms_are_bounded(client: TestClient) -> None:
    huge = client.post(REVIEW, data={"action": "comment", "text": "x" * MOST_BODY})
    assert huge.status_code == 413
    endless = client.post(REVIEW, content=iter([b"action=ban"]))  # chunks, without a length
    assert endless.status_code == 413
    long = client.post(REVIEW, data={"action": "comment", "text": "x" * 3000, "csrf": csrf(client)})
    assert long.status_code == 400
    assert "2000 characters" in long.text


@pytest.mark.parametrize(
    ("host", "fine"),
    [
        ("127.0.0.1:8765", True),
        ("localhost:9000", True),
        ("[::1]:8765", True),
        ("evil.example:8765", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("192.168.0.7:8765", False),
        ("", False),
        ("[", False),
    ],
)
def test_other_names_are_refused_even_with_a_session(
    client: TestClient, host: str, fine: bool
) -> None:
    assert client.get("/", headers={"host": host}).status_code == (200 if fine else 421)


def test_a_public_server_knows_its_names_and_addresses(folder: Path) -> None:
    guard = application(
        Shelf(folder), Keys(PASSWORD), port=1, public=True, names=frozenset({"lab.example"})
    )
    for host, status in (("lab.example", 303), ("10.0.0.5:1", 303), ("evil.example", 421)):
        assert visitor(guard).get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize("page", [*PAGES, "/nothing", "/sign-in", "/static/live.js", "/static/x"])
def test_every_answer_carries_the_policy(client: TestClient, page: str) -> None:
    answer = client.get(page)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize(
    "address",
    [
        "/runs/none",
        "/runs/..%2Fplain",
        "/runs/%2E%2E",
        "/runs/plain/candidates/999",
        "/runs/plain/candidates/-1",
        "/runs/plain/compare?a=999",
        "/runs/plain/compare?metric=none",
        "/runs/plain/lineage?of=zzzz",
        "/static/..%2Fapp.py",
    ],
)
def test_what_is_not_there_is_not_found(client: TestClient, address: str) -> None:
    assert client.get(address).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "/runs/plain/candidates/x",
        "/runs/plain/candidates?sort=source",
        "/runs/plain/candidates?at=x",
        "/runs/plain/maps?price=soul",
        "/runs/plain/compare?order=<b>",
    ],
)
def test_what_cannot_be_meant_is_said(client: TestClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 400
    assert "<b>" not in answer.text


class Tags(HTMLParser):
    """What a browser would build of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.parametrize("page", [*PAGES[1:], "/runs/pipelines/candidates/2"])
def test_hostile_text_stays_text(client: TestClient, page: str) -> None:
    name = quote("hos<b>tile&run", safe="")
    html = client.get(page.replace("plain", name)).text
    for tag, attributes in Tags(html).tags:
        assert tag not in {"img", "iframe", "object", "base", "b"}
        assert "style" not in attributes
        assert not [each for each in attributes if each.startswith("on")]
        for each in ("href", "src", "action"):
            assert re.match(r"/(?!/)|#|$", attributes.get(each) or "")
        if tag == "script":
            assert attributes["src"] == "/static/live.js"
    for character in ("\x1b", "\x07", "\x9b", "\u202e"):
        assert character not in html
    assert "49" not in re.findall(r"owned\\x07(.{0,80})", html)


def test_one_run_can_be_shown_alone(folder: Path) -> None:
    assert Shelf(folder / "plain").names() == ["plain"]
    with pytest.raises(UsageError, match="no run 'empty'"):
        Shelf(folder / "plain").snapshot("empty")
    with pytest.raises(UsageError, match="there is no folder"):
        Shelf(folder / "nowhere")


def test_a_broken_archive_spoils_no_list(folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "broken"
    place.mkdir()
    (place / "archive.sqlite").write_text("not a database")
    shelf = Shelf(tmp_path)
    assert shelf.names() == ["broken"]
    assert "not an evolver archive" in shelf.listed("broken").fault
    keys = Keys()
    client = visitor(application(shelf, keys, port=8765))
    client.get(f"/?token={keys.token}")
    assert "not an evolver archive" in client.get("/").text
    answer = client.get("/runs/broken")
    assert answer.status_code == 500
    assert "not an evolver archive" in answer.text
