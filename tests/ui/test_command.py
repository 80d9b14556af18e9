"""`evolver ui` as a command: where it listens, what it prints, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import HTTPCookieProcessor, build_opener

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


def test_it_serves_whom_it_told_the_token_and_ends_by_ctrl_c(folder: Path) -> None:
    command = [sys.executable, "-m", "evolver", "ui", str(folder), "--port", "0"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
        assert found is not None, line
        browser = build_opener(HTTPCookieProcessor())
        for address, said in ((found[0].partition("?")[0], "Sign in"), (found[0], "plain")):
            with browser.open(address, timeout=60) as answer:
                assert said in answer.read().decode()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err
    assert "token" not in out + err  # it is printed once, and in no log
