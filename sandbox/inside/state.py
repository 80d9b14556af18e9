"""A model's state on its way out: named arrays that safetensors can hold."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from inside.candidate import Refused

KINDS = "biuf"
MOST_NAMES = 10_000


def checked_state(state: Any) -> dict[str, np.ndarray]:
    """The state as numpy arrays, independent of the model that made it."""
    if not isinstance(state, Mapping):
        raise Refused("contract", f"state() must return a dict, not {type(state).__name__}")
    if len(state) > MOST_NAMES:
        raise Refused("contract", f"state() holds {len(state)} names; at most {MOST_NAMES}")
    return {as_name(name): as_array(name, value) for name, value in state.items()}


def as_name(name: Any) -> str:
    if not isinstance(name, str) or not name or len(name) > 500 or name == "__metadata__":
        raise Refused("contract", f"state() has the key {name!r:.100}; keys must be short strings")
    return name


def as_array(name: str, value: Any) -> np.ndarray:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        if value.layout != torch.strided:
            raise Refused(
                "contract", f"state()[{name!r}] is sparse; return its indices and values instead"
            )
        value = value.detach().to("cpu")
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    elif not isinstance(value, np.ndarray | np.generic | int | float):
        raise Refused(
            "contract",
            f"state()[{name!r}] is {type(value).__name__}; it must be an array or a tensor",
        )
    array = np.array(value, order="C")
    if array.dtype.kind not in KINDS or array.dtype.itemsize > 8:
        raise Refused("contract", f"state()[{name!r}] has dtype {array.dtype}; use plain numbers")
    return array.astype(array.dtype.newbyteorder("="))


def packed(state: dict[str, np.ndarray]) -> bytes:
    """The state as safetensors."""
    import safetensors.numpy

    return safetensors.numpy.save(state)
