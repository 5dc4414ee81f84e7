"""Faults of processes, tried on children of the test's own: no Mac is needed to see how a process ends."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.standin.faults_processes import MEMORY_GROUPS, exit_as_if_well, run_out_of_memory

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="the stand-in Macs are made of Linux processes")

SHAPES = {
    "waits for a thread": "import threading; waits = threading.Thread(target=threading.Event().wait); waits.start()",
    "sleeps": "import time; time.sleep(100)",
    "waits for a client": "import socket; door = socket.socket(); door.listen(); door.accept()",
    "computes": "for _ in iter(int, 1): pass",
    "refuses to go": "import atexit, time; atexit.register(time.sleep, 100); time.sleep(100)",
}
GREEDY = "held = []\nfor _ in iter(int, 1): held.append(bytes(100_000)); held = held[-500:]"


@pytest.fixture
def child() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    begun: list[subprocess.Popen[bytes]] = []

    def begin(program: str) -> subprocess.Popen[bytes]:
        said = f"print(flush=True)\n{program}"
        begun.append(subprocess.Popen([sys.executable, "-c", said], stdout=subprocess.PIPE))
        assert begun[-1].stdout is not None
        begun[-1].stdout.readline()
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions are those of x86_64")
@pytest.mark.parametrize("shape", SHAPES)
def test_a_process_exits_0_wherever_it_is(child: Callable[[str], subprocess.Popen[bytes]], shape: str) -> None:
    process = child(SHAPES[shape])

    exit_as_if_well(process.pid)

    assert process.wait(20) == 0


@pytest.mark.skipif(not os.access(MEMORY_GROUPS / "memory.limit_in_bytes", os.W_OK), reason="no memory groups here")
def test_the_kernel_kills_a_process_that_gets_no_page_more(child: Callable[[str], subprocess.Popen[bytes]]) -> None:
    process = child(GREEDY)

    assert run_out_of_memory(process.pid)
    assert process.wait(20) == -signal.SIGKILL


def test_a_process_that_asks_for_no_page_is_killed_all_the_same(
    child: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    process = child(SHAPES["sleeps"])

    assert not run_out_of_memory(process.pid)
    assert process.wait(20) == -signal.SIGKILL
