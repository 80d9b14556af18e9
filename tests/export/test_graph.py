"""A graph is handed out only if it is plain ONNX and ranks as was measured."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from evolver.contract import Users
from evolver.export.graph import BadGraph, checked

onnx = pytest.importorskip("onnx", reason="needs the extra: pip install 'evolver[onnx]'")
pytest.importorskip("onnxruntime", reason="needs the extra: pip install 'evolver[onnx]'")

ITEMS, K = 12, 5
WEIGHTS = np.random.default_rng(1).random((ITEMS, ITEMS), dtype=np.float32)
QUERIES = Users(
    ids=np.array([7, 0, 9], dtype=np.int64),
    known=np.array([True, True, False]),
    indptr=np.array([0, 2, 5, 6], dtype=np.int64),
    items=np.array([1, 2, 0, 4, 11, 3], dtype=np.int32),
    n_items=ITEMS,
)
ROWS = np.array([0, 2])


def graph(
    weights: Any = None, op: str = "MatMul", domain: str = "", given: str = "history"
) -> bytes:
    """scores = history @ weights, or what else `op` makes of them."""
    floats, tensor = onnx.TensorProto.FLOAT, onnx.helper.make_tensor_value_info
    kept = onnx.numpy_helper.from_array(WEIGHTS if weights is None else weights, "weights")
    made = onnx.helper.make_graph(
        [onnx.helper.make_node(op, [given, "weights"], ["scores"], domain=domain)],
        "scorer",
        [tensor(given, floats, ["users", ITEMS])],
        [tensor("scores", floats, ["users", ITEMS])],
        [kept],
    )
    sets = [onnx.helper.make_opsetid(name, 18) for name in {"", domain}]
    model = onnx.helper.make_model(made, opset_imports=sets, ir_version=10)
    serialized: bytes = model.SerializeToString()
    return serialized


def lists(ranking: ModuleType, scores: Any) -> Any:
    return np.concatenate(
        [
            ranking.top_k(
                scores[[row]],
                np.array([0, len(QUERIES.history(row))]),
                QUERIES.history(row),
                K,
                tie_seed=3,
            )
            for row in ROWS
        ]
    )


def test_what_ranks_as_measured_passes(ranking: ModuleType) -> None:
    scores = QUERIES.matrix() @ WEIGHTS
    found = checked(graph(), QUERIES, ROWS, lists(ranking, scores), repeats=False, tie_seed=3)
    assert (found.users, found.k, found.identical) == (2, K, 2)
    assert found.inputs == (("history", f"users x {ITEMS}", "tensor(float)"),)
    assert "2 identical to the measured ones" in str(found)


def test_lists_may_differ_by_rounding_only(ranking: ModuleType) -> None:
    flat = np.ones_like(WEIGHTS)
    measured = lists(ranking, QUERIES.matrix() @ flat)
    noise = flat + 1e-6 * np.random.default_rng(2).random(flat.shape, dtype=np.float32)
    found = checked(
        graph(noise.astype(np.float32)), QUERIES, ROWS, measured, repeats=False, tie_seed=3
    )
    assert found.identical < found.users
    assert "differ by float rounding only" in str(found)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (graph(WEIGHTS.T.copy()), "otherwise than what was measured"),
        (graph(op="Steal", domain="com.evil"), "operators that are not ONNX's own"),
        (graph(given="labels"), "other names"),
        (graph(np.ones((3, 3), dtype=np.float32)), "ONNX graph"),
        (b"\x08\xff junk", "no ONNX graph"),
        (b"", "ONNX graph"),
    ],
)
def test_anything_else_is_refused_in_one_line(ranking: ModuleType, model: bytes, says: str) -> None:
    measured = lists(ranking, QUERIES.matrix() @ WEIGHTS)
    with pytest.raises(BadGraph, match=says) as refused:
        checked(model, QUERIES, ROWS, measured, repeats=False, tie_seed=3)
    assert "\n" not in str(refused.value)


def test_weights_in_other_files_are_refused(ranking: ModuleType) -> None:
    parsed = onnx.load_model_from_string(graph())
    weights = parsed.graph.initializer[0]
    onnx.external_data_helper.set_external_data(weights, location="/etc/passwd")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.ClearField("raw_data")
    measured = lists(ranking, QUERIES.matrix() @ WEIGHTS)
    with pytest.raises(BadGraph, match="in other files"):
        checked(parsed.SerializeToString(), QUERIES, ROWS, measured, repeats=False, tie_seed=3)
