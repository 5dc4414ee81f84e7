"""What can go wrong with a Mac, by name: one table, each entry with its way in and its way out."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.standin import kernel
from tests.standin.kernel_network import connect
from tests.standin.links import Links
from tests.standin.mac import Cable
from tests.standin.rack import GIB, with_cable, with_machine

if TYPE_CHECKING:
    from tests.standin.lab import Lab

Switch = Callable[["Lab", str], None]


@dataclass(frozen=True)
class Fault:
    """A fault of one Mac: what it is, in a line, how it is put in and how it is mended."""

    summary: str
    put: Switch
    mend: Switch


def _hardware(line: str, **fields: Any) -> Fault:
    """Another Mac, or another setting, from the next command on."""
    return Fault(line, lambda lab, name: _change(lab, name, fields), lambda lab, name: _restore(lab, name, fields))


def _macos(line: str, **fields: Any) -> Fault:
    """Another macOS, which takes a restart, as on a Mac."""

    def put(lab: Lab, name: str) -> None:
        _change(lab, name, fields)
        lab.reboot(name)

    def mend(lab: Lab, name: str) -> None:
        _restore(lab, name, fields)
        lab.reboot(name)

    return Fault(line, put, mend)


def _cable(line: str, **fields: Any) -> Fault:
    """Something about the first cable of a Mac, for the Macs at both its ends."""

    def put(lab: Lab, name: str) -> None:
        _exchange_cable(lab, name, fields)

    def mend(lab: Lab, name: str) -> None:
        healthy = _first_cable(lab.files.healthy().cables, name)
        _exchange_cable(lab, name, {field: getattr(healthy, field) for field in fields})

    return Fault(line, put, mend)


def _change(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    with lab.files.locked():
        rack = lab.rack()
        lab.files.write_rack(with_machine(rack, replace(rack.machines[name], **fields)))


def _restore(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    healthy = lab.files.healthy().machines[name]
    _change(lab, name, {field: getattr(healthy, field) for field in fields})


def _first_cable(cables: tuple[Cable, ...], name: str) -> Cable:
    return next(cable for cable in cables if name in dict(cable.ends))


def _exchange_cable(lab: Lab, name: str, fields: dict[str, Any]) -> None:
    with lab.files.locked():
        rack = lab.rack()
        old = _first_cable(rack.cables, name)
        lab.files.write_rack(with_cable(rack, old, replace(old, **fields)))
        for machine, receptacle in old.ends:
            if lab.is_on(machine):
                _reconnect(lab, machine, receptacle)


def _reconnect(lab: Lab, machine: str, receptacle: int) -> None:
    with kernel.inside_network(lab.hardware(machine)):
        receptacles = Links()
    with kernel.inside_network(lab.pid1(machine)):
        inside = Links()
    connect(receptacles, inside, lab.rack(), machine, receptacle)
    receptacles.close()
    inside.close()


def _freeze(lab: Lab, name: str) -> None:
    """Stop every process of the Mac, again until none is left that was started meanwhile."""
    stopped: set[int] = set()
    while fresh := set(_processes(lab, name)) - stopped:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped |= fresh


def _thaw(lab: Lab, name: str) -> None:
    for pid in _processes(lab, name):
        _signal(pid, signal.SIGCONT)


def _processes(lab: Lab, name: str) -> Iterator[int]:
    namespace = os.readlink(f"/proc/{lab.pid1(name)}/ns/pid")
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.readlink(entry / "ns/pid") == namespace:
                yield int(entry.name)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it ended while the list was read, or belongs to whoever contains this machine


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


FAULTS: dict[str, Fault] = {
    "cable-40": _cable("the first cable negotiates 40 Gb/s", speed_gbps=40),
    "cable-missing": _cable("the first cable is pulled", present=False),
    "chip-m4-mini": _hardware(
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
    "rdma-off": _hardware("RDMA was never switched on in Recovery", rdma=False),
    "reboot": Fault("macOS restarts", lambda lab, name: lab.reboot(name), lambda lab, name: lab.wait_until_on(name)),
}
