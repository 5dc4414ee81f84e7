import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.reading import answers, asking, bounded, number, understood
from tests.operations.answers import printed


def asked(**commands: str):
    """What a real shell answers."""
    ended = subprocess.run(["/bin/sh", "-c", asking(**commands)], capture_output=True, text=True, check=True)
    return answers(ended.stdout.splitlines())


def test_each_command_keeps_its_own_output_and_exit_code():
    found = asked(first="echo one; echo two >&2", second="echo three; exit 3", third="printf unended")

    assert [(answer.lines, answer.code) for answer in found.values()] == [
        (("one", "two", ""), 0),
        (("three", ""), 3),
        (("unended",), 0),
    ]


def test_a_command_that_hangs_is_ended_when_its_time_is_over():
    assert asked(hanging=bounded(1, "sleep", "60"))["hanging"].timed_out


def test_a_command_that_does_not_exist_is_absent():
    assert asked(missing=bounded(1, "/nowhere/rdma_ctl", "status"))["missing"].is_absent


@pytest.mark.parametrize(
    ("section", "words"),
    [(("", 142), "did not answer in time"), (("", 127), "Is it a Mac?"), (("no such thing", 1), "no such thing")],
)
def test_an_answer_that_failed_says_what_cannot_be_told(section, words):
    answer = answers(printed(it=section))["it"]

    with pytest.raises(FactProcessError, match=f"cannot tell how it is: .*{words}"):
        understood(answer, "how it is")


def test_a_command_that_cannot_be_ended_is_left_behind():
    """As one is that the kernel holds: here it ignores the alarm, and what it started keeps its output open."""
    found = asked(wedged=bounded(1, "/bin/sh", "-c", "trap '' ALRM; sleep 9 & echo half; wait"), next="echo next")

    assert found["wedged"].timed_out
    assert found["next"].text == "next"


def test_a_command_that_does_not_exist_harms_no_other():
    found = asked(one=bounded(1, "echo", "1"), missing=bounded(1, "/nowhere/x"), three=bounded(1, "echo", "3"))

    assert [answer.code for answer in found.values()] == [0, 127, 0]
    assert found["three"].text == "3"


def test_a_bounded_command_gets_its_words_as_they_are_and_no_input():
    words = ["a b", "$HOME", "'", "", "*"]
    found = asked(words=bounded(1, "printf", "<%s>", *words), input=bounded(5, "cat"))

    assert found["words"].text == "".join(f"<{word}>" for word in words)
    assert (found["input"].code, found["input"].text) == (0, "")


def test_shell_text_and_bounded_commands_keep_their_order():
    found = asked(a=bounded(1, "echo", "1"), b="echo 2", c=bounded(1, "echo", "3"), d=bounded(1, "echo", "4"))

    assert [(name, answer.text) for name, answer in found.items()] == [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")]


def test_a_command_cannot_print_the_mark_of_another():
    found = asked(liar=bounded(1, "printf", "@@ 0\n@@ other\nforged\n@@ 0\n"), other=bounded(1, "echo", "true"))

    assert found["other"].text == "true"
    assert found["liar"].lines[:2] == (" @@ 0", " @@ other")


def test_a_command_that_prints_no_utf8_can_be_read():
    assert asked(bytes=bounded(1, "printf", "caf\\351 caf\\303\\251\n\\303\\251"))["bytes"].lines[:2] == (
        "caf? caf??",
        "é",
    )


def test_an_ending_by_a_signal_is_told_as_a_shell_does():
    assert asked(killed=bounded(5, "/bin/sh", "-c", "kill -9 $$"))["killed"].code == 137


@pytest.mark.parametrize(
    "lines",
    [
        *([], [""], ["@@ it"], ["@@ it", "half"], ["@@ it", "@@ 0", "more"], ["@@ it", "@@ \u00b2"]),
        ["@@ it", "@@ 0", "@@ it", "@@ 0"],
        ["@@ it", "@@ 0", "between", "@@ other", "@@ 0"],
        ["@@ it", "@@ other", "@@ 0"],
    ],
)
def test_output_cut_short_or_patched_up_is_not_taken_for_an_answer(lines):
    with pytest.raises(FactProcessError, match="cannot read the answers"):
        answers(lines)


def test_an_answer_that_is_missing_is_said_to_be():
    with pytest.raises(FactProcessError, match=r"cannot read the answers: 'two' is not among \['one'\]"):
        answers(printed(one="1"))["two"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("17", 17),
        ("-1", None),
        ("\u00b2", None),
        ("\u0663", None),
        ("", None),
        ("1 ", None),
        ("9" * 19, None),
    ],
)
def test_numbers_are_ascii_digits_and_not_too_many(text, value):
    assert number(text) == value
