from __future__ import annotations

import textwrap
import threading
import warnings
from pathlib import Path

import pytest

from evolver.core import Failed, Parameter
from evolver.evaluate.check import Facts, check_values, complete_values, inspect_source
from evolver.resources import zoo

MODEL = """
class Model:
    def __init__(self, params): ...
    def fit(self, train, budget): ...
    def score(self, users): ...
    def state(self): return {}
    def load(self, state): ...
"""

WHOLE = '''"""Two towers that meet once.

More words.
"""
from __future__ import annotations
import math
import numpy as np
import torch.nn.functional as F
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd
from evolver.contract import Budget, Choice, Float, Int as Whole, Interactions, Params, Users

FAMILY: str = "Two  Towers"
SERVES_UNSEEN = True
TUNABLES = {
    "factors": Whole(16, 256, default=64, log=True),
    "shift": Float(low=-1, high=+0.5, default=-.5),
    "loss": Choice(["bpr", "softmax"], default="bpr"),
    "layers": Choice(options=(1, 2, True), default=True),
}

class Model:
    def __init__(self, params: Params) -> None:
        self.params = params
    def fit(self, train: Interactions, budget: Budget):
        yield 1, 0.5
    def score(self, users: Users): ...
    def recommend(self, users, k): ...
    def state(self): ...
    def load(self, state): ...
'''


def refused(source: str) -> str:
    got = inspect_source(textwrap.dedent(source))
    assert isinstance(got, Failed), got
    assert got.kind == "contract"
    assert "\n" not in got.reason
    assert len(got.reason) < 300
    return got.reason


def facts(source: str) -> Facts:
    got = inspect_source(source)
    assert isinstance(got, Facts), got
    return got


def test_facts_of_a_whole_candidate() -> None:
    assert facts(WHOLE) == Facts(
        family="two towers",
        serves_unseen=True,
        tunables=(
            Parameter(name="factors", kind="int", low=16, high=256, log=True, default=64),
            Parameter(name="shift", kind="float", low=-1, high=0.5, default=-0.5),
            Parameter(name="loss", kind="choice", choices=("bpr", "softmax"), default="bpr"),
            Parameter(name="layers", kind="choice", choices=(1, 2, True), default=True),
        ),
        has_score=True,
        has_recommend=True,
        doc="Two towers that meet once.",
    )


@pytest.mark.parametrize("path", sorted(zoo().glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_every_seed_candidate_meets_the_contract(path: Path) -> None:
    got = facts(path.read_text(encoding="utf-8"))
    assert got.doc
    assert got.family != "other"
    assert check_values(got, complete_values(got, {})) is None


def test_what_need_not_be_said() -> None:
    got = facts(MODEL)
    assert (got.family, got.serves_unseen, got.tunables, got.doc) == ("other", False, (), "")
    assert (got.has_score, got.has_recommend) == (True, False)


def test_methods_may_come_from_a_base_in_the_file_or_be_assigned() -> None:
    source = MODEL.replace("class Model:", "class Base(nn.Module):").replace("load", "restore")
    got = facts(
        source + "class Model(Base):\n    load = Base.restore\n    recommend = Base.score\n"
    )
    assert got.has_recommend


def test_a_circle_of_bases_ends() -> None:
    assert "lacks" in refused("class A(Model): ...\nclass Model(A): ...")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(:\n  pass", "line 1: not valid Python: invalid syntax"),
        ("x = 1\n  y = 2", "line 2: not valid Python: unexpected indent"),
        ("", "there is no top-level `class Model`"),
        ("if 1:\n    class Model: ...", "there is no top-level `class Model`"),
        ("x = 1\nclass Model: ...", "line 2: class Model lacks fit(self, train, budget), "
         "state(self), load(self, state), score(self, users) or recommend(self, users, k)"),
        (MODEL.replace("score", "rank"), "line 2: class Model lacks score(self, users) or"),
        (MODEL.replace("train, budget", "train"), "line 4: fit cannot be called as "
         "fit(self, train, budget)"),
        (MODEL.replace("self, params", "self"), "__init__ cannot be called as __init__(self, par"),
        (MODEL.replace("users)", "users, history)"), "score cannot be called as score(self, us"),
        (MODEL.replace("users)", "users, *, history)"), "score cannot be called as score(self"),
        (MODEL.replace("def fit", "async def fit"), "line 4: fit must not be async"),
        (MODEL + "x = 'a\0b'", "line 8: the source holds a null byte"),
        (MODEL + "#" * 200_000, "bytes; 200000 is the most"),
        (MODEL + "x = '\ud800'", "not valid Python"),
    ],
)  # fmt: skip
def test_what_is_not_a_candidate(source: str, reason: str) -> None:
    assert reason in refused(source)


@pytest.mark.parametrize("extra", ["*args", "users, k=10", "users, /, *, n=3, **more"])
def test_more_general_signatures_will_do(extra: str) -> None:
    facts(MODEL.replace("score(self, users)", f"score(self, {extra})"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import pandas as pd", "import 'pandas' is not available: use torch, numpy"),
        ("import torch_geometric", "'torch_geometric' is not available"),
        ("import torch, socket", "import socket is refused: a candidate has no network"),
        ("from urllib.request import urlopen", "import urllib is refused"),
        ("def f():\n    import subprocess", "line 2: import subprocess is refused"),
        ("from torch import multiprocessing", "import torch.multiprocessing is refused"),
        ("import torch.distributed.rpc", "import torch.distributed is refused: a candidate is one"),
        ("from sklearn.datasets import fetch_openml", "only the given training data may be used"),
        ("import ctypes", "import ctypes is refused: it hides code from review"),
        ("import pickle", "import pickle is refused: state() hands over arrays"),
        ("from . import helper", "a candidate is one file"),
        ("from .. import data", "a candidate is one file"),
        ("import evolver", "of evolver only `from evolver.contract import ...`"),
        ("from evolver.data.split import Labels", "of evolver only `from evolver.contract"),
        ("import evolver.contract", "of evolver only `from evolver.contract import ...`"),
        ("from evolver.contract import Labels", "evolver.contract has no 'Labels'; it has Budget"),
        ("__import__('socket')", "__import__ hides code from review"),
        ("x = eval('1')", "eval hides code from review"),
        ("run = exec", "exec hides code from review"),
    ],
)
def test_refused_imports(line: str, reason: str) -> None:
    got = refused(line + "\n" + MODEL)
    assert reason in got
    assert got.startswith("line ")


def test_what_a_model_ordinarily_imports_is_allowed() -> None:
    facts(
        "import collections.abc, dataclasses, functools, itertools, os, time, typing\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import scipy.sparse.linalg\nfrom torch import nn, optim\nfrom evolver.contract import *\n"
        + MODEL.replace("...", "self.net.eval()", 1)
    )


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ("dict(a=Int(1, 2, default=1))", 'TUNABLES must be a literal {"name": Int(...)'),
        ("{1: Int(1, 2, default=1)}", "every key of TUNABLES must be a name in quotes"),
        ("{**other}", "every key of TUNABLES must be a name in quotes"),
        ("{'a b': Int(1, 2, default=1)}", "tunable 'a b' must be a plain Python name"),
        ("{'lambda': Int(1, 2, default=1)}", "must be a plain Python name"),
        ("{'_a': Int(1, 2, default=1)}", "must be a plain Python name"),
        ("{'items': Int(1, 2, default=1)}", "'items' hides a method of Params"),
        ("{'a': Int(1, 2, default=1), 'a': Int(1, 2, default=1)}", "'a' is declared twice"),
        ("{'a': 5}", "must be Int(...), Float(...) or Choice(...) from evolver.contract"),
        ("{'a': Range(1, 2)}", "must be Int(...), Float(...) or Choice(...)"),
        ("{'a': Int(1, 2)}", "tunable 'a': Int needs default"),
        ("{'a': Int(1, default=1)}", "Int needs high"),
        ("{'a': Int(1, 2, 1)}", "Int takes 2 values by position, the rest by name"),
        ("{'a': Int(1, 2, low=1, default=1)}", "low is given twice"),
        ("{'a': Int(1, 2, default=1, step=2)}", "Int has no 'step'; it has low, high, default"),
        ("{'a': Int(1, 2, **extra)}", "Int has no None"),
        ("{'a': Int(1, 2**4, default=1)}", "write the value itself: no names, no arithmetic"),
        ("{'a': Int(1, N, default=1)}", "write the value itself"),
        ("{'a': Int(1.0, 2, default=1)}", "low must be a whole number, not 1.0"),
        ("{'a': Int(True, 2, default=1)}", "low must be a whole number, not True"),
        ("{'a': Int(1, 9007199254740993, default=1)}", "high 9007199254740993 is too large"),
        ("{'a': Float(0, 1e999, default=1)}", "high inf is too large"),
        ("{'a': Int(5, 2, default=3)}", "low 5 is above high 2"),
        ("{'a': Float(0, 1, default=0.5, log=True)}", "log=True needs a low above 0, not 0"),
        ("{'a': Float(0, 1, default=0.5, log='yes')}", "log must be True or False, not 'yes'"),
        ("{'a': Int(1, 8, default=9)}", "tunable 'a': default 9 is outside 1 to 8"),
        ("{'a': Int(1, 8, default=2.0)}", "default 2.0 is not a whole number"),
        ("{'a': Float(0.1, 1, default=True)}", "default True is not a number"),
        ("{'a': Choice([], default=1)}", "Choice needs a list of values"),
        ("{'a': Choice('abc', default='a')}", "Choice needs a list of values"),
        ("{'a': Choice([1, [2]], default=1)}", "option [2] must be one number, string"),
        ("{'a': Choice([1, None], default=1)}", "write the value itself"),
        ("{'a': Choice([1, 2, 1], default=1)}", "option 1 is listed twice"),
        ("{'a': Choice([1, 2], default=True)}", "default True is not one of 1, 2"),
    ],
)
def test_refused_tunables(declared: str, reason: str) -> None:
    header = "from evolver.contract import Choice, Float, Int\n"
    got = refused(f"{header}TUNABLES = {declared}\n{MODEL}")
    assert got.startswith("line 2: ")
    assert reason in got


def test_tunables_need_the_import() -> None:
    assert "from evolver.contract" in refused("TUNABLES = {'a': Int(1, 2, default=1)}\n" + MODEL)


@pytest.mark.parametrize(
    "more",
    ["TUNABLES = {}", "TUNABLES['b'] = 1", "if 1:\n    TUNABLES = {}", "del TUNABLES",
     "for TUNABLES in []: ...", "TUNABLES: dict = {}", "(TUNABLES := {})"],
)  # fmt: skip
def test_tunables_are_set_once(more: str) -> None:
    assert "TUNABLES must be set once" in refused(f"TUNABLES = {{}}\n{MODEL}\n{more}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("FAMILY = family()", "FAMILY must be words in quotes"),
        ("FAMILY = ''", "FAMILY must be 1 to 60 characters"),
        (f"FAMILY = '{'x' * 61}'", "FAMILY must be 1 to 60 characters"),
        ("SERVES_UNSEEN = 1", "SERVES_UNSEEN must be True or False"),
        ("class C:\n    FAMILY = 'a'", "FAMILY must be set once, at the top level"),
    ],
)
def test_refused_settings(line: str, reason: str) -> None:
    assert reason in refused(f"{line}\n{MODEL}")


HOSTILE = {
    "minus": "-" * 199_000 + "1",
    "parentheses": "(" * 199_000,
    "attributes": "a" + ".b" * 99_000,
    "sums": "1" + "+1" * 99_000,
    "brackets": "[" * 199_000,
    "nots": "not " * 49_000 + "1",
    "lambdas": "lambda:" * 28_000 + "1",
    "calls": "f" + "()" * 99_000,
    "elifs": "if a: pass\n" + "elif a: pass\n" * 15_000,
    "ternaries": "1 if 1 else " * 15_000 + "1",
    "indents": "".join(" " * n + "if a:\n" for n in range(600)) + " " * 600 + "pass",
    "digits": "x = " + "9" * 5000,
    "patterns": "match x:\n case " + "[" * 90_000,
    "decorators": "@" * 1000,
    "stars": "*" * 100_000 + "a",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_source_is_only_refused(name: str) -> None:
    refused(HOSTILE[name])


def test_hostile_names_stay_on_one_short_line() -> None:
    assert refused(MODEL + "import " + "a" * 9000)
    assert refused(f"TUNABLES = {{{'x' * 9000!r}: 1}}\n{MODEL}")
    header = "from evolver.contract import Choice\n"
    assert refused(
        f"{header}TUNABLES = {{'a': Choice([{'b' * 9000!r}], default='c\\n\\n')}}{MODEL}"
    )


def test_style_warnings_of_a_candidate_are_not_ours() -> None:
    before = list(warnings.filters)
    sources = [f"PATTERN{n} = '\\d'\n{MODEL}" for n in range(20)]
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda s=source: answers.append(inspect_source(s)))
        for source in sources
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(answer, Facts) for answer in answers)
    assert list(warnings.filters) == before


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"depth": 3}, "no tunable 'depth' is declared; declared: factors, shift, loss, layers"),
        ({"factors": 8}, "tunable 'factors': 8 is outside 16 to 256"),
        ({"factors": 32.0}, "32.0 is not a whole number"),
        ({"factors": True}, "True is not a whole number"),
        ({"shift": float("nan")}, "nan is outside -1 to 0.5"),
        ({"shift": "0"}, "'0' is not a number"),
        ({"loss": "mse"}, "'mse' is not one of 'bpr', 'softmax'"),
    ],
)
def test_values_outside_what_is_declared(values: dict[str, object], reason: str) -> None:
    got = check_values(facts(WHOLE), values)  # type: ignore[arg-type]
    assert isinstance(got, Failed)
    assert got.kind == "contract"
    assert reason in got.reason


def test_values_within_what_is_declared() -> None:
    here = facts(WHOLE)
    assert check_values(here, {"factors": 16, "shift": 0, "loss": "softmax"}) is None
    assert check_values(facts(MODEL), {}) is None
    assert complete_values(here, {"factors": 16}) == {
        "factors": 16, "shift": -0.5, "loss": "bpr", "layers": True,
    }  # fmt: skip


READS = MODEL.replace("def fit(self, train, budget): ...", "def fit(self, t, b): self.p.ablate")


def test_declared_parts_are_read() -> None:
    assert facts(MODEL).ablations == ()
    assert facts('ABLATIONS = ("decay", "gate")\n' + READS).ablations == ("decay", "gate")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("ABLATIONS = 'decay'", "must be a tuple of names in quotes"),
        ("ABLATIONS = (decay,)", "must be a tuple of names in quotes"),
        ("ABLATIONS = ('a b',)", "must be a plain name"),
        ("ABLATIONS = ('a', 'a')", "'a' is declared twice"),
        ("ABLATIONS = ('a', 'b', 'c', 'd', 'e', 'f', 'g')", "6 is the most"),
        ("ABLATIONS = ('a',)\nABLATIONS += ('b',)", "must be set once"),
    ],
)
def test_refused_parts(line: str, reason: str) -> None:
    assert reason in refused(line + "\n" + READS)


def test_parts_that_nobody_leaves_out_are_refused() -> None:
    assert "params.ablate is never read" in refused("ABLATIONS = ('decay',)\n" + MODEL)


def test_observe_takes_nothing() -> None:
    facts(MODEL + "    def observe(self): return {}\n")
    assert "observe cannot be called as observe(self)" in refused(
        MODEL + "    def observe(self, train): return {}\n"
    )
