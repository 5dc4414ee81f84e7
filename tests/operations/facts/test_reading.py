import subprocess

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.reading import answers, asking, bounded, understood
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


@pytest.mark.parametrize("lines", [["@@ it", "half"], []])
def test_output_cut_short_is_not_taken_for_an_answer(lines):
    with pytest.raises(FactProcessError, match="cannot read the answers"):
        answers(lines)
