"""A rack of many stand-in Macs that are set up whole, and on which only the first one works.

Its Macs keep the replies of Apple's commands (`tests.standin.reply_cache`), which are small C programs on a Mac. What
is large and the same on every Mac is laid by the deploy on the first one and shown on the others, so that 32 Macs fit
into the memory of one Linux machine. Once all is deployed, the daemons of all Macs but the first are frozen: they
would have their own processors.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.layout import ENVIRONMENTS, LINKS_REPORT, RELEASES
from tests.standin.assembly import assemble, disassemble
from tests.standin.lab import Lab
from tests.standin.mac import Rack
from tests.standin.rack import mac_studio
from tests.standin.state import State

STATE = State(Path("/run/cidermill-benchmark"), "cidermill3", "10.73.0.1")
_CONFIRMED_SECONDS = 60
_OPEN_TREE, _MOVE_MOUNT = 428, 429
_CLONE, _HERE_IS_THE_SOURCE, _AT_WORKING_DIRECTORY = 1, 4, -100
_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def rack(count: int) -> Iterator[Lab]:
    """So many Macs without Thunderbolt cables, switched on; gone afterwards."""
    machines = {f"mac-{n}": mac_studio(f"mac-{n}", f"10.73.0.{10 + n}") for n in range(1, count + 1)}
    lab = Lab(STATE)
    assemble(STATE, Rack(machines, ()), cached=True)
    try:
        for name in machines:
            lab.wait_until_on(name)
        yield lab
    finally:
        disassemble(STATE)


def show_environments(lab: Lab) -> None:
    """Show the environments that are laid on the first Mac on all the others, as if they were laid there as well."""
    first, *others = lab.rack().machines
    for environment in (lab.root(first) / ENVIRONMENTS.lstrip("/")).iterdir():
        for name in others:
            (lab.root(name) / ENVIRONMENTS.lstrip("/") / environment.name).mkdir(parents=True)
            _in_a_child(lambda name=name, path=f"{ENVIRONMENTS}/{environment.name}": _show(lab, path, first, name))


def freeze_all_but_the_first(lab: Lab) -> int:
    """Stop the daemons of the other Macs where they are; how many processes that were."""
    _, *others = lab.rack().machines
    for name in others:
        _wait_until_confirmed(lab, name)
    frozen = [pid for name in others for pid in _daemons(lab, name)]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    return len(frozen)


def _wait_until_confirmed(lab: Lab, name: str) -> None:
    """The links daemon says so itself a moment after the deploy has confirmed it; frozen before, it never would."""
    report, end = lab.root(name) / LINKS_REPORT.lstrip("/"), time.monotonic() + _CONFIRMED_SECONDS
    while json.loads(report.read_text())["state"] != "confirmed":
        if time.monotonic() > end:
            raise RuntimeError(f"cannot freeze {name}: its network is not confirmed after {_CONFIRMED_SECONDS} s.")
        time.sleep(0.2)


def _daemons(lab: Lab, name: str) -> Iterator[int]:
    inside = os.readlink(f"/proc/{lab.pid1(name)}/ns/mnt")
    for process in filter(lambda entry: entry.name.isdigit(), Path("/proc").iterdir()):
        try:
            is_ours = (process / "cmdline").read_bytes().startswith(RELEASES.encode())
            if is_ours and os.readlink(process / "ns/mnt") == inside:
                yield int(process.name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while the list was read


def _show(lab: Lab, path: str, first: str, other: str) -> None:
    """Mount a directory of the first Mac at the same path of another; changes where this process is."""
    source, target = (os.open(f"/proc/{lab.pid1(name)}/ns/mnt", os.O_RDONLY) for name in (first, other))
    _check(_libc.setns(source, 0))
    tree = _check(_libc.syscall(_OPEN_TREE, _AT_WORKING_DIRECTORY, path.encode(), _CLONE))
    _check(_libc.setns(target, 0))
    _check(_libc.syscall(_MOVE_MOUNT, tree, b"", _AT_WORKING_DIRECTORY, path.encode(), _HERE_IS_THE_SOURCE))


def _check(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _in_a_child(work: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise RuntimeError("cannot show a directory of one Mac on another: the reason is above.")
