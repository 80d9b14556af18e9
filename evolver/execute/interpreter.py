"""Where this Python and the libraries of candidates lie, so that a worker can be shown them only.

Found from the running interpreter, whatever made it: a system Python, pyenv, a virtual
environment, conda. Nothing else of the host is needed inside.
"""

from __future__ import annotations

import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from evolver import contract
from evolver.errors import SandboxUnavailable
from evolver.resources import folder

LIBRARIES = ("torch", "numpy", "scipy", "sklearn", "safetensors")
# What the dynamic loader needs of the system.
SYSTEM = ("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libexec/ld.so", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/usr/share/zoneinfo",
    "/etc/localtime",
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """executable: the real binary. site: what goes on sys.path. needed: what must be readable."""

    executable: Path
    site: tuple[Path, ...]
    needed: tuple[Path, ...]


@cache
def interpreter() -> Interpreter:
    """The running interpreter. Raises SandboxUnavailable where a library is missing."""
    executable = Path(sys.executable).resolve()
    found = [Path(place) for place in site.getsitepackages()]
    if site.ENABLE_USER_SITE:
        found.append(Path(site.getusersitepackages()))
    for name in LIBRARIES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SandboxUnavailable(
                f"candidates need {name}, which is not installed for {sys.executable}; "
                f"pip install {name}"
            )
        found.append(Path(spec.origin).parent.parent)
    site_folders = _unique(place for place in found if place.is_dir())
    standard = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    shared = [Path(sys.base_prefix) / "lib", Path(sys.exec_prefix) / "lib"]
    needed = [executable, *standard, *shared, *site_folders]
    return Interpreter(executable, tuple(site_folders), tuple(_outermost(_unique(needed))))


def system_places() -> list[Path]:
    """Folders and files of the system that exist here, symbolic links included."""
    return [Path(name) for name in (*SYSTEM, *SYSTEM_FILES) if os.path.lexists(name)]


def runner_files() -> list[Path]:
    """The Python files of sandbox/, which run beside the candidate."""
    return sorted(folder("sandbox").rglob("*.py"))


def contract_file() -> Path:
    """The only module of evolver that a candidate can import."""
    return Path(contract.__file__)


def _unique(places: Iterable[Path]) -> list[Path]:
    return list(dict.fromkeys(place for place in places if place.exists()))


def _outermost(places: list[Path]) -> list[Path]:
    """Leave out what lies inside another one."""
    return [place for place in places if not any(other in place.parents for other in places)]
