import json
import os
import subprocess
import sys

import pytest
from pyinfra.api.exceptions import FactProcessError

from operations.facts.environment import RECEIPT, Interpreter, LaidAt, Releases
from tests.operations.answers import printed


def run(command: str) -> list[str]:
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True).stdout.splitlines()


def test_an_interpreter_tells_what_it_is():
    fact = Interpreter()
    found = fact.process(run(fact.command(path=sys.executable)))

    assert found["version"] == ".".join(map(str, sys.version_info[:3]))


def test_a_path_without_a_python_cannot_be_told():
    fact = Interpreter()
    output = run(fact.command(path="/nowhere/python3"))

    with pytest.raises(FactProcessError, match="cannot tell what Python /nowhere/python3 is"):
        fact.process(output)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3", '{"version": 3, "platform": "x", "libc": ["", ""]}'])
def test_an_interpreter_that_says_something_else_is_not_guessed(text):
    fact = Interpreter()
    fact.command(path="/usr/bin/python3")

    with pytest.raises(FactProcessError, match="cannot tell what Python /usr/bin/python3 is"):
        fact.process(printed(python=text))


@pytest.mark.parametrize("receipt", ["not json", "{", '["a"]', "3"])
def test_a_receipt_that_is_damaged_is_not_taken_for_one_that_is_missing(tmp_path, receipt):
    (tmp_path / "node-1a2b").mkdir()
    (tmp_path / "node-1a2b" / RECEIPT).write_text(receipt)
    fact = Releases()
    output = run(fact.command(root=str(tmp_path)))

    with pytest.raises(FactProcessError, match=r"cannot tell what .*/node-1a2b is: its receipt reads"):
        fact.process(output)


def test_directories_are_told_by_their_receipts(tmp_path):
    (tmp_path / "node-1a2b").mkdir()
    (tmp_path / "node-1a2b" / RECEIPT).write_text(json.dumps({"package": "node-1a2b"}) + "\n")
    (tmp_path / "node-3c4d.new").mkdir()
    (tmp_path / "a file").write_text("")
    fact = Releases()

    assert fact.process(run(fact.command(root=str(tmp_path)))) == {
        "node-1a2b": {"package": "node-1a2b"},
        "node-3c4d.new": None,
    }


def test_a_root_that_is_not_there_holds_nothing(tmp_path):
    fact = Releases()

    assert fact.process(run(fact.command(root=str(tmp_path / "nothing")))) == {}


def test_directories_are_told_with_when_they_were_laid(tmp_path):
    (tmp_path / "node-1a2b").mkdir()
    os.utime(tmp_path / "node-1a2b", (5, 1790153387))
    (tmp_path / "a file").write_text("")
    fact, nothing = LaidAt(), LaidAt()

    assert fact.process(run(fact.command(root=str(tmp_path)))) == {"node-1a2b": 1790153387}
    assert nothing.process(run(nothing.command(root=str(tmp_path / "nothing")))) == {}
