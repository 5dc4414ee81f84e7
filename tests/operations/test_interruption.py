"""What somebody learns who presses Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import indent

import pytest

from operations.ledger import Ledger

ROOT = Path(__file__).parents[2]
# For ever, unless it is interrupted; it is said once this waits, so that it is the waiting that is interrupted.
WAITING = """
import gevent

gevent.spawn(print, "at it", flush=True)
gevent.sleep(10**6)
"""
# A signal comes to whatever runs just then: here to a thread, as paramiko has one for each connection.
HEARD_BY_A_THREAD = """
import gevent, signal, threading

threading.Thread(target=signal.raise_signal, args=[signal.SIGINT]).start()
gevent.sleep(10**6)
"""
HEARD_BY_THE_COMMAND = """
import gevent, signal
from pyinfra import state
from pyinfra.api.state import BaseStateCallback
from pyinfra.operations import python

class Busy(BaseStateCallback):
    @staticmethod
    def operation_start(state, op_hash):
        state.pool.spawn(gevent.sleep, 10**6)
        signal.raise_signal(signal.SIGINT)

state.add_callback_handler(Busy())
python.call(name="First", function=print)
"""
WORKING = """
from pyinfra.operations import python

def work():
{work}

python.call(name="First", function=work)
python.call(name="Second", function=work)
"""


@pytest.mark.parametrize(
    ("deploy", "said"),
    [
        (WAITING, "Interrupted: nothing was changed on any Mac."),
        (WORKING.format(work=indent(WAITING, "    ")), "No replica was touched."),
        (WORKING.format(work=indent(HEARD_BY_A_THREAD, "    ")), "No replica was touched."),
        (HEARD_BY_THE_COMMAND, "No replica was touched."),
    ],
    ids=[
        "before anything is changed",
        "while all machines are busy",
        "while a connection is read from",
        "while pyinfra tells how it goes",
    ],
)
def test_an_interrupted_run_tells_what_it_leaves_behind_and_ends_with_130_at_once(tmp_path, deploy: str, said: str):
    (tmp_path / "deploy.py").write_text(deploy)
    command = [Path(sys.executable).with_name("pyinfra"), "-y", "@local", tmp_path / "deploy.py"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as run:
        # Not ending is the fault that this looks for.
        patience = threading.Timer(60, run.kill)
        patience.start()
        heard = ""
        for line in run.stdout:
            heard += line
            if line == "at it\n":
                run.send_signal(signal.SIGINT)
    patience.cancel()

    assert run.returncode == 130
    assert said in heard
    assert "Starting operation: Second" not in heard
    assert "Traceback" not in heard


def test_of_each_replica_that_was_touched_it_is_told_how_it_is():
    one = Ledger(ready={"a", "b", "x"}, drained_at={"a": 1.0, "b": 1.0, "c": 1.0}, paused={"a": 9.0})

    serving, unchanged, *under_way = one.left_behind()

    assert serving == "replica 'a' is as declared, proven, and serves."
    assert unchanged == "replica 'x' is as declared, proven, and serves."
    assert [line.partition(",")[0] for line in under_way] == [
        "replica 'b' is in the middle of its change",
        "replica 'c' is in the middle of its change",
    ]


def test_one_that_starts_for_the_first_time_is_in_the_middle_too_and_one_that_went_back_is_not():
    assert "'a' is in the middle" in Ledger(switched_at={"a": 1.0}).left_behind()[0]
    assert "'a' went back by itself" in Ledger(switched_at={"a": 1.0}, returned={"a": "agent-1"}).left_behind()[0]
