"""Turns candidate source into a module, and what it raises into one short reason."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
from typing import Any

from evolver.contract import Choice, Float, Int, Params

FILE = "candidate.py"
FRAMES = 5
REASON = 3000


class Refused(Exception):  # noqa: N818 - a verdict on the candidate, not an error of ours
    """The candidate cannot go on: of what kind, and why."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason[:REASON]


def load_module(source: str, answers: tuple[str, ...]) -> types.ModuleType:
    """Run the source as module `candidate`; tracebacks show its lines. `answers`: the methods of
    which its `Model` needs one."""
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    try:
        code = compile(source, FILE, "exec")
    except (SyntaxError, ValueError) as error:  # ValueError: a null byte
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise Refused("contract", f"not a Python file{where}: {error}") from None
    module = types.ModuleType("candidate")
    module.__file__ = FILE
    sys.modules["candidate"] = module
    exec(code, module.__dict__)
    model = getattr(module, "Model", None)
    if not isinstance(model, type):
        raise Refused("contract", "the file defines no class Model")
    for method in ("fit", "state", "load"):
        if not callable(getattr(model, method, None)):
            raise Refused("contract", f"Model has no method {method}")
    if not any(callable(getattr(model, method, None)) for method in answers):
        raise Refused("contract", f"Model has no method {' or '.join(answers)}")
    return module


def make_params(module: types.ModuleType, values: dict[str, Any], ablate: str = "") -> Params:
    """The declared defaults, overridden by the chosen values; `ablate`: the part to leave out."""
    declared = getattr(module, "TUNABLES", {})
    if not isinstance(declared, dict) or not all(
        isinstance(one, Int | Float | Choice) for one in declared.values()
    ):
        raise Refused("contract", "TUNABLES must be a dict of name -> Int, Float or Choice")
    unknown = sorted(set(values) - set(declared))
    if unknown:
        raise Refused("contract", f"values given for {unknown}, which TUNABLES does not declare")
    return Params({name: one.default for name, one in declared.items()} | values, ablate=ablate)


def explain(step: str, error: BaseException) -> Refused:
    """Which step failed, how, and the candidate's own lines on the way there."""
    kind = "memory" if out_of_memory(error) else "crash"
    try:
        message = str(error)
    except BaseException:  # noqa: BLE001 - an exception of the candidate may be broken itself
        message = "(its message cannot be read)"
    lines = [f"{type(error).__name__} in {step}: {message[: REASON // 2]}"]
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename == FILE]
    lines += [
        f"  {FILE} line {one.lineno}, in {one.name}: {(one.line or '')[:200]}"
        for one in frames[-FRAMES:]
    ]
    return Refused(kind, "\n".join(lines))


def out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    # torch says it in words on a CPU and by a subclass of RuntimeError on a GPU.
    words = ("can't allocate memory", "CUDA out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)
