"""A trained model's scorer as an ONNX graph. Needs onnx and onnxscript."""

from __future__ import annotations

import inspect
from typing import Any

from inside.candidate import Refused

INPUTS = ("history", "recent", "user")
EXAMPLES = 2  # rows to trace with; the graph takes any number


def as_onnx(model: Any, n_items: int) -> bytes:
    """The graph, with inputs named as `forward` names them and one output, `scores`."""
    import torch

    scorer = model.scorer()
    length = getattr(scorer, "length", 0)
    if not isinstance(scorer, torch.nn.Module):
        raise Refused("contract", "scorer() must return a torch.nn.Module")
    names = list(inspect.signature(scorer.forward).parameters)
    if not names or not set(names) <= set(INPUTS):
        raise Refused(
            "contract",
            f"forward of the scorer takes {', '.join(names) or 'nothing'}; it may take "
            f"{', '.join(INPUTS)}",
        )
    examples = {
        "history": lambda: torch.zeros((EXAMPLES, n_items)),
        "recent": lambda: torch.full((EXAMPLES, length), n_items, dtype=torch.int64),
        "user": lambda: torch.zeros(EXAMPLES, dtype=torch.int64),
    }
    users = torch.export.Dim("users")
    program: Any = torch.onnx.export(
        scorer.eval(),
        tuple(examples[name]() for name in names),
        dynamo=True,
        input_names=names,
        output_names=["scores"],
        dynamic_shapes={name: {0: users} for name in names},
        verbose=False,
    )
    graph: bytes = program.model_proto.SerializeToString()
    return graph
