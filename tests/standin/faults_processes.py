"""Faults of the daemons' processes: killed, frozen, out of memory, and one that ends as if all were well.

They come from outside the Mac, so that nothing of the product takes part in them.
"""

from __future__ import annotations

import os
import platform
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tests.standin.fault import Fault, missing
from tests.standin.unavailable import LabUnavailable

if TYPE_CHECKING:
    from tests.standin.lab import Lab

RANK, AGENT, GATEWAY = "serving.rank.process", "serving.agent.daemon", "serving.gateway.daemon"
MEMORY_GROUPS = Path("/sys/fs/cgroup/memory")
OUT_OF_MEMORY_SECONDS = 5.0
STOPPING_SECONDS = 5.0
_BEFORE, _SYSTEM_CALL = 2, -1
# nop; nop; xor edi, edi; mov eax, 231 (exit_group); syscall
_EXIT_0 = bytes.fromhex("9090 31ff b8e7000000 0f05")


def processes(lab: Lab, name: str) -> Iterator[int]:
    """Every process of a Mac that is on, by its pid on the Linux machine."""
    namespace = os.readlink(f"/proc/{lab.pid1(name)}/ns/pid")
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == namespace:
                yield int(entry.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while the list was read, or belongs to whoever contains this machine


def running(lab: Lab, name: str, module: str) -> int | None:
    """The process on a Mac that was started as `python -m MODULE`."""
    for pid in processes(lab, name):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[1:3] == [b"-m", module.encode()]:
            return pid
    return None


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def exit_as_if_well(pid: int) -> None:
    """Have a process call exit_group(0) wherever it is, without a word to it: its next instructions are exchanged.

    The pages are its own copies, so no other process sees the change.
    """
    if platform.machine() != "x86_64":
        raise LabUnavailable(f"cannot make process {pid} exit 0: the instructions are those of x86_64.")
    os.kill(pid, signal.SIGSTOP)
    try:
        _wait_until_stopped(pid)
        next_one = int(Path(f"/proc/{pid}/syscall").read_text().split()[_SYSTEM_CALL], 16)
        with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
            # An interrupted system call is begun again, two bytes before, or gives up and goes on.
            memory.seek(next_one - _BEFORE)
            memory.write(_EXIT_0)
    finally:
        os.kill(pid, signal.SIGCONT)


def run_out_of_memory(pid: int) -> bool:
    """Leave a process no page more, until the kernel kills it; False where it could not be brought to, and is killed
    by us with the same signal.
    """
    group = MEMORY_GROUPS / f"cidermill-{pid}"
    if not os.access(MEMORY_GROUPS / "memory.limit_in_bytes", os.W_OK):
        send(pid, signal.SIGKILL)
        return False
    handle = os.pidfd_open(pid)
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text("0")
        (group / "cgroup.procs").write_text(str(pid))
        by_the_kernel = _ends_within(handle, OUT_OF_MEMORY_SECONDS)
        if not by_the_kernel:
            send(pid, signal.SIGKILL)
            _ends_within(handle, OUT_OF_MEMORY_SECONDS)
    finally:
        os.close(handle)
        group.rmdir()
    return by_the_kernel


def _ends_within(handle: int, seconds: float) -> bool:
    import select

    return bool(select.select([handle], [], [], seconds)[0])


def _wait_until_stopped(pid: int) -> None:
    end = time.monotonic() + STOPPING_SECONDS
    while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
        if time.monotonic() > end:
            raise LabUnavailable(f"cannot stop process {pid}: it goes on after {STOPPING_SECONDS:.0f} seconds.")
        time.sleep(0.005)


def _of(module: str, act: Callable[[int], object]) -> Callable[[Lab, str], None]:
    def put(lab: Lab, name: str) -> None:
        pid = running(lab, name, module)
        if pid is None:
            raise missing(name, f"process {module}")
        act(pid)

    return put


def _thaw(module: str) -> Callable[[Lab, str], None]:
    def mend(lab: Lab, name: str) -> None:
        pid = running(lab, name, module) if lab.is_on(name) else None
        if pid is not None:
            send(pid, signal.SIGCONT)

    return mend


def _by_themselves(lab: Lab, name: str) -> None:
    """Nothing to mend: whoever keeps the process starts another."""


def _killed(line: str, module: str) -> Fault:
    return Fault(line, _of(module, lambda pid: send(pid, signal.SIGKILL)), _by_themselves)


def _frozen(line: str, module: str) -> Fault:
    return Fault(line, _of(module, lambda pid: send(pid, signal.SIGSTOP)), _thaw(module))


FAULTS: dict[str, Fault] = {
    "agent-frozen": _frozen("the agent stands still (SIGSTOP)", AGENT),
    "agent-killed": _killed("the agent is killed; launchd starts another", AGENT),
    "gateway-killed": _killed("the gateway is killed; launchd starts another", GATEWAY),
    "rank-exits-0": Fault("the rank ends with exit code 0", _of(RANK, exit_as_if_well), _by_themselves),
    "rank-frozen": _frozen("the rank stands still (SIGSTOP)", RANK),
    "rank-killed": _killed("the rank is killed", RANK),
    "rank-out-of-memory": Fault("the kernel kills the rank for memory", _of(RANK, run_out_of_memory), _by_themselves),
}
