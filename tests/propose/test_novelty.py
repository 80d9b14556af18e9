"""What was tried already is sent back, with the reason, before anything is trained."""

from __future__ import annotations

from evolver import zoo
from evolver.core import Candidate
from evolver.evaluate.fingerprint import normalised_digest, shingles
from evolver.propose.novelty import Novelty
from tests.propose.samples import SOURCE, brief, entry


def novelty(threshold: float = 0.9) -> Novelty:
    return Novelty(normalised_digest, shingles, threshold)


def made(source: str) -> Candidate:
    return Candidate(source=source)


EASE, KNN = zoo.source("ease"), zoo.source("item_knn")


def test_another_model_is_news() -> None:
    history = [entry(0, 0.2, source=EASE), entry(1, 0.2, source=KNN)]
    assert novelty().fault(made(zoo.source("ials")), None, brief(history, number=50)) is None
    assert novelty().fault(made(SOURCE), None, brief(history, number=50)) is None
    assert novelty().fault(made(SOURCE), None, brief([], number=50)) is None


def test_a_draft_that_is_all_but_a_repetition_names_what_it_repeats() -> None:
    history = [entry(4, 0.2, source=KNN, idea="neighbours"), entry(5, 0.3, source=EASE)]
    almost = EASE.replace("default=", "default= 1 * ", 1)
    assert normalised_digest(almost) != normalised_digest(EASE)
    why = novelty().fault(made(almost), None, brief(history, number=50))
    assert why is not None
    assert "the same as candidate #5" in why
    assert (
        novelty(1.0).fault(made(almost), None, brief(history, number=50)) is None
    )  # only what is equal


def test_what_differs_in_format_and_names_only_is_the_same_candidate() -> None:
    history = [entry(3, 0.2, source=SOURCE)]
    same = SOURCE.replace("params", "chosen").replace('"""Popular items first."""', '"""Other."""')
    why = novelty(1.0).fault(made(same + "\n# words\n"), None, brief(history, number=50))
    assert why is not None
    assert "candidate #3 again" in why


def test_a_child_may_be_like_its_parent_but_not_repeat_its_siblings_change() -> None:
    parent = entry(0, 0.2, source=SOURCE)
    line = "return np.tile(self.weight, (len(users), 1))"
    change = "return np.tile(self.weight, (len(users), 1)) - users.matrix().sum(axis=1) * 0.25"
    sibling = entry(
        1, 0.1, source=SOURCE.replace(line, change), parents=(parent.candidate.id,), idea="shift"
    )
    history = [parent, sibling]
    again = SOURCE.replace(line, change + " + 0").replace("chosen", "params")
    other = SOURCE.replace("** self.power", "** (0.5 * self.power + 0.1)")
    assert novelty().fault(made(other), parent, brief(history, number=50)) is None
    assert (
        novelty().fault(
            made(SOURCE.replace(line, change.replace("0.25", "0.5"))),
            parent,
            brief(history, number=50),
        )
        is None
    )
    assert novelty(0.5).fault(made(again), parent, brief(history, number=50)) is not None
    told = novelty(0.5).fault(made(again), parent, brief(history, number=50))
    assert "the change that leads from its parent to candidate #1 (shift)" in str(told)
    assert novelty(0.5).fault(made(again), parent, brief([parent], number=50)) is None


def test_files_that_cannot_be_read_are_compared_with_nothing() -> None:
    history = [entry(0, 0.2, source="def ("), entry(1, 0.2, source=EASE)]
    assert novelty(0.1).fault(made("class Model: ("), None, brief(history, number=50)) is None
    assert shingles("def (") == frozenset()
    assert shingles("-" * 100_000 + "1") == frozenset()


def test_names_of_locals_and_comments_do_not_count() -> None:
    one = "def f(a, b):\n    c = a + b * 2\n    return c\n"
    two = "# hi\ndef f(x, y):\n    total: int = x + y * 2\n    return total\n"
    assert shingles(one) == shingles(two)
    assert shingles(one) != shingles(one.replace("2", "3"))


def test_what_is_in_flight_is_not_repeated_either() -> None:
    flying: dict[int, Candidate] = {}
    seen = Novelty(normalised_digest, shingles, 0.9, proposed=lambda: flying)
    now = brief(number=8)
    assert seen.fault(made(EASE), None, now) is None
    assert seen.fault(made(EASE), None, now) is None  # its own second turn
    told = seen.fault(made(EASE.replace("default=", "default= 1 * ", 1)), None, brief(number=9))
    assert "the same as candidate #8" in str(told)  # passed, and not yet recorded
    flying[3] = made(KNN)
    assert "candidate #3 again" in str(seen.fault(made(KNN), None, brief(number=9)))
    assert novelty().fault(made(KNN), None, brief(number=9)) is None


def test_a_child_may_not_repeat_a_program_of_another_line_either() -> None:
    line = "return np.tile(self.weight, (len(users), 1))"
    change = "return np.tile(self.weight, (len(users), 1)) - users.matrix().sum(axis=1) * 0.25"
    parent = entry(0, 0.2, source=SOURCE)
    stranger = entry(1, 0.1, source=SOURCE.replace(line, change), idea="shift")  # a draft
    told = novelty(0.5).fault(
        made(SOURCE.replace(line, change + " + 0")), parent, brief([parent, stranger], number=50)
    )
    assert "candidate #1 (shift)" in str(told)
    far = entry(2, 0.1, source=EASE)
    assert (
        novelty(0.7).fault(made(SOURCE.replace(line, change)), parent, brief([parent, far])) is None
    )
