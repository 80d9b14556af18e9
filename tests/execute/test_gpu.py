"""On a machine with a GPU: candidates train on it behind the walls, and give it back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load

from evolver import zoo
from evolver.execute.bubblewrap import Bubblewrap
from evolver.execute.machine import chosen_device
from evolver.execute.pool import PooledSandbox
from evolver.testing_sandbox import SMALL_LIMITS, completed, small_job, small_model

pytestmark = pytest.mark.skipif(
    chosen_device("auto") == "cpu", reason="there is no GPU here, or a torch without CUDA"
)
LIMITS = dataclasses.replace(SMALL_LIMITS, seconds=120.0, memory_bytes=16 << 30, processes=256)
GREEDY = Path(__file__).parents[1] / "adversarial" / "candidates" / "gpu_memory.py"
ASKS = small_model(
    top="import torch",
    fit="""
self.found = torch.cuda.device_count()
self.place = str(torch.ones(3, device=budget.device).device)
self.sum = float(torch.ones(1 << 20, device=budget.device).sum())
""",
    state="return {'found': np.array([self.found, self.place == 'cuda:0', self.sum])}",
)


@pytest.fixture(scope="module")
def gpu() -> Iterator[PooledSandbox]:
    with PooledSandbox(Bubblewrap(), workers=1) as sandbox:
        yield sandbox


def test_a_worker_sees_one_gpu_and_computes_on_it(gpu: PooledSandbox, view: Path) -> None:
    job = small_job(view, ASKS, limits=LIMITS, device="cuda:0", want_weights=True)
    weights = completed(gpu.run(job)).weights
    assert weights is not None
    np.testing.assert_array_equal(load(weights)["found"], [1, 1, 1 << 20])


@pytest.mark.parametrize("name", [baseline.name for baseline in zoo.BASELINES])
def test_the_zoo_trains_on_it(name: str, gpu: PooledSandbox, view: Path) -> None:
    """What is solved rather than sampled lists the same as on the CPU."""
    lists = {
        device: completed(
            gpu.run(small_job(view, zoo.source(name), limits=LIMITS, device=device))
        ).answers
        for device in ("cuda:0", "cpu")
    }
    assert lists["cuda:0"].shape == lists["cpu"].shape
    if name in ("popularity", "item_knn", "ease", "graph_filter"):
        assert (lists["cuda:0"] == lists["cpu"]).mean() > 0.95


def test_its_memory_comes_back(gpu: PooledSandbox, view: Path) -> None:
    """A candidate that took all of it leaves all of it to the next one."""
    greedy = GREEDY.read_text(encoding="utf-8") + small_model(fit="attack(train, budget)")
    job = small_job(view, greedy, limits=LIMITS, device="cuda:0")
    gpu.run(job)
    completed(gpu.run(small_job(view, ASKS, limits=LIMITS, device="cuda:0")))
