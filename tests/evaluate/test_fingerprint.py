from __future__ import annotations

import pytest

from evolver.evaluate.check import normalised_digest

ONE = '''
"""A model."""
import numpy as np

class Model:
    def fit(self, train, budget):
        total = 0
        for row in range(len(train)):
            total += row
        def inner(value):
            return value + total
        try:
            self.answer = [inner(x) for x in "ab"]
        except ValueError as error:
            raise error
'''

SAME = '''
"""Another docstring."""
import numpy as np
# a comment
class Model:
    "words"
    def fit(self, data: object, limit: int=None) -> None:
        """More words."""
        s: int = 0

        for i in range(
            len(data),
        ):
            s += i
        def helper(v: int) -> int:
            return v + s
        try:
            self.answer = [helper(c) for c in 'ab']
        except ValueError as e:
            raise e
'''.replace("=None", "")


def test_another_look_is_the_same_program() -> None:
    assert normalised_digest(ONE) == normalised_digest(SAME)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("total = 0", "total = 1"),
        ("value + total", "total + value"),
        ("self.answer", "self.reply"),
        ("range(len(train))", "range(len(budget))"),
        ("import numpy as np", "import numpy as xp"),
        ('"ab"', '"abc"'),
        ("ValueError", "TypeError"),
        ("class Model", "class Other"),
    ],
)
def test_another_program_differs(old: str, new: str) -> None:
    assert old in ONE
    assert normalised_digest(ONE) != normalised_digest(ONE.replace(old, new))


def test_swapped_names_differ() -> None:
    one = "def f(a, b):\n    return a - b\n"
    assert normalised_digest(one) == normalised_digest("def f(b, a):\n    return b - a\n")
    assert normalised_digest(one) != normalised_digest("def f(a, b):\n    return b - a\n")


def test_globals_keep_their_names() -> None:
    one = "def f():\n    global count\n    count = 1\n"
    assert normalised_digest(one) != normalised_digest(one.replace("count", "other"))


def test_an_unreadable_source_stands_for_itself() -> None:
    assert normalised_digest("def (") == normalised_digest("def (")
    assert normalised_digest("def (") != normalised_digest("def  (")
    assert len(normalised_digest("-" * 190_000 + "1")) == 16
    assert len(normalised_digest("x = '\ud800'")) == 16
