"""Conformance of sandboxes: what every implementation must do, checked the same way.

For your own sandbox:

    @pytest.mark.parametrize("check", SANDBOX_CHECKS, ids=lambda check: check.__name__)
    def test_conforms(check, my_sandbox, tmp_path):
        check(my_sandbox, write_small_view(tmp_path))
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from evolver.core import Candidate, Completed, Execution, Failed, Job, Limits, Progress, Sandbox

SMALL_USERS, SMALL_ITEMS, SMALL_K = 40, 30, 10
SMALL_LIMITS = Limits(
    seconds=20, memory_bytes=1 << 30, threads=1, scratch_bytes=64 << 20, processes=64
)

POPULAR = """
import numpy as np
from evolver.contract import Float

TUNABLES = {"power": Float(0.0, 2.0, default=1.0)}

class Model:
    def __init__(self, params):
        self.power = params.power

    def fit(self, train, budget):
        self.counts = train.popularity().astype(np.float32) ** self.power

    def score(self, users):
        return np.broadcast_to(self.counts, (len(users), users.n_items))

    def state(self):
        return {"counts": self.counts}

    def load(self, state):
        self.counts = state["counts"]
"""


def write_small_view(folder: Path, *, repeats: bool = False) -> Path:
    """Write a view as the retrieval task does: 40 users of 30 items, the last five unseen."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    histories = [
        np.unique(np.minimum(rng.geometric(0.15, size=6) - 1, SMALL_ITEMS - 1))
        for _ in range(SMALL_USERS)
    ]
    known = np.arange(SMALL_USERS) < SMALL_USERS - 5
    train = [(user, item) for user in np.flatnonzero(known) for item in histories[user]]
    users, items = np.array(train, dtype=np.int32).T
    arrays: dict[str, Any] = {
        "users": users,
        "items": items,
        "times": np.arange(len(users), dtype=np.int64),
        "query_ids": np.arange(SMALL_USERS, dtype=np.int64),
        "query_known": known,
        "query_indptr": np.cumsum([0, *map(len, histories)]).astype(np.int64),
        "query_items": np.concatenate(histories).astype(np.int32),
        "item_feature_0.indptr": np.arange(SMALL_ITEMS + 1, dtype=np.int32),
        "item_feature_0.indices": (np.arange(SMALL_ITEMS) % 3).astype(np.int32),
        "item_feature_0.data": np.ones(SMALL_ITEMS, dtype=np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    facts = {
        "task": "retrieval",
        "n_users": SMALL_USERS,
        "n_items": SMALL_ITEMS,
        "repeats": repeats,
        "user_features": [],
        "item_features": [{"name": "genre", "width": 3}],
    }
    (folder / "view.json").write_text(json.dumps(facts))
    return folder


def small_job(view: Path, source: str = POPULAR, **changes: Any) -> Job:
    """A job over a small view; keyword arguments replace fields of `Job`, or `values`."""
    candidate = Candidate(source=source, values=changes.pop("values", {}))
    job = Job(
        candidate=candidate,
        view=view,
        queries=SMALL_USERS,
        items=SMALL_ITEMS,
        k=SMALL_K,
        seed=1,
        limits=SMALL_LIMITS,
    )
    return dataclasses.replace(job, **changes)


def small_model(
    *,
    fit: str = "pass",
    score: str = "return np.tile(np.arange(users.n_items, dtype=np.float32), (len(users), 1))",
    state: str = "return {'x': np.zeros(3)}",
    top: str = "",
) -> str:
    """Source of a candidate with the given bodies; each may be several lines."""

    def body(text: str) -> str:
        return "\n".join("        " + line for line in text.strip("\n").splitlines())

    return (
        f"import os, sys, time\nimport numpy as np\n{top}\n"
        "class Model:\n"
        "    def __init__(self, params):\n        self.params = params\n"
        f"    def fit(self, train, budget):\n{body(fit)}\n"
        f"    def score(self, users):\n{body(score)}\n"
        f"    def state(self):\n{body(state)}\n"
        "    def load(self, state):\n        self.loaded = state\n"
    )


def completed(execution: Execution) -> Completed:
    """The outcome of an execution that must have gone well."""
    if isinstance(execution.outcome, Failed):
        raise AssertionError(f"{execution.outcome}\n{execution.stderr}")
    return execution.outcome


def failed(execution: Execution, kind: str, *words: str) -> Failed:
    """The outcome of an execution that must have failed, with these words in the reason."""
    outcome = execution.outcome
    if not isinstance(outcome, Failed):
        raise AssertionError(f"it completed instead of failing as {kind}")
    missing = [word for word in words if word not in outcome.reason]
    if outcome.kind != kind or missing:
        raise AssertionError(f"expected {kind} {words}, got {outcome}")
    return outcome


# --- what every sandbox must do ------------------------------------------------------------------


def ranks_by_score(sandbox: Sandbox, view: Path) -> None:
    """Items by falling popularity, none of the history, in int32; times and sizes measured."""
    outcome = completed(sandbox.run(small_job(view)))
    users, items = np.load(view / "users.npy"), np.load(view / "items.npy")
    indptr, had = np.load(view / "query_indptr.npy"), np.load(view / "query_items.npy")
    counts = np.bincount(items, minlength=SMALL_ITEMS)
    assert len(users) == len(items)
    assert outcome.answers.shape == (SMALL_USERS, SMALL_K)
    assert outcome.answers.dtype == np.int32
    for row, shown in enumerate(outcome.answers):
        history = had[indptr[row] : indptr[row + 1]]
        unseen = np.setdiff1d(np.arange(SMALL_ITEMS), history)
        assert not set(shown) & set(history)
        assert counts[shown].tolist() == sorted(counts[unseen], reverse=True)[:SMALL_K]
    assert outcome.parameters == SMALL_ITEMS
    assert outcome.fit_seconds > 0
    assert outcome.score_seconds > 0
    assert outcome.peak_bytes > 0
    assert (outcome.latency_ms > 0).all()
    assert outcome.weights is None


def repeats_itself(sandbox: Sandbox, view: Path) -> None:
    """Same candidate, same seed, same lists, random numbers and hashes included."""
    source = small_model(
        top="import torch",
        fit="self.x = np.random.rand(len(set('abcdefgh'))) + torch.rand(8).numpy()",
        state="return {'x': self.x, 'order': np.array([ord(c) for c in set('abcdefgh')])}",
        score="return np.outer(np.ones(len(users)), (self.loaded['x'] * self.loaded['order'])"
        "[np.arange(users.n_items) % 8])",
    )
    job = small_job(view, source, want_weights=True)
    one, two = completed(sandbox.run(job)), completed(sandbox.run(job))
    assert one.weights == two.weights
    assert (one.answers == two.answers).all()


def uses_the_chosen_values(sandbox: Sandbox, view: Path) -> None:
    job = small_job(view, values={"power": 0.0}, want_weights=True)
    outcome = completed(sandbox.run(job))
    assert outcome.weights is not None
    counts = safetensors.numpy.load(outcome.weights)["counts"]
    assert counts.tolist() == [1.0] * SMALL_ITEMS
    failed(sandbox.run(small_job(view, values={"speed": 1})), "contract", "speed")


def breaks_ties_without_item_order(sandbox: Sandbox, view: Path) -> None:
    """A constant score must not favour small or large item numbers, nor depend on the user."""
    source = small_model(score="return np.zeros((len(users), users.n_items), dtype=np.float32)")
    lists = completed(sandbox.run(small_job(view, source))).answers
    assert (np.diff(lists) > 0).any()
    assert (np.diff(lists) < 0).any()
    other = completed(sandbox.run(small_job(view, source, seed=2))).answers
    assert (lists != other).any()


def asks_for_the_served_only(sandbox: Sandbox, view: Path) -> None:
    served = np.array([3, 4, 39])
    outcome = completed(sandbox.run(small_job(view, served=served)))
    everyone = completed(sandbox.run(small_job(view)))
    assert (outcome.answers == everyone.answers[served]).all()
    nobody = completed(sandbox.run(small_job(view, served=np.zeros(0, dtype=np.int64))))
    assert nobody.answers.shape == (0, SMALL_K)


def fills_short_lists(sandbox: Sandbox, view: Path) -> None:
    """Where k passes what is unseen, -1 fills the end and the end only."""
    lists = completed(sandbox.run(small_job(view, k=SMALL_ITEMS + 5))).answers
    sizes = SMALL_ITEMS - np.diff(np.load(view / "query_indptr.npy"))
    assert ((lists >= 0).sum(1) == sizes).all()
    assert all((row[:size] >= 0).all() for row, size in zip(lists, sizes, strict=True))


def takes_recommendations(sandbox: Sandbox, view: Path) -> None:
    """`recommend` instead of `score`; what is in the history is left out."""
    source = small_model().replace("def score(self, users)", "def recommend(self, users, k)")
    before, after = source.split("        return np.tile", 1)
    source = (
        before
        + "        return np.tile(np.arange(k), (len(users), 1))\n"
        + after[after.index("    def state") :]
    )
    lists = completed(sandbox.run(small_job(view, source))).answers
    assert (np.diff(lists) > 0).all()
    indptr, had = np.load(view / "query_indptr.npy"), np.load(view / "query_items.npy")
    for row, shown in enumerate(lists):
        assert not set(shown) & set(had[indptr[row] : indptr[row + 1]])
    twice = source.replace("np.arange(k)", "np.zeros(k, dtype=int)")
    failed(sandbox.run(small_job(view, twice)), "invalid_output", "twice")


def shows_progress_and_stops_early(sandbox: Sandbox, view: Path) -> None:
    """`watch` sees reports in order; after False the candidate is judged with what it has."""
    source = small_model(
        fit="self.n = 0\nwhile True:\n    self.n += 1\n    yield self.n, 1.0 / self.n\n"
        "    time.sleep(0.005)",
        state="return {'n': np.array([self.n])}",
    )
    seen: list[Progress] = []

    def watch(progress: Progress) -> bool:
        seen.append(progress)
        return len(seen) < 3

    outcome = completed(sandbox.run(small_job(view, source), watch))
    assert [one.step for one in seen[:3]] == [1, 2, 3]
    assert [one.loss for one in seen[:3]] == [1.0, 1 / 2, 1 / 3]
    assert outcome.progress[:3] == tuple(seen[:3])


def stops_at_the_soft_deadline(sandbox: Sandbox, view: Path) -> None:
    """A generator that never ends is stopped in time to be judged."""
    source = small_model(fit="while True:\n    yield 0, None\n    time.sleep(0.01)")
    limits = dataclasses.replace(SMALL_LIMITS, seconds=2)
    completed(sandbox.run(small_job(view, source, limits=limits)))


def stopping_may_cross_the_end(sandbox: Sandbox, view: Path) -> None:
    """One that ends after it was asked to stop, and never looked, is judged all the same."""
    limits = dataclasses.replace(SMALL_LIMITS, seconds=8)
    completed(sandbox.run(small_job(view, small_model(fit="time.sleep(7)"), limits=limits)))


def kills_at_the_deadline(sandbox: Sandbox, view: Path) -> None:
    """A candidate that does not stop is dead within a second of its limit."""
    seen: list[float] = []

    def watch(progress: Progress) -> bool:
        seen.append(time.monotonic())
        return True

    limits = dataclasses.replace(SMALL_LIMITS, seconds=1)
    job = small_job(view, small_model(fit="yield 0, None\nwhile True: pass"), limits=limits)
    failed(sandbox.run(job, watch), "timeout", "fit", "1 s")
    assert time.monotonic() - seen[0] < limits.seconds + 1


def names_crashes(sandbox: Sandbox, view: Path) -> None:
    """The reason holds the candidate's own lines and none of ours."""
    source = small_model(fit="self.help()", top="").replace(
        "    def state",
        "    def help(self):\n        raise ValueError('no such luck')\n    def state",
    )
    reason = failed(
        sandbox.run(small_job(view, source)), "crash", "ValueError", "no such luck", "self.help()"
    ).reason
    assert "session.py" not in reason
    failed(sandbox.run(small_job(view, small_model(fit="os._exit(3)"))), "crash", "exit code 3")
    failed(
        sandbox.run(small_job(view, small_model(fit="os.kill(os.getpid(), 11)"))),
        "crash",
        "SIGSEGV",
    )
    failed(sandbox.run(small_job(view, small_model(score="sys.exit()"))), "crash", "score")


def names_broken_contracts(sandbox: Sandbox, view: Path) -> None:
    failed(sandbox.run(small_job(view, "def f(:")), "contract", "line 1")
    failed(sandbox.run(small_job(view, "x = 1")), "contract", "class Model")
    failed(sandbox.run(small_job(view, "class Model:\n    pass")), "contract", "fit")
    failed(
        sandbox.run(small_job(view, small_model(state="return [1]"))), "contract", "dict", "list"
    )
    failed(sandbox.run(small_job(view, small_model(state="return {'m': self}"))), "contract", "'m'")


def refuses_bad_scores(sandbox: Sandbox, view: Path) -> None:
    bodies = {
        "return np.full((len(users), users.n_items), np.nan)": "NaN",
        "return np.full((len(users), users.n_items), np.inf)": "inf",
        "return np.zeros((len(users), 3))": "shape",
        "return 'all of them'": "shape",
        "return np.zeros((len(users), users.n_items), dtype=object)": "dtype object",
        "return {}": "shape",
    }
    for body, word in bodies.items():
        failed(sandbox.run(small_job(view, small_model(score=body))), "invalid_output", word)


def names_memory(sandbox: Sandbox, view: Path) -> None:
    source = small_model(fit="x = [bytearray(50 << 20) for _ in range(200)]")
    failed(sandbox.run(small_job(view, source)), "memory")


def gets_its_threads(sandbox: Sandbox, view: Path) -> None:
    """Libraries are told to use as many threads as the job may, and so is the candidate."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
    source = small_model(
        fit="self.told = budget.threads",
        state=f"return {{'n': np.array([self.told, *(int(os.environ[n]) for n in {names})])}}",
    )
    limits = dataclasses.replace(SMALL_LIMITS, threads=2)
    outcome = completed(sandbox.run(small_job(view, source, limits=limits, want_weights=True)))
    told = safetensors.numpy.load(outcome.weights or b"")["n"].tolist()
    if told != [2] * (1 + len(names)):
        raise AssertionError(f"two threads were meant, told were {told}")


def has_a_name(sandbox: Sandbox, view: Path) -> None:
    """Libraries ask who runs them, as torch does for its caches; it is nobody of the host."""
    source = small_model(
        top="import getpass",
        fit="self.name = getpass.getuser()",
        state="return {'name': np.frombuffer(self.name.encode(), dtype=np.uint8)}",
    )
    weights = completed(sandbox.run(small_job(view, source, want_weights=True))).weights
    assert weights is not None
    assert safetensors.numpy.load(weights)["name"].tobytes() == b"sandbox"


def keeps_output(sandbox: Sandbox, view: Path) -> None:
    """What is printed is kept, made harmless, and cut in the middle with a count."""
    source = small_model(
        fit="print('first \\x1b[2J')\nprint('x' * 500_000)\nprint('last', flush=True)"
    )
    execution = sandbox.run(small_job(view, source))
    completed(execution)
    text = execution.stdout or execution.stderr
    assert "first \\x1b[2J" in text
    assert "bytes cut" in text
    assert text.rstrip().endswith("last")
    assert len(text) < 100_000


def asks_again(sandbox: Sandbox, view: Path) -> None:
    """A probe goes to the same model, in the order given, and shows who remembers."""
    probe = np.array([7, 3, 30], dtype=np.int64)
    steady = completed(sandbox.run(small_job(view, probe=probe)))
    if steady.probed is None or not np.array_equal(steady.probed, steady.answers[probe]):
        raise AssertionError("the probe's lists are not those of the same users")
    moody = small_model(
        score="self.asked = getattr(self, 'asked', 0) + 1\n"
        "return np.random.default_rng(self.asked).random((len(users), users.n_items))"
    )
    other = completed(sandbox.run(small_job(view, moody, probe=probe)))
    if other.probed is None or np.array_equal(other.probed, other.answers[probe]):
        raise AssertionError("a second question did not reach the model")


def leaves_parts_out(sandbox: Sandbox, view: Path) -> None:
    """`params.ablate` names the part, "" where there is none."""
    source = small_model(
        score="way = -1.0 if self.params.ablate == 'way' else 1.0\n"
        "return np.tile(way * np.arange(users.n_items), (len(users), 1))"
    )
    whole = completed(sandbox.run(small_job(view, source))).answers
    without = completed(sandbox.run(small_job(view, source, ablate="way"))).answers
    if np.array_equal(whole, without):
        raise AssertionError("a part that was to be left out was not")


def hands_observables_back(sandbox: Sandbox, view: Path) -> None:
    """What `observe` returns after training, if it is a few finite numbers by name."""

    def observing(returned: str) -> str:
        return small_model(fit="self.steps = 3") + f"    def observe(self):\n        {returned}\n"

    got = completed(sandbox.run(small_job(view, observing("return {'steps': self.steps}"))))
    if dict(got.observed) != {"steps": 3.0}:
        raise AssertionError(f"observed {got.observed}")
    for returned in (
        "return {'x': float('nan')}",
        "return [1]",
        "return {str(n): n for n in range(99)}",
    ):
        failed(sandbox.run(small_job(view, observing(returned))), "invalid_output", "observe")
    failed(sandbox.run(small_job(view, observing("raise ValueError('no')"))), "crash", "observe")


SANDBOX_CHECKS: tuple[Callable[[Sandbox, Path], None], ...] = (
    ranks_by_score,
    repeats_itself,
    uses_the_chosen_values,
    breaks_ties_without_item_order,
    asks_for_the_served_only,
    fills_short_lists,
    takes_recommendations,
    shows_progress_and_stops_early,
    stops_at_the_soft_deadline,
    stopping_may_cross_the_end,
    kills_at_the_deadline,
    names_crashes,
    names_broken_contracts,
    refuses_bad_scores,
    names_memory,
    gets_its_threads,
    has_a_name,
    keeps_output,
    asks_again,
    leaves_parts_out,
    hands_observables_back,
)
