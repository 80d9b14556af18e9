"""Runs made up for pages, a server that shows them, a browser that looks."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright
from starlette.testclient import TestClient

from benchmarks.ui import make_run
from evolver.ui.app import application
from evolver.ui.runs import Shelf
from evolver.ui.security import Guard, Keys

from .pipelines import make_pipelines

PASSWORD = "correct horse battery"
HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>'\"><svg onload=alert(3)>"
    "\x1b]0;owned\x07\x1b[31m\u202e\x9b2J{{ 7 * 7 }}{% raw %}<a href='javascript:alert(4)'>x</a>"
    + "long"
    * 200
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
expect.set_options(timeout=20_000)  # a busy machine takes its time


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain run, a hostile one, one in which nothing was tried yet, one of pipelines."""
    place = tmp_path_factory.mktemp("runs")
    make_run(place / "plain", 60, users=60)
    make_run(place / "hos<b>tile&run", 30, users=60, hostile=HOSTILE)
    make_run(place / "empty", 0, users=60)
    make_pipelines(place / "pipelines", HOSTILE)
    return place


@dataclass
class Site:
    """A server under way."""

    address: str
    keys: Keys
    folder: Path


@pytest.fixture(scope="session")
def site(folder: Path) -> Iterator[Site]:
    """The pages, served as `evolver ui` serves them."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    keys = Keys(PASSWORD)
    served = application(Shelf(folder), keys, port=port)
    config = uvicorn.Config(served, log_level="warning", access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield Site(f"http://127.0.0.1:{port}", keys, folder)
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without a window. The test is skipped, with a reason, where none is installed; in
    CI it fails, so that pages are looked at there."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("in CI a Chromium must be installed", pytrace=False)
    if found is None:
        pytest.skip("no Chromium here: install Debian's chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; the pages are ours.
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        made = playwright.chromium.launch(executable_path=found, args=arguments)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    """A page that is signed in. At the end of the test it must have opened no dialog, broken no
    policy, thrown no error and asked no other host for anything."""
    context = browser.new_context(color_scheme="light")
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("dialog", lambda dialog: (wrong.append(f"dialog {dialog.message}"), dialog.dismiss()))
    opened.on("pageerror", lambda error: wrong.append(f"error {error}"))
    opened.on(
        "console",
        lambda said: wrong.append(said.text) if "Content Security" in said.text else None,
    )
    opened.on(
        "request",
        lambda asked: None if asked.url.startswith(site.address) else wrong.append(asked.url),
    )
    opened.set_default_timeout(20_000)
    opened.goto(f"{site.address}/?token={site.keys.token}")
    yield opened
    context.close()
    assert wrong == []


@pytest.fixture
def guard(folder: Path) -> Guard:
    """The application, not served."""
    return application(Shelf(folder), Keys(PASSWORD), port=8765)


@pytest.fixture
def client(guard: Guard) -> Iterator[TestClient]:
    """A client that is signed in and follows no redirection."""
    made = TestClient(guard, base_url="http://127.0.0.1:8765", follow_redirects=False)
    made.get(f"/?token={guard.keys.token}")
    yield made
    made.close()
