"""An environment that has our libraries but not evolver, for what must run without it."""

from __future__ import annotations

import sysconfig
import venv
from pathlib import Path


def environment(place: Path) -> Path:
    """The python of a fresh environment in `place` that borrows this one's libraries, and where
    importing evolver fails."""
    venv.create(place, with_pip=False, symlinks=True)
    inside = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(place)}))
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (inside / "borrowed.pth").write_text("\n".join(sorted(borrowed)))
    (inside / "evolver").mkdir()
    (inside / "evolver" / "__init__.py").write_text("raise ImportError('evolver is not here')")
    return place / "bin" / "python"
