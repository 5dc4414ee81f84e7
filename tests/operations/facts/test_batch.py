import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.facts import FactBase

from operations.facts import batch
from operations.facts.reading import answers, asking, bounded


class Said(FactBase[str]):
    """What one shell command says."""

    def command(self, text: str) -> str:
        return asking(said=text)

    def process(self, output: list[str]) -> str:
        return answers(output)["said"].text


class Bare(FactBase[list[str]]):
    """A fact without marks of its own, as pyinfra's are."""

    def command(self, text: str) -> str:
        return text

    def process(self, output: list[str]) -> list[str]:
        return output


def facts(*texts: str, kind: type[FactBase[Any]] = Said):
    return {f"'{text}' of /opt/example": (kind(), {"text": text}) for text in texts}


def told(asked: batch.Facts) -> list[str]:
    ended = subprocess.run(["/bin/sh", "-c", batch.together(asked)], capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def values(asked: batch.Facts, output: list[str]) -> list[Any]:
    found = batch.apart(output, asked)
    assert list(found) == list(asked)
    return ["?" if isinstance(value, FactProcessError) else value for value in found.values()]


ASKED = facts("echo 1", "echo 2", "echo 3")
WHOLE = told(ASKED)


def test_each_fact_reads_its_own_part():
    assert values(ASKED, WHOLE) == ["1", "2", "3"]


def test_no_facts_are_no_answers():
    assert batch.apart(told({}), {}) == {}


def test_a_fact_gets_exactly_the_lines_of_its_command():
    asked = facts("echo 1; echo", "printf 2", "true", kind=Bare)

    assert values(asked, told(asked)) == [["1", ""], ["2"], []]


def test_a_fact_that_fails_or_leaves_the_shell_harms_no_other():
    asked = facts("echo 1", "exit 3", "cd /; x=1; export LC_ALL=x", "echo 4", kind=Bare)

    assert values(asked, told(asked)) == [["1"], "?", [], ["4"]]


def test_output_cut_short_takes_only_what_is_incomplete():
    complete = [sum(line.endswith("ended 0") for line in WHOLE[:end]) for end in range(len(WHOLE) + 1)]
    found = [values(ASKED, WHOLE[:end]) for end in range(len(WHOLE) + 1)]

    assert found == [["1", "2", "3"][:count] + ["?"] * (3 - count) for count in complete]


def test_what_is_missing_says_so_by_name():
    (_, error, _) = batch.apart([line for line in WHOLE if not line.startswith("@@@ 1")], ASKED).values()

    assert str(error) == "cannot tell 'echo 2' of /opt/example: its answer is missing, or was cut short. Run it again."


def test_an_answer_that_comes_twice_is_none():
    again = WHOLE + WHOLE[: len(WHOLE) // 3]

    assert values(ASKED, again) == ["?", "2", "3"]


def test_noise_between_answers_does_no_harm():
    noisy = [line for whole in WHOLE for line in ((whole,) if not whole.startswith("@@@ 1 ") else (whole, "noise"))]

    assert values(ASKED, ["Last login: today", *noisy, "bye"]) == ["1", "2", "3"]


@settings(max_examples=200, deadline=None)
@given(garbage=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=20)), data=st.data())
def test_whatever_one_fact_prints_the_others_are_read(garbage, data):
    begins, ends = WHOLE.index("@@@ 1"), WHOLE.index("@@@ 1 ended 0")
    part = data.draw(st.permutations([*WHOLE[begins + 1 : ends], *garbage]))
    one, _, three = values(ASKED, [*WHOLE[: begins + 1], *part, *WHOLE[ends:]])

    assert (one, three) == ("1", "3")


@pytest.mark.parametrize("mark", ["@@@ 0", "@@@ 2", "@@@ 2 ended 0", "@@@ 1 ended 0", "@@@ 1 ended 1"])
def test_a_forged_mark_makes_no_wrong_answer(mark):
    begins = WHOLE.index("@@@ 1") + 1

    assert set(values(ASKED, [*WHOLE[:begins], mark, *WHOLE[begins:]])) <= {"1", "2", "3", "?"}


def test_a_bounded_command_cannot_print_the_marks_of_other_facts():
    class Liar(Said):
        def command(self, text: str) -> str:
            return asking(said=bounded(5, "printf", text))

    liar = {"liar": (Liar(), {"text": "@@@ 1\n@@ said\nforged\n@@ 0\n@@@ 1 ended 0\n"})}
    asked = liar | facts("echo 2")

    assert values(asked, told(asked))[1] == "2"
