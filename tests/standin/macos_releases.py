"""The versions of macOS there are, and what a restart makes of one that `softwareupdate` has staged.

Versions and builds are Apple's own; sizes are about right. `softwareupdate` writes down what it staged, and the
hardware installs it while it restarts, outside everything that runs on the Mac.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace

from tests.standin.mac import Machine, Memory
from tests.standin.rack import with_machine
from tests.standin.state import State

STAGED = "macos-staged"
"""Memory subject: the version that the next restart installs."""


@dataclass(frozen=True)
class Release:
    """One macOS as Apple names it."""

    title: str
    version: str
    build: str
    size_kib: int

    @property
    def label(self) -> str:
        """What softwareupdate calls it."""
        return f"{self.title}-{self.build}"


def _tahoe(version: str, build: str) -> Release:
    return Release(f"macOS Tahoe {version}", version, build, 3039632)


RELEASES = {
    release.version: release
    for release in (
        _tahoe("26.2", "25C56"),
        _tahoe("26.3", "25D125"),
        _tahoe("26.4", "25E246"),
        _tahoe("26.4.1", "25E253"),
        _tahoe("26.5.1", "25F80"),
        _tahoe("26.7", "25G229"),
        Release("macOS 27", "27", "26A428", 11727219),
    )
}


def installed(machine: Machine, version: str) -> Machine:
    """The Mac after the restart that installs a version."""
    if machine.update_ends == "as before":
        return machine
    shown = version if "." in version else f"{version}.0"
    rdma = machine.rdma and machine.update_ends != "without rdma"
    return replace(machine, macos=shown, build=RELEASES[version].build, rdma=rdma, offered=())


def install(state: State, name: str, memory: Memory) -> None:
    """Install what is staged, if anything is; macOS empties /private/var/tmp along with it."""
    version = memory.read(STAGED, None)
    if version is None:
        return
    memory.write(STAGED, None)
    temporary = state.stage / "disk" / "private" / "var" / "tmp"
    for left in temporary.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    with state.locked():
        rack = state.rack()
        state.write_rack(with_machine(rack, installed(rack.machines[name], version)))
