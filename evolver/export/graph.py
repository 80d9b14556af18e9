"""Checks an ONNX graph that came out of the sandbox: harmless, and it ranks as was measured.

Stops a graph that reads other files or calls code of its own. Does not stop one that is made to
break onnxruntime itself, to which it is input like any other.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evolver import resources
from evolver.contract import Users
from evolver.errors import EvolverError, UsageError
from evolver.text import one_line

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
CLOSE = 1e-4
"""Scores closer than this, relative to the largest one listed, count as equal: a graph adds up in
another order."""
_ROWS = 256
INPUTS: dict[str, Callable[[Users, int], NDArray[Any]]] = {
    "history": lambda users, _: users.matrix().toarray(),
    "recent": lambda users, length: users.last(length, users.n_items),
    "user": lambda users, _: np.where(users.known, users.ids, -1),
}
"""What a graph may take of users, given how many columns it declares."""


class BadGraph(EvolverError):  # noqa: N818 - a verdict on the graph
    """The graph cannot be handed out; the package can be exported without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """A graph that ranks as was measured. inputs: by name, shape and type as ONNX has them.

    identical of users: top-k lists that are the measured ones; the others differ between items of
    equal score, to within rounding, only.
    """

    model: bytes
    inputs: tuple[tuple[str, str, str], ...]
    users: int
    k: int
    identical: int
    runtime: str

    def __str__(self) -> str:
        rest = self.users - self.identical
        rounded = f", {rest} differ by float rounding only" if rest else ""
        return (
            f"top-{self.k} lists of {self.users} users through onnxruntime {self.runtime}: "
            f"{self.identical} identical to the measured ones{rounded}"
        )


def need_packages() -> None:
    """Raise UsageError where a package that graphs are made or checked with is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"--onnx needs {', '.join(missing)}: pip install 'evolver[onnx]'")


def checked(
    model: bytes,
    queries: Users,
    rows: NDArray[np.int64],
    lists: NDArray[np.int32],
    *,
    repeats: bool,
    tie_seed: int,
) -> Graph:
    """The graph, once it has ranked for these rows of the queries as `lists` has it.

    lists: (len(rows), k) int32. Raises `BadGraph`.
    """
    import onnxruntime

    _inspect(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        inputs = session.get_inputs()
        unknown = [each.name for each in inputs if each.name not in INPUTS]
        if unknown or [each.name for each in session.get_outputs()] != ["scores"]:
            raise BadGraph(f"the ONNX graph has inputs or outputs of other names: {unknown}")
        identical = 0
        ranking = _ranking()
        for start in range(0, len(rows), _ROWS):
            block = queries.take(rows[start : start + _ROWS])
            given = {each.name: INPUTS[each.name](block, _length(each)) for each in inputs}
            (scores,) = session.run(["scores"], given)
            identical += _same(
                ranking,
                ranking.as_scores(scores, len(block), block.n_items),
                block,
                lists[start : start + _ROWS],
                repeats=repeats,
                tie_seed=tie_seed,
            )
    except _faults() as error:
        raise BadGraph(f"the ONNX graph does not run: {one_line(str(error), 300)}") from error
    return Graph(
        model=model,
        inputs=tuple((each.name, _shape(each), each.type) for each in inputs),
        users=len(rows),
        k=lists.shape[1],
        identical=identical,
        runtime=onnxruntime.__version__,
    )


def _same(
    ranking: ModuleType,
    scores: NDArray[np.float32],
    block: Users,
    expected: NDArray[np.int32],
    *,
    repeats: bool,
    tie_seed: int,
) -> int:
    """How many lists are identical. Raises `BadGraph` where one differs by more than rounding."""
    got = ranking.top_k(
        scores,
        block.indptr,
        block.items,
        expected.shape[1],
        repeats=repeats,
        tie_seed=tie_seed,
    )
    unequal = np.flatnonzero((got != expected).any(axis=1))
    for row in unequal:
        old, new = expected[row], got[row]
        a, b = scores[row][old[old >= 0]], scores[row][new[new >= 0]]
        if len(a) != len(b) or not np.allclose(a, b, rtol=0, atol=CLOSE * np.abs(b).max()):
            raise BadGraph(
                "the ONNX graph ranks otherwise than what was measured, for user number "
                f"{block.ids[row]} for one: `scorer` does not score as `score` does. Export "
                "without --onnx"
            )
    return len(block) - len(unequal)


def _inspect(model: bytes) -> None:
    """Raise `BadGraph` unless it is plain ONNX that holds its own weights."""
    import onnx

    try:
        parsed = onnx.load_model_from_string(model)
        domains = {each.domain for each in parsed.opset_import}
        domains |= {node.domain for node in _nodes(parsed.graph)}
        if domains - {"", "ai.onnx"} or parsed.functions:
            raise BadGraph("the ONNX graph uses operators that are not ONNX's own")
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in _tensors(parsed.graph)):
            raise BadGraph("the ONNX graph keeps its weights in other files")
        onnx.checker.check_model(parsed)
    except _faults() as error:
        raise BadGraph(f"it is no ONNX graph: {one_line(str(error), 300)}") from error


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node, those of subgraphs too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    """Every constant tensor, those of subgraphs too."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)


def _faults() -> tuple[type[Exception], ...]:
    """What onnx, protobuf and onnxruntime raise on a graph that is none or does not run."""
    from google.protobuf.message import DecodeError
    from onnx.checker import ValidationError
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        ValueError,
        RuntimeError,
        DecodeError,
        ValidationError,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NotImplemented,
        state.RuntimeException,
    )


def _ranking() -> ModuleType:
    """What the sandbox and every exported package rank with."""
    place = resources.folder("sandbox") / "ranking.py"
    spec = importlib.util.spec_from_file_location("evolver_ranking", place)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _length(declared: Any) -> int:
    """How many columns an input has; 0 where it has none, or any."""
    last = declared.shape[-1]
    return last if len(declared.shape) == 2 and isinstance(last, int) else 0


def _shape(declared: Any) -> str:
    return " x ".join(str(size) for size in declared.shape)
