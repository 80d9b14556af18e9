"""What every exported package is made of, and how its folder comes to be, whole or not at all."""

from __future__ import annotations

import importlib.metadata
import json
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import jinja2

from evolver import resources
from evolver.core import Candidate, Value
from evolver.errors import UsageError
from evolver.export.card import CardFacts
from evolver.export.graph import Graph
from evolver.export.names import KEYWORD, MARKER, check_destination, check_name
from evolver.export.rewrite import imported_roots, needs_shim, vendored
from evolver.text import code_span, fenced, plain_markdown

FORMAT = 1
CANDIDATE = "candidate.json"
"""The candidate as it was proposed, beside the data: what a refit starts from."""
TEXTS = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "MODEL_CARD.md": "MODEL_CARD.md",
    "Dockerfile": "Dockerfile",
    "tests/test_parity.py": "test_parity.py",
}
"""The template of each text, by its place in the package."""
_HERE = Path(__file__).resolve().parent
_DISTRIBUTIONS = {"numpy": "numpy", "scipy": "scipy", "torch": "torch", "sklearn": "scikit-learn"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Contents:
    """What is in every package, whatever its candidate does.

    programs: sources of candidates by the name of their module, weights: safetensors by file, code:
    text of its other modules by file. facts: what that code must know beside who the candidate is.
    texts: template by place; context: what they show beside what all of them do.
    """

    name: str
    candidate: Candidate
    values: Mapping[str, Value]
    weights: Mapping[str, bytes]
    programs: Mapping[str, str]
    code: Mapping[str, str]
    card: CardFacts
    facts: Mapping[str, Any]
    context: Mapping[str, Any]
    texts: Mapping[str, str] = field(default_factory=lambda: TEXTS)
    graph: Graph | None = None


def assemble(
    destination: Path,
    contents: Contents,
    write_data: Callable[[Path], None],
    *,
    overwrite: bool,
) -> Path:
    """Write a package into `destination`: code, weights, what `write_data` puts into a folder, and
    texts. Returns the folder, resolved."""
    destination = destination.expanduser().resolve()
    name, candidate = contents.name, contents.candidate
    check_name(name)
    check_destination(destination, overwrite=overwrite)
    sources = {module: vendored(source) for module, source in contents.programs.items()}
    roots = set().union(*map(imported_roots, sources.values()))
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.parent / f".{destination.name}.{secrets.token_hex(4)}.partial"
    try:
        module = partial / name
        (module / "data").mkdir(parents=True)
        _write_code(module, sources, contents.code)
        for place, weights in contents.weights.items():
            (module / place).parent.mkdir(exist_ok=True)
            (module / place).write_bytes(weights)
        if contents.graph is not None:
            (module / "scorer.onnx").write_bytes(contents.graph.model)
        write_data(module / "data")
        write_json(module / "data" / "facts.json", _facts(contents))
        write_json(module / "data" / CANDIDATE, _as_json(candidate))
        write_json(partial / MARKER, {"format": FORMAT, "name": name, "candidate": candidate.id})
        context = {
            "name": name,
            "distribution": name.lower().replace("_", "-"),
            "version_tag": f"g{candidate.id}",
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "keyword": KEYWORD,
            "requirements": requirements(roots),
            "torch": "torch" in roots,
            "candidate": candidate,
            "proposer": plain_markdown(candidate.proposer) or "an unnamed proposer",
            "facts": contents.card,
            "values": contents.values,
            "weights_bytes": sum(map(len, contents.weights.values())),
            "graph": contents.graph,
            **contents.context,
        }
        _write_texts(partial, contents.texts, context)
        _swap(partial, destination)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return destination


def requirements(imported: Iterable[str]) -> list[str]:
    """Pinned requirements of programs: what they import, at the versions in use."""
    wanted = {"numpy", "scipy"} | (set(imported) & set(_DISTRIBUTIONS))
    names = sorted({_DISTRIBUTIONS[root] for root in wanted} | {"safetensors"})
    return [f"{name}=={importlib.metadata.version(name).partition('+')[0]}" for name in names]


def _write_code(module: Path, sources: Mapping[str, str], code: Mapping[str, str]) -> None:
    for file, text in code.items():
        (module / file).write_text(text, "utf-8")
    shutil.copyfile(_HERE.parent / "contract.py", module / "_contract.py")
    for name, source in sources.items():
        (module / f"{name}.py").write_bytes(source.encode("utf-8"))
    if any(map(needs_shim, sources.values())):
        (module / "_evolver.py").write_text("from . import _contract as contract\n", "utf-8")
    (module / "py.typed").touch()


def code_of(folder: str) -> dict[str, str]:
    """The files of a folder beside this one, by name."""
    return {file.name: file.read_text("utf-8") for file in sorted((_HERE / folder).glob("*.py"))}


def engine(name: str) -> str:
    """What ranks in a recommender."""
    return (_HERE / "engines" / f"{name}.py").read_text("utf-8")


def shared(helper: str) -> str:
    """What a package shares with the sandbox."""
    return (resources.folder("sandbox") / f"{helper}.py").read_text("utf-8")


def own(module: str, also: Mapping[str, str]) -> str:
    """A module of evolver as a package holds it, beside those in `also`: their names there."""
    path = _HERE.parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    return vendored(path.read_text("utf-8"), also)


def _as_json(candidate: Candidate) -> dict[str, Any]:
    values = {f.name: getattr(candidate, f.name) for f in fields(candidate)}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _facts(contents: Contents) -> dict[str, Any]:
    """What the package knows of itself at run time."""
    candidate, card = contents.candidate, contents.card
    return {
        "name": contents.name,
        "candidate": candidate.id,
        "candidate_name": candidate.name,
        "family": candidate.family,
        "idea": candidate.idea,
        "values": dict(contents.values),
        **contents.facts,
        "data": {"name": card.data_name, "fingerprint": card.data_fingerprint},
        "evolver": card.evolver_version,
        "created": card.created,
        "measured": {
            comparison.part: {m.metric: m.value for m in comparison.module}
            for comparison in card.comparisons
        },
    }


def _write_texts(folder: Path, texts: Mapping[str, str], context: Mapping[str, Any]) -> None:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters |= {
        "code": lambda text: code_span(str(text)),
        "cell": lambda text: code_span(str(text), cell=True),
        "plain": lambda text: plain_markdown(str(text)),
        "fenced": lambda text: fenced(str(text)),
        "size": _size,
    }
    for place, template in texts.items():
        path = folder / place
        path.parent.mkdir(exist_ok=True)
        path.write_text(environment.get_template(f"{template}.j2").render(context), "utf-8")


def write_json(path: Path, value: object) -> None:
    """Write JSON that any reader takes."""
    path.write_text(json.dumps(value, allow_nan=False), "ascii")


def _size(count: int) -> str:
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _swap(partial: Path, destination: Path) -> None:
    """Put the finished folder in place; an earlier export goes only once the new one is there."""
    try:
        if destination.exists() and any(destination.iterdir()):
            old = partial.with_suffix(".old")
            destination.rename(old)
            partial.rename(destination)
            shutil.rmtree(old)
        else:
            partial.rename(destination)
    except OSError as error:
        raise UsageError(f"{destination} cannot be written: {error.strerror}") from error
