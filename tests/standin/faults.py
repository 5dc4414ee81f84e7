"""What can go wrong with a Mac, by name: one table, each entry with its way in and its way out."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from tests.standin import faults_cables, faults_files, faults_network, faults_processes, faults_settings
from tests.standin.fault import Fault, change, hardware, restore
from tests.standin.faults_processes import processes, send
from tests.standin.rack import GIB

if TYPE_CHECKING:
    from tests.standin.lab import Lab


def _macos(line: str, **fields: Any) -> Fault:
    """Another macOS, which takes a restart, as on a Mac."""

    def put(lab: Lab, name: str) -> None:
        change(lab, name, fields)
        lab.reboot(name)

    def mend(lab: Lab, name: str) -> None:
        restore(lab, name, fields)
        lab.reboot(name)

    return Fault(line, put, mend)


def _freeze(lab: Lab, name: str) -> None:
    """Stop every process of the Mac, again until none is left that was started meanwhile."""
    stopped: set[int] = set()
    while fresh := set(processes(lab, name)) - stopped:
        for pid in fresh:
            send(pid, signal.SIGSTOP)
        stopped |= fresh


def _thaw(lab: Lab, name: str) -> None:
    for pid in processes(lab, name):
        send(pid, signal.SIGCONT)


def _lose_restarts(lab: Lab, name: str) -> None:
    change(lab, name, {"comes_back": False})


def _come_back(lab: Lab, name: str) -> None:
    restore(lab, name, {"comes_back": True})
    if not lab.is_on(name):
        lab.press_power_button(name)


_WHOLE: dict[str, Fault] = {
    "chip-m4-mini": hardware(
        "a Mac mini with M4 and Thunderbolt 4",
        title="Mac mini",
        model="Mac16,10",
        chip="Apple M4",
        memory_bytes=16 * GIB,
        thunderbolt=4,
    ),
    "frozen": Fault("macOS stands still: the kernel takes connections, nobody answers them", _freeze, _thaw),
    "macos-26.1": _macos("macOS 26.1, which has no RDMA (restarts the Mac)", macos="26.1", build="25B78"),
    "power-off": Fault(
        "the plug is pulled", lambda lab, name: lab.pull_plug(name), lambda lab, name: lab.press_power_button(name)
    ),
    "rdma-off": hardware("RDMA was never switched on in Recovery", rdma=False),
    "restart-never-ends": Fault("it never comes back from a restart", _lose_restarts, _come_back),
    "reboot": Fault("macOS restarts", lambda lab, name: lab.reboot(name), lambda lab, name: lab.wait_until_on(name)),
}
_SUBJECTS = (faults_cables, faults_files, faults_network, faults_processes, faults_settings)
FAULTS: dict[str, Fault] = dict(
    sorted((_WHOLE | {k: v for subject in _SUBJECTS for k, v in subject.FAULTS.items()}).items())
)
