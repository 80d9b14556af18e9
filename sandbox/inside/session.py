"""One job from first frame to last: fit, then answer requests until the parent hangs up."""

from __future__ import annotations

import contextlib
import json
import math
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from evolver.contract import Budget
from inside import lists, ranked, tables
from inside.candidate import Refused, explain, load_module, make_params
from inside.scorer import as_onnx
from inside.state import checked_state, packed
from inside.warm import install_filter, leave, lower_limits, peak_bytes, warm_up
from inside.wire import Wire

T = TypeVar("T")
FREE_REPORTS = 1000  # after so many reports of progress, at most ten a second
QUIET_SECONDS = 0.1
MOST_OBSERVED = 16
TASKS = {"retrieval": lists, "ranking": tables, "reranking": ranked}


def session(wire: Wire, settings: dict[str, Any]) -> None:
    """Serve one parent. Ends the process."""
    view = Path(settings["view"])
    facts = json.loads((view / "view.json").read_text())
    train = TASKS[facts["task"]].load(view, facts)
    if settings["warm"]:
        warm_up(settings["threads"], settings["device"])
    wire.send({"type": "ready"})
    try:
        job, source = wire.receive()
        lower_limits(settings)
        if settings["seccomp"]:
            install_filter(settings["seccomp"])
        model = fit(wire, job, source.decode(), train, facts)
        serve(wire, job, model, facts)
    except Refused as refusal:
        flush()
        wire.send({"type": "failed", "kind": refusal.kind, "reason": refusal.reason})
    except (EOFError, BrokenPipeError):
        pass
    leave()


def flush() -> None:
    """Let out what was printed; a candidate may have broken or replaced the streams."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def guarded(step: str, action: Callable[[], T]) -> T:
    """Run candidate code; whatever it raises becomes a refusal that names the step."""
    try:
        return action()
    except (Refused, EOFError, BrokenPipeError):
        raise
    except BaseException as error:  # noqa: BLE001 - SystemExit of a candidate is a crash too
        raise explain(step, error) from None


def seed_all(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def fit(wire: Wire, job: dict[str, Any], source: str, train: Any, facts: dict[str, Any]) -> Any:
    """Train, then hand back a fresh model that has only loaded the trained one's state."""
    seed_all(job["seed"])
    methods = TASKS[facts["task"]].METHODS
    module = guarded("import", lambda: load_module(source, methods))
    seed_all(job["seed"])  # again, for what it imported itself
    params = make_params(module, job["values"], job["ablate"])
    budget = Budget(
        seconds=job["seconds"], seed=job["seed"], device=job["device"], threads=job["threads"]
    )
    state, observed = trained_state(wire, module, params, train, budget)
    seed_all(job["seed"])
    fresh = guarded("__init__", lambda: module.Model(params))
    guarded("load", lambda: fresh.load({name: array.copy() for name, array in state.items()}))
    weights = packed(state) if job["want_weights"] else b""
    parameters = sum(array.size for array in state.values())
    wire.send({"type": "fitted", "parameters": parameters, "observed": observed}, weights)
    return fresh


def trained_state(wire: Wire, module: Any, params: Any, train: Any, budget: Budget) -> Any:
    model = guarded("__init__", lambda: module.Model(params))
    guarded("fit", lambda: follow(wire, model.fit(train, budget)))
    state = guarded("state", lambda: checked_state(model.state()))
    observed = {}
    if hasattr(model, "observe"):
        observed = guarded("observe", lambda: checked_observed(model.observe()))
    return state, observed


def checked_observed(raw: Any) -> dict[str, float]:
    """Named finite numbers, few enough for a header. The parent looks at them again."""
    if not isinstance(raw, dict) or len(raw) > MOST_OBSERVED:
        raise Refused(
            "invalid_output", f"observe must return at most {MOST_OBSERVED} named numbers"
        )
    found = {}
    for name, value in raw.items():
        number = as_number(value, float, None)
        if not isinstance(name, str) or not 0 < len(name) <= 40 or number is None:
            raise Refused(
                "invalid_output",
                "observe must return names of 40 letters at most and finite numbers",
            )
        found[name] = number
    return found


def follow(wire: Wire, fitting: Any) -> None:
    """If `fit` is a generator, pass its reports on until it ends or the parent says stop."""
    if not hasattr(fitting, "__next__"):
        return
    sent, last = 0, -math.inf
    for report in fitting:
        now = time.monotonic()
        if sent < FREE_REPORTS or now - last >= QUIET_SECONDS:
            wire.send({"type": "progress", **progress(report, sent)})
            sent, last = sent + 1, now
        if wire.waiting():
            wire.receive()  # nothing but "stop" is sent while a candidate trains
            fitting.close()
            return


def progress(report: Any, number: int) -> dict[str, Any]:
    """(step, loss), a bare loss, or anything else, as JSON can carry it."""
    step, loss = report if isinstance(report, tuple) and len(report) == 2 else (number, report)
    return {"step": as_number(step, int, number), "loss": as_number(loss, float, None)}


def as_number(value: Any, kind: type, otherwise: Any) -> Any:
    if value is None:
        return otherwise
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return otherwise
    return number if math.isfinite(number) and abs(number) < 2**62 else otherwise


class Guarded:
    """A model whose mistakes are told from those that are found in what it returned."""

    def __init__(self, model: Any, methods: tuple[str, ...]) -> None:
        name = next(each for each in methods if hasattr(model, each))
        method = getattr(model, name)
        setattr(self, name, lambda *given: guarded(name, lambda: method(*given)))


def serve(wire: Wire, job: dict[str, Any], model: Any, facts: dict[str, Any]) -> None:
    """Answer requests until the parent hangs up, as an exported package would."""
    task = TASKS[facts["task"]]
    guarded_model = Guarded(model, task.METHODS)
    while True:
        request, payload = wire.receive()
        if request["type"] == "stop":
            continue  # it crossed the end of training on its way
        if request["type"] == "onnx":
            graph = guarded("scorer", lambda: as_onnx(model, facts["n_items"]))
            wire.send({"type": "onnx"}, graph)
            continue
        asked = task.unpack(request, payload, facts)
        try:
            answer = task.answer(guarded_model, asked, request, facts, job["seed"])
        except Refused:
            raise
        except (ValueError, TypeError) as error:
            raise Refused("invalid_output", str(error)) from None
        except BaseException as error:  # noqa: BLE001 - objects of a candidate can do anything
            raise explain("reading its answer", error) from None
        wire.send({"type": task.REPLY, "peak_bytes": peak_bytes()}, answer.tobytes())
