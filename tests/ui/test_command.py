"""`evolver ui` as a command: where it listens, what it prints, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

import pytest
from typer.testing import CliRunner

from evolver.cli.main import app
from evolver.errors import UsageError


def refused(*words: str) -> str:
    done = CliRunner().invoke(app, ["ui", *words])
    assert isinstance(done.exception, UsageError), done.output
    return str(done.exception)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "lab.example"])
def test_a_public_address_needs_a_password(
    folder: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EVOLVER_UI_PASSWORD", raising=False)
    assert "set EVOLVER_UI_PASSWORD" in refused(str(folder), "--host", host)
    monkeypatch.setenv("EVOLVER_UI_PASSWORD", "short")
    assert "12 characters" in refused(str(folder), "--host", host)


def test_a_port_in_use_and_a_missing_folder_are_told(folder: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"port {port}" in refused(str(folder), "--port", port)
    assert "there is no folder" in refused(str(tmp_path / "none"), "--port", "0")


@contextmanager
def serving(*words: str, **environment: str) -> Iterator[str]:
    """The command under way: its first line. It must end by Ctrl-C, quietly."""
    process = subprocess.Popen(
        [sys.executable, "-m", "evolver", "ui", "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err
    assert "token" not in out + err  # it is printed once, and in no log


def test_it_serves_whom_it_told_the_token(folder: Path) -> None:
    with serving(str(folder)) as line:
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        assert found is not None, line
        browser = build_opener(HTTPCookieProcessor())
        for address, said in ((found[0].partition("?")[0], "Sign in"), (found[0], "plain")):
            with browser.open(address, timeout=60) as answer:
                assert said in answer.read().decode()


def test_a_public_one_answers_to_its_names_and_prints_no_token(folder: Path) -> None:
    words = (str(folder), "--host", "0.0.0.0", "--name", "Lab.example")
    with serving(*words, EVOLVER_UI_PASSWORD="correct horse battery") as line:
        assert "token" not in line
        found = re.search(r":(\d+)/sign-in", line)
        assert found is not None, line
        asked = f"http://127.0.0.1:{found[1]}/sign-in"
        for host in (socket.gethostname(), "lab.example", "127.0.0.1"):
            with urlopen(Request(asked, headers={"Host": host}), timeout=60) as answer:
                assert "Sign in" in answer.read().decode()
        with pytest.raises(HTTPError) as refusal:
            urlopen(Request(asked, headers={"Host": "evil.example"}), timeout=60)
        assert refusal.value.code == 421
        refusal.value.close()
