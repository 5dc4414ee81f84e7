"""Apple's commands as stand-ins: functions from a Mac and a call to a reply, keyed by their real paths.

What macOS forgets at a reboot is kept by `boot_state`, what it remembers in the Mac's `Memory`. An argument that a
stand-in does not know is refused by name with a non-zero code; it never succeeds by accident.
"""

from __future__ import annotations

from tests.standin.commands import (
    accounts,
    background,
    date,
    defaults,
    disk_space,
    diskutil,
    dscl,
    identity,
    ifconfig,
    launchctl,
    misc,
    networksetup,
    pfctl,
    plutil,
    pmset,
    power,
    rdma,
    routing,
    scutil,
    softwareupdate,
    sysctl,
    system_profiler,
    systemsetup,
)
from tests.standin.commands.hardware import has_rdma_tools
from tests.standin.mac import Command, Machine

SUBJECTS = (
    accounts,
    background,
    date,
    defaults,
    disk_space,
    diskutil,
    dscl,
    identity,
    ifconfig,
    launchctl,
    misc,
    networksetup,
    pfctl,
    plutil,
    pmset,
    power,
    rdma,
    routing,
    scutil,
    softwareupdate,
    sysctl,
    system_profiler,
    systemsetup,
)
COMMANDS: dict[str, Command] = {path: command for subject in SUBJECTS for path, command in subject.COMMANDS.items()}


def available(path: str, machine: Machine) -> bool:
    """Whether a Mac with this macOS has the command at all."""
    return path in COMMANDS and (path not in rdma.COMMANDS or has_rdma_tools(machine))
