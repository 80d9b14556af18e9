"""A built wheel holds what a checkout holds."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UI = ("ui/templates", "ui/static")


@pytest.mark.slow
def test_the_wheel_carries_prompts_sandbox_and_search_spaces(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("prompts", "sandbox", "search_spaces"):
        here = {p.relative_to(ROOT) for p in (ROOT / folder).rglob("*") if p.is_file()}
        kept = {p for p in here if "__pycache__" not in p.parts}
        assert kept
        assert {f"evolver/_resources/{p.as_posix()}" for p in kept} <= names
    assert "evolver/zoo/ease.py" in names
    assert "evolver/py.typed" in names
    for package in (
        "export/templates",
        "export/runtime",
        "export/engines",
        "report/templates",
        *UI,
    ):
        place = ROOT / "evolver" / package
        assert {f"evolver/{package}/{p.name}" for p in place.iterdir() if p.is_file()} <= names
    assert not [n for n in names if n.startswith("tests/")]
