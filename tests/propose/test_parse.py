"""Replies of every kind become a source or a reason, in linear time."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolver.core import Failed
from evolver.propose import parse
from tests.propose.samples import SOURCE, edit_reply, good_reply


def answer(reply: str, parent: str | None = None) -> parse.Answer:
    found = parse.read(reply, parent)
    assert isinstance(found, parse.Answer), found
    return found


def reason(reply: str, parent: str | None = None) -> str:
    found = parse.read(reply, parent)
    assert isinstance(found, Failed), found
    assert found.kind == "contract"
    return found.reason


def test_one_block() -> None:
    found = answer(good_reply())
    assert found.source == SOURCE
    assert not found.edited


@pytest.mark.parametrize("fence", ["```", "````", "~~~", "  ```"])
@pytest.mark.parametrize("language", ["python", "py", "Python", ""])
def test_fences_of_all_kinds(fence: str, language: str) -> None:
    assert answer(f"{fence}{language}\n{SOURCE}{fence}").source == SOURCE


def test_windows_line_ends() -> None:
    assert answer(good_reply().replace("\n", "\r\n")).source == SOURCE


def test_backticks_inside_a_longer_fence_do_not_end_it() -> None:
    source = SOURCE + '\nNOTE = """\n```\nnot the end\n```\n"""\n'
    assert answer(f"````python\n{source}````").source == source


def test_of_several_models_the_last_complete_one_counts() -> None:
    old = SOURCE.replace("popularity", "old")
    assert answer(good_reply(old) + good_reply()).source == SOURCE
    assert answer(good_reply() + "```python\nclass Model:\n    cut = ").source == SOURCE


def test_helper_blocks_and_other_languages_are_passed_over() -> None:
    reply = f"```bash\npip install x\n```\n{good_reply()}\n```python\nprint('usage')\n```"
    assert answer(reply).source == SOURCE
    assert answer(f"```json\nclass Model: no\n```\n{good_reply()}").source == SOURCE


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("All good.", "no code"),
        (SOURCE, "not in a fence"),
        ("```python\nimport x\n```", "class Model"),
        ("```python\nclass Modeller:\n    pass\n```", "class Model"),
        (f"```python\n{SOURCE}", "cut"),
        ("<think>\n```python\nclass Model: pass\n```", "reasoning"),
        ("x" * (parse.MAX_REPLY_CHARS + 1), "characters"),
        (f"```python\nclass Model:\n{'    # x' * 20_000}\n```", "characters"),
    ],
)
def test_what_cannot_be_used_says_why(reply: str, words: str) -> None:
    assert words in reason(reply)


def test_reasoning_is_not_read() -> None:
    thought = good_reply(SOURCE.replace("popularity", "thought"))
    assert answer(f"<think>{thought}</think>\n{good_reply()}").source == SOURCE
    assert answer(f"some thought without code</think>\n{good_reply()}").source == SOURCE
    inside = SOURCE + '\nTAG = "</think>"\n'
    assert answer(good_reply(inside)).source == inside


@pytest.mark.parametrize(
    "line", ["IDEA: mix", "**IDEA:** mix", "- Idea: mix", "### IDEA: `mix`", "> idea: mix"]
)
def test_ideas_in_any_dress(line: str) -> None:
    assert answer(f"{line}\n{good_reply(idea='later')}").idea == "mix"


def test_ideas_are_one_bounded_printable_line_outside_of_code() -> None:
    source = SOURCE + "\n# note\n"
    reply = f"```python\nIDEA: inside\n{source}```\nIDEA: a\x1b[31m\u202eb{'c' * 999}"
    idea = answer(reply).idea
    assert idea.startswith(r"a\x1b[31m\u202ebc")
    assert len(idea) == parse.MAX_LINE_CHARS
    assert answer(f"```python\n{source}```").idea == ""


# --- edits ---


def test_an_edit_replaces_whole_lines_once() -> None:
    found = answer(
        edit_reply("        self.power = params.power", "        self.power = 2"), SOURCE
    )
    assert found.edited
    assert found.source == SOURCE.replace("self.power = params.power", "self.power = 2")


def test_edits_apply_in_order_and_fences_around_them_do_not_matter() -> None:
    reply = (
        "IDEA: two\n```python\n<<<<<<< SEARCH\n"
        '    "extra": Int(1, 9, default=3),\n=======\n    "more": Int(1, 9, default=3),\n'
        ">>>>>>> REPLACE\n```\n```\n<<<<<<< SEARCH\n"
        '    "more": Int(1, 9, default=3),\n=======\n>>>>>>> REPLACE\n```'
    )
    found = answer(reply, SOURCE)
    assert found.source == SOURCE.replace('    "extra": Int(1, 9, default=3),\n', "")


@pytest.mark.parametrize(
    ("search", "replace", "words"),
    [
        ("        self.power = params.pow", "x", "not in the file"),
        ("self.power = params.power", "x", "not in the file"),
        ("        self.power = params.power ", "x", "not in the file"),
        ("", "x = 1", "empty SEARCH"),
        ("\n", "x = 1", "empty SEARCH"),
        ("        self.power = params.power", "        self.power = params.power", "nothing"),
    ],
)
def test_an_edit_that_does_not_fit_is_refused(search: str, replace: str, words: str) -> None:
    assert words in reason(edit_reply(search, replace), SOURCE)


def test_an_edit_that_fits_twice_is_refused() -> None:
    parent = "class Model:\n    a = 1\n    b = 2\n    a = 1\n"
    assert "2 times" in reason(edit_reply("    a = 1", "    a = 3"), parent)


@pytest.mark.parametrize(
    "reply",
    [
        "<<<<<<< SEARCH\nx\n",
        "<<<<<<< SEARCH\nx\n=======\ny\n",
        "<<<<<<< SEARCH\nx\n>>>>>>> REPLACE\n",
        "<<<<<<< SEARCH\nx\n=======\ny\n<<<<<<< SEARCH\nz\n=======\n>>>>>>> REPLACE\n",
    ],
)
def test_broken_edits_are_refused(reply: str) -> None:
    reason(reply, SOURCE)


def test_a_whole_file_is_taken_where_edits_were_asked_for() -> None:
    found = answer(good_reply(), "class Model:\n    pass\n")
    assert found.source == SOURCE
    assert not found.edited


def test_edit_marks_mean_nothing_without_a_parent() -> None:
    source = SOURCE + '\nTEXT = """\n<<<<<<< SEARCH\n"""\n'
    assert answer(good_reply(source)).source == source


# --- attacks ---


@pytest.mark.parametrize(
    "reply",
    [
        "`" * 390_000,
        "```\n" * 90_000,
        "<" * 390_000,
        "<<<<<<< SEARCH\n=======\n>>>>>>> REPLACE\n" * 8_000,
        "<<<<<<< SEARCH\n" + "x\n" * 150_000,
        "IDEA:" * 78_000,
        "*" * 390_000 + ":",
        "<think>" * 55_000,
        "</think>" * 48_000,
        "```python\nclass Model:" + " " * 380_000,
        "FAMILY = '" + "a" * 380_000,
        "edit\n" + edit_reply("a\n" + "xa\n" * 60_000, "b"),
        "\x00\ud800\u2028" * 100_000,
    ],
    ids=lambda reply: repr(reply[:12]),
)
def test_attacks_on_the_parser_end_quickly(reply: str) -> None:
    start = time.process_time()
    parse.read(reply, "xa\n" * 30_000)
    parse.family(reply)
    assert time.process_time() - start < 2  # a quadratic pass over these takes minutes


def test_edits_are_bounded_in_number_and_in_what_they_make() -> None:
    doubling = [parse.Edit(search="a\n", replace="a\nb\n")] * (parse.MAX_EDITS + 1)
    assert isinstance(parse.apply(doubling, "a\n"), Failed)
    assert "characters" in reason(edit_reply("a", "y\n" * 60_000), "a\n")


@given(st.text(alphabet="`~<=>SEARCHREPLACE \n#IDEA:xclassModel", max_size=400))
def test_any_text_is_an_answer_or_a_reason(text: str) -> None:
    for parent in (None, SOURCE):
        found = parse.read(text, parent)
        assert found.reason if isinstance(found, Failed) else "class Model" in found.source


def test_family_is_read_from_the_file() -> None:
    assert parse.family(SOURCE) == "popularity"
    assert parse.family("FAMILY = 3") == "other"
